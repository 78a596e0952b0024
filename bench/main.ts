/**
 * npm run bench [-- --filter <text>] [--output <file>]
 *
 * Our CPU backend beside the stock one, each in a process of its own, with the same inputs. A case whose results differ is an error
 * and shows no time. Prints the ratio first, then median and spread (distance of the quartiles over the median) of both.
 * --output writes the raw samples with everything needed to repeat the run.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SUBJECTS, type Subject } from './harness/case.js';
import { median, relativeDifference, spread } from './harness/statistics.js';
import type { CheckMessage, TimeMessage } from './harness/worker.js';
import { CASES } from './ops/cases.js';

/** Above this the machine was busy with something else and a ratio says little. */
const NOISE_LIMIT = 0.2;

interface Measured {
  readonly checks: Map<string, Float32Array>;
  readonly times: Map<string, readonly number[]>;
}

function measure(subject: Subject, filter: string): Measured {
  process.stderr.write(`measuring ${subject}\n`);
  const worker = fileURLToPath(new URL('worker.js', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [worker, subject, filter], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  if (status !== 0) throw new Error(`the ${subject} process ended with ${status}:\n${stderr}`);
  const messages = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as CheckMessage | TimeMessage);
  const checks = new Map<string, Float32Array>();
  const times = new Map<string, readonly number[]>();
  for (const message of messages) {
    if (message.kind === 'time') times.set(message.name, message.samples);
    else checks.set(message.name, new Float32Array(new Uint8Array(Buffer.from(message.result, 'base64')).buffer));
  }
  return { checks, times };
}

function rate(amount: number, unit: 'flop' | 'byte', seconds: number): string {
  return `${(amount / seconds / 1e9).toFixed(1)} ${unit === 'flop' ? 'GFLOP/s' : 'GB/s'}`;
}

function milliseconds(samples: readonly number[]): string {
  return `${(median(samples) * 1e3).toPrecision(3)} ms ±${Math.round(spread(samples) * 100)} %`;
}

const { values } = parseArgs({ options: { filter: { type: 'string', default: '' }, output: { type: 'string' } } });
const cases = CASES.filter(({ name }) => name.includes(values.filter));
if (cases.length === 0)
  throw new Error(`no case matches '${values.filter}': expected part of ${CASES.map(({ name }) => name).join('; ')}`);

console.log(`${os.cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${os.availableParallelism()} cores, Node ${process.version}`);
console.log('ratio: how many times as fast as the stock CPU backend (one thread of JavaScript)\n');
const measured = Object.fromEntries(SUBJECTS.map((subject) => [subject, measure(subject, values.filter)])) as Record<
  Subject,
  Measured
>;
let wrong = 0;
for (const { name, work, tolerance } of cases) {
  const ours = measured.tensorkiln.times.get(name);
  const stock = measured.stock.times.get(name);
  const actual = measured.tensorkiln.checks.get(name);
  const expected = measured.stock.checks.get(name);
  if (ours === undefined || stock === undefined || actual === undefined || expected === undefined)
    throw new Error(`${name}: not measured`);
  const difference = relativeDifference(actual, expected);
  if (!(difference <= tolerance.relative)) {
    wrong += 1;
    console.log(`WRONG   ${name}: results differ by ${difference}, allowed ${tolerance.relative} (${tolerance.reason})`);
    continue;
  }
  const ratio = `${(median(stock) / median(ours)).toFixed(1)}x`.padStart(7);
  const noisy = Math.max(spread(ours), spread(stock)) > NOISE_LIMIT ? '  NOISY' : '';
  const speed = rate(work.amount, work.unit, median(ours));
  console.log(`${ratio} ${name}: ${milliseconds(ours)} (${speed}), stock ${milliseconds(stock)}${noisy}`);
}
if (values.output !== undefined) {
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  const machine = {
    cpu: os.cpus()[0]?.model,
    cores: os.availableParallelism(),
    node: process.version,
    platform: process.platform,
  };
  const samples = Object.fromEntries(SUBJECTS.map((subject) => [subject, Object.fromEntries(measured[subject].times)]));
  writeFileSync(
    values.output,
    `${JSON.stringify({ commit, date: new Date().toISOString(), machine, unit: 's', samples }, null, 2)}\n`,
  );
}
if (wrong > 0) process.exitCode = 1;
