/**
 * One subject of bench/steps in a process of its own: worker <ours|wasm|cpu> <model> <sync|await|queued>. Answers each line
 * `run <count>` with the milliseconds per step of that many steps, and ends at the end of its input.
 */
import * as tf from '@tensorflow/tfjs-core';
import { createInterface } from 'node:readline';
import { profileExecution, profileTable } from 'tensorkiln';
import { makeSubject } from './models.js';

const [model = '', mode = 'queued'] = process.argv.slice(2);
const { step, programs, flops } = makeSubject(model);
for (let i = 0; i < 5; ++i) {
  const loss = step();
  await loss.data();
  loss.dispose();
}
if (process.env['STEP_PROGRAMS'] === '1') process.stderr.write(programs().join('\n'));
if (process.env['STEP_PROFILE'] === '1') {
  const profile = await profileExecution(async () => {
    for (let i = 0; i < 5; ++i) {
      const loss = step();
      await loss.data();
      loss.dispose();
    }
  });
  process.stderr.write(profileTable(profile));
}
process.stdout.write(`${JSON.stringify({ ready: true, flops })}\n`);

async function run(count: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < count; ++i) {
    const loss = step();
    if (mode === 'sync') loss.dataSync();
    else if (mode === 'await' || i + 1 === count) await loss.data();
    loss.dispose();
  }
  return (performance.now() - start) / count;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [, count = '1'] = line.split(' ');
  process.stdout.write(`${JSON.stringify({ ms: await run(Number(count)), memory: tf.memory().numTensors })}\n`);
}
