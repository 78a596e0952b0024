// Two workers and the main thread train at once; each must end with the weights it reaches alone.
// Prints one line of JSON: { equal: boolean[] }.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import '../../../dist/index.js';
import { trainSmallModel } from './small-model.mjs';

const jobs = [1, 2, 3].map((seed) => ({ seed, steps: 80, hidden: 512 }));
const inWorker = async (job) => {
  const worker = new Worker(new URL('./training-worker.mjs', import.meta.url), { workerData: job });
  const [result] = await once(worker, 'message');
  await worker.terminate();
  return result;
};
const together = await Promise.all([trainSmallModel(tf, jobs[0]), inWorker(jobs[1]), inWorker(jobs[2])]);
const equal = [];
for (const [index, job] of jobs.entries()) {
  const alone = await trainSmallModel(tf, job);
  equal.push(alone.weights.length > 0 && alone.weights.every((value, i) => Object.is(value, together[index].weights[i])));
}
console.log(JSON.stringify({ equal }));
