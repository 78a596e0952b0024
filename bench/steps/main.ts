/**
 * npm run bench:steps [-- --model <name>]... [--rounds 9] [--threads n] [--seconds 0.5] [--output <file>]
 *
 * Whole training steps: ours compiled, beside PyTorch eager and torch.compile when a python with torch is found ($TENSORKILN_PYTHON,
 * else python3). All subjects of a model live at the same time and take turns, so that a busy moment of the machine meets all.
 * Prints ratio first: PyTorch's time over ours, from the medians of both. The stock models are programs for tfjs-core alone; what of
 * them the wasm backend can train is measured on it too.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, spread } from '../harness/statistics.js';

const MODELS = ['mlp', 'lenet', 'bilstm', 'transformer', 'resnet18', 'gpt', 'gpt-small', 'tiny', 'stock-mlp', 'stock-lenet'];

const { values } = parseArgs({
  options: {
    model: { type: 'string', multiple: true, default: MODELS },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '0.5' },
    threads: { type: 'string', default: String(os.availableParallelism()) },
    compile: { type: 'boolean', default: true },
    output: { type: 'string' },
  },
  allowNegative: true,
});
const python = process.env['TENSORKILN_PYTHON'] ?? 'python3';
const hasTorch = spawnSync(python, ['-c', 'import torch']).status === 0;
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** A worker process that answers line by line. */
class Subject {
  readonly name: string;
  readonly samples: number[] = [];
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(name: string, command: string, args: readonly string[]) {
    this.name = name;
    // PyTorch with freed memory reused is its stronger setting.
    const env = {
      ...process.env,
      TENSORKILN_THREADS: values.threads,
      OMP_NUM_THREADS: values.threads,
      MALLOC_MMAP_MAX_: '0',
      MALLOC_TRIM_THRESHOLD_: '4294967296',
    };
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.#answers = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  async answer(): Promise<Record<string, number>> {
    const next = await this.#answers.next();
    if (next.done === true) throw new Error(`${this.name} ended early`);
    return JSON.parse(next.value) as Record<string, number>;
  }

  /** Between its turns a subject is stopped: OpenMP's threads may wait busily and take processors from the next. */
  async run(count: number): Promise<number> {
    this.#signal('SIGCONT');
    this.#child.stdin?.write(`run ${String(count)}\n`);
    const { ms } = await this.answer();
    this.#signal('SIGSTOP');
    return ms as number;
  }

  end(): void {
    this.#child.stdin?.end();
    this.#signal('SIGCONT');
  }

  #signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (process.platform !== 'win32') this.#child.kill(signal);
  }
}

function subjectsOf(model: string): Subject[] {
  const ours = (mode: string): Subject =>
    new Subject(mode === 'queued' ? 'ours' : `ours, ${mode}`, process.execPath, [here('steps-worker.js'), model, mode]);
  const torch = (mode: string, of = model): Subject =>
    new Subject(`torch ${mode}`, python, [here('../bench/steps/steps_torch.py'), mode, of, values.threads]);
  if (model.startsWith('stock-')) {
    const stock = model.slice('stock-'.length);
    // The wasm backend has no gradients of convolutions.
    const wasm =
      stock === 'mlp' ? [new Subject('tfjs wasm', process.execPath, [here('steps-worker.js'), model, 'queued', 'wasm'])] : [];
    return [ours('queued'), ...wasm, ...(hasTorch ? [torch('eager', stock)] : [])];
  }
  return [
    ...(model === 'tiny' ? [ours('sync'), ours('await')] : [ours('queued')]),
    ...(hasTorch ? [torch('eager'), ...(values.compile ? [torch('compile')] : [])] : []),
  ];
}

const results: Record<string, unknown> = {};
console.log(
  `${os.cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${values.threads} threads, Node ${process.version}${hasTorch ? '' : `; no torch in ${python}: ours alone`}`,
);
for (const model of values.model) {
  const subjects = subjectsOf(model);
  let flops = 0;
  for (const subject of subjects) flops = Math.max(flops, (await subject.answer())['flops'] ?? 0);
  const counts = new Map<Subject, number>();
  for (const subject of subjects) {
    const once = await subject.run(1);
    counts.set(subject, Math.max(1, Math.round((Number(values.seconds) * 1000) / once)));
  }
  for (let round = 0; round < Number(values.rounds); ++round) {
    for (const subject of subjects) subject.samples.push(await subject.run(counts.get(subject) as number));
  }
  for (const subject of subjects) subject.end();
  const peers = subjects.filter(({ name }) => !name.startsWith('ours'));
  const torches = peers.filter(({ name }) => name.startsWith('torch'));
  const best = torches.length === 0 ? undefined : Math.min(...torches.map(({ samples }) => median(samples)));
  const wasm = peers.find(({ name }) => name === 'tfjs wasm');
  for (const { name, samples } of subjects) {
    const ms = median(samples);
    const times = (peer: number | undefined, who: string): string =>
      peer === undefined || !name.startsWith('ours') ? '' : `${(peer / ms).toFixed(2)}x ${who}, `;
    const ratio =
      times(best, torches.length > 1 ? 'the better of PyTorch' : 'PyTorch') +
      times(wasm === undefined ? undefined : median(wasm.samples), 'the wasm backend');
    const rate = flops === 0 ? '' : `, ${(flops / ms / 1e6).toFixed(1)} GFLOP/s`;
    console.log(`${model}, ${name}: ${ratio}${ms.toPrecision(3)} ms ±${String(Math.round(spread(samples) * 100))} %${rate}`);
  }
  results[model] = Object.fromEntries(subjects.map(({ name, samples }) => [name, samples]));
}
if (values.output !== undefined) {
  const machine = { cpu: os.cpus()[0]?.model, threads: Number(values.threads), node: process.version };
  writeFileSync(values.output, `${JSON.stringify({ machine, date: new Date().toISOString(), results }, undefined, 1)}\n`);
}
