/**
 * One subject of bench/steps in a process of its own: worker <model> <sync|await|queued> [wasm]. Answers each line
 * `run <count>` with the milliseconds per step of that many steps, and ends at the end of its input.
 */
import * as tf from '@tensorflow/tfjs-core';
import { createInterface } from 'node:readline';
import { profileExecution, profileTable } from 'tensorkiln';
import { makeSubject } from './models.js';
import { isStock, makeStockSubject } from './stock.js';

const [model = '', mode = 'queued', backend] = process.argv.slice(2);
if (backend === 'wasm') {
  // Tensorkiln registers the gradients, which tfjs-core leaves out in Node; the kernels are those of the backend.
  await import('@tensorflow/tfjs-backend-wasm');
  if (!(await tf.setBackend('wasm'))) throw new Error('the wasm backend does not start');
}
const { step, programs, flops } = isStock(model) ? makeStockSubject(model) : makeSubject(model);
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
