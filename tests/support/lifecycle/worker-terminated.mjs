// The addon is loaded in workers only, each terminated in the middle of its work; then it is used in the main thread.
// Prints one line of JSON: { rounds, growthMb, value }.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const rounds = Number(process.argv[2]);
const modes = ['queue', 'sync', 'read'];
let settledRss = 0;
for (let round = 0; round < rounds; round++) {
  const worker = new Worker(new URL('./busy-worker.mjs', import.meta.url), { workerData: { mode: modes[round % 3] } });
  await once(worker, 'message');
  // A few milliseconds later each time, so that every state of a step is met.
  await new Promise((resolve) => setTimeout(resolve, round % 7));
  await worker.terminate();
  if (round === Math.floor(rounds / 4)) settledRss = process.memoryUsage.rss();
}
const growthMb = (process.memoryUsage.rss() - settledRss) / 2 ** 20;

const tf = await import('@tensorflow/tfjs-core');
await import('../../../dist/index.js');
const { trainSmallModel } = await import('./small-model.mjs');
const { losses } = await trainSmallModel(tf, { seed: 5, steps: 60 });
console.log(JSON.stringify({ rounds, growthMb, firstLoss: losses[0], lastLoss: losses.at(-1) }));
