// What gpu-bench and gpu-steps share: what the machine is, results that are written line by line, timing, and a PyTorch process that
// answers one case at a time. Bundled into the archive of `npm run gpu:bundle`.
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { inspectEnvironment } from '../../dist/backend/inspect/index.js';

/** Output of a program, undefined where it is absent or fails. */
function outputOf(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  return status === 0 ? stdout.trim() : undefined;
}

/** Date, commit, GPU, driver, clocks: part of every result. */
export async function describeMachine(build) {
  const { cuda } = await inspectEnvironment();
  const query = ['--query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit', '--format=csv,noheader'];
  return {
    commit: build.commit,
    device: build.emulated ? 'emulated' : (cuda.devices[0]?.name ?? 'none'),
    driver: cuda.driverVersion ?? 'none',
    clocks: outputOf('nvidia-smi', query) ?? 'unknown',
  };
}

/** Results in a file of JSON lines; a case that stands there for this build and device is not measured again. */
export class Results {
  constructor(file, machine) {
    this.file = file;
    this.machine = machine;
    const lines = existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
      : [];
    const rows = lines.map((line) => JSON.parse(line));
    this.done = new Set(
      rows
        .filter((row) => row.commit === machine.commit && row.device === machine.device && row.error === undefined)
        .map(({ name }) => name),
    );
  }
  has(name) {
    return this.done.has(name);
  }
  add(row) {
    appendFileSync(this.file, `${JSON.stringify({ date: new Date().toISOString(), ...this.machine, ...row })}\n`);
    this.done.add(row.name);
    const time = row.microseconds === undefined ? (row.error ?? row.text) : `${row.microseconds.toFixed(1)} us`;
    const ratio = row.ratio === undefined ? '' : `, ${row.ratio.toFixed(2)} x ${row.reference}`;
    console.log(`  ${row.name}: ${time}${ratio}`);
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Distance of the extremes over the median. */
export function spreadOf(values) {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

/** PyTorch on this machine's GPU, where python3 has it; it times a case by name. */
export class Torch {
  static async open(script) {
    const probe = 'import torch; assert torch.cuda.is_available(); print(torch.__version__, torch.backends.cudnn.version())';
    const version = outputOf('python3', ['-c', probe]);
    return version === undefined ? undefined : new Torch(script, version);
  }
  constructor(script, version) {
    this.version = `torch ${version}`;
    this.process = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.waiting = [];
    createInterface({ input: this.process.stdout }).on('line', (line) => this.waiting.shift()?.(JSON.parse(line)));
    this.process.on('exit', () => {
      for (const answer of this.waiting.splice(0)) answer({ error: 'PyTorch has ended' });
    });
  }
  /** Microseconds of one run of the case in that mode, or an error's text. */
  time(name, mode) {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.process.stdin.write(`${JSON.stringify({ name, mode })}\n`);
    });
  }
  close() {
    this.process.stdin.end();
  }
}

/** Microseconds per call of `launch`, over as many calls as take about 50 ms; `wait` returns when all have run. */
export async function timeCalls(launch, wait, isDry) {
  launch();
  await wait();
  let started = performance.now();
  launch();
  await wait();
  const repeats = isDry ? 1 : Math.min(1000, Math.max(3, Math.round(50 / (performance.now() - started))));
  started = performance.now();
  for (let i = 0; i < repeats; ++i) launch();
  await wait();
  return ((performance.now() - started) / repeats) * 1000;
}

/** Ours and PyTorch's in the order A B B A, three times; the ratio is PyTorch's time over ours. */
export async function compareLegs(ours, torch, name, modes, isDry) {
  const times = [];
  const others = new Map(modes.map((mode) => [mode, []]));
  const errors = {};
  for (let round = 0; round < (isDry ? 1 : 3); ++round) {
    times.push(await ours());
    if (torch === undefined) continue;
    for (const mode of modes) {
      for (let leg = 0; leg < 2; ++leg) {
        const answer = await torch.time(name, mode);
        if (answer.error === undefined) others.get(mode).push(answer.microseconds);
        else errors[mode] = answer.error;
      }
    }
    times.push(await ours());
  }
  const legs = Object.fromEntries(
    modes.filter((mode) => others.get(mode).length > 0).map((mode) => [mode, median(others.get(mode))]),
  );
  const best = Object.entries(legs).sort(([, a], [, b]) => a - b)[0];
  const microseconds = median(times);
  return {
    microseconds,
    spread: spreadOf(times),
    ...(torch === undefined ? { reference: null } : { legs, errors }),
    ...(best === undefined ? {} : { reference: `${torch.version} ${best[0]}`, ratio: best[1] / microseconds }),
  };
}

/**
 * What gpu-bench and gpu-steps are given on the command line, and what build.json of the archive says.
 * @param command  name of the command, and of its results
 * @param here     folder of the archive
 */
export function readOptions(command, here) {
  const { values, positionals } = parseArgs({
    options: {
      results: { type: 'string', default: join(here, `${command}.jsonl`) },
      dry: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const build = JSON.parse(readFileSync(join(here, 'build.json'), 'utf8'));
  return { command, here, results: values.results, isDry: values.dry, wanted: positionals[0] ?? '', build };
}

/** Returns when all that was launched has run. */
export async function waitForDevice() {
  const marker = tf.zeros([1]);
  await marker.data();
  marker.dispose();
}

/**
 * Measures the cases whose names contain what was asked for and that are not in the results yet. An error of one becomes its result
 * and the exit code.
 * @param measure  (case, torch) => the row
 * @param before   what is measured by other means; given the results
 */
export async function runCases(options, cases, measure, before) {
  const { command, here, build, wanted, isDry } = options;
  const machine = await describeMachine(build);
  await tf.setBackend('tensorkiln-cuda');
  tf.zeros([1]).dataSync();
  const results = new Results(options.results, machine);
  console.log(
    `${command}: ${build.version} ${machine.commit}, ${machine.device}, driver ${machine.driver}, clocks ${machine.clocks}`,
  );
  await before?.(results);
  const torch = isDry ? undefined : await Torch.open(join(here, 'torch_cases.py'));
  for (const item of cases.filter(({ name }) => name.includes(wanted))) {
    if (results.has(item.name)) continue;
    try {
      results.add(await measure(item, torch));
    } catch (error) {
      results.add({ name: item.name, error: error instanceof Error ? error.message : String(error) });
      process.exitCode = 1;
    }
  }
  torch?.close();
}
