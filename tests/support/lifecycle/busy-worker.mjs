// Keeps the engine of a worker busy until it is terminated: in the middle of calls, of waits and of pending reads.
import { parentPort, workerData } from 'node:worker_threads';
import { loadNative } from '../../../dist/native/load.js';

const addon = loadNative();
const side = 192;
const values = Float32Array.from({ length: side * side }, (_, i) => ((i * 7919) % 13) / 13 - 0.5);
let state = addon.create(0, values);
const weight = addon.create(0, values);

const square = `f32[1,${side},${side}]`;
const calls = `
%2: ${square} = matmul(%0: ${square}, %1: ${square}) {transpose_a=0, transpose_b=0}
%3: ${square} = tanh(%2: ${square})`;

function step() {
  const made = addon.runText(calls, { '%0': state, '%1': weight });
  addon.release(state);
  addon.release(made['%2']);
  state = made['%3'];
}

step();
parentPort.postMessage('running');
for (;;) {
  for (let i = 0; i < 40; i++) step();
  const target = new Float32Array(side * side);
  if (workerData.mode === 'sync') addon.readSync(state, target);
  else if (workerData.mode === 'read') await addon.read(state, target);
  else await new Promise((resolve) => setImmediate(resolve));
}
