// Creates tensors and forgets them without dispose; what garbage collection gives back must be all of it.
// Prints { cycles, settledMb, endMb, livingBytes, peakMb }: resident sizes after a collection, a quarter of the way and at the end.
import * as tf from '@tensorflow/tfjs-core';
import '../../../dist/index.js';
import { loadNative } from '../../../dist/native/load.js';

const addon = loadNative();
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function quietResidentMb() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await turn();
    await turn();
  }
  await addon.settled();
  addon.trim();
  return process.memoryUsage.rss() / 2 ** 20;
}

const cycles = Number(process.argv[2]);
let settledMb = 0;
for (let cycle = 0; cycle < cycles; cycle++) {
  const a = tf.fill([256, 256], cycle);
  const b = a.add(1).mul(2);
  if (cycle % 100 === 0 && (await b.data())[0] !== (cycle + 1) * 2) throw new Error(`wrong value in cycle ${cycle}`);
  else await turn();
  if (cycle === Math.floor(cycles / 4)) settledMb = await quietResidentMb();
}
const endMb = await quietResidentMb();
const { live, peak } = tf.memory().native;
console.log(JSON.stringify({ cycles, settledMb, endMb, livingBytes: live, peakMb: peak / 2 ** 20 }));
