/**
 * Measures one subject in a process of its own: worker <subject> <filter>. Sends a line of JSON per case, twice: first the results of
 * a few runs, for the parent to compare, then the times.
 */
import * as tf from '@tensorflow/tfjs-core';
import Benchmark from 'benchmark';
import { CASES } from '../ops/cases.js';
import { SUBJECTS, type Subject } from './case.js';

/** Runs whose results are compared: enough for an optimizer's state to matter. */
const CHECKED_RUNS = 3;

export interface CheckMessage {
  readonly kind: 'check';
  readonly name: string;
  /** float32 values, little-endian, base64. */
  readonly result: string;
}

export interface TimeMessage {
  readonly kind: 'time';
  readonly name: string;
  /** Seconds per run, one entry per sample. */
  readonly samples: readonly number[];
}

function send(message: CheckMessage | TimeMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function useSubject(subject: Subject): Promise<void> {
  if (subject === 'stock') {
    await import('@tensorflow/tfjs-backend-cpu');
    await tf.setBackend('cpu');
  } else {
    await import('tensorkiln');
    await tf.setBackend('tensorkiln-cpu');
  }
}

function measure(name: string, run: () => void): readonly number[] {
  const suite = new Benchmark.Suite();
  let samples: readonly number[] = [];
  suite.add(name, run, { minSamples: 10, maxTime: 2, initCount: 1 });
  suite.on('cycle', (event: Benchmark.Event) => {
    const { error, stats } = event.target as unknown as Benchmark & { error?: Error };
    if (error !== undefined) throw error;
    samples = stats?.sample ?? [];
  });
  suite.run({ async: false });
  return samples;
}

const [subject = '', filter = ''] = process.argv.slice(2);
if (!(SUBJECTS as readonly string[]).includes(subject))
  throw new Error(`worker: expected ${SUBJECTS.join(' or ')}, got '${subject}'`);
await useSubject(subject as Subject);
for (const { name, prepare } of CASES.filter((entry) => entry.name.includes(filter))) {
  const { run, result: whole } = await prepare(tf, subject as Subject);
  let result = run();
  for (let i = 1; i < CHECKED_RUNS; ++i) result = run();
  if (whole !== undefined) result = whole();
  send({ kind: 'check', name, result: Buffer.from(result.buffer, result.byteOffset, result.byteLength).toString('base64') });
  send({ kind: 'time', name, samples: measure(name, run) });
}
