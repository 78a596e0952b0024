// Creates tensors and forgets them without dispose; memory must not grow. Prints { cycles, settledMb, endMb, handles }.
import * as tf from '@tensorflow/tfjs-core';
import '../../../dist/index.js';

const cycles = Number(process.argv[2]);
let settledMb = 0;
for (let cycle = 0; cycle < cycles; cycle++) {
  const a = tf.fill([256, 256], cycle);
  const b = a.add(1).mul(2);
  if (cycle % 100 === 0 && (await b.data())[0] !== (cycle + 1) * 2) throw new Error(`wrong value in cycle ${cycle}`);
  else await new Promise((resolve) => setImmediate(resolve));
  if (cycle === Math.floor(cycles / 4)) settledMb = process.memoryUsage.rss() / 2 ** 20;
}
const endMb = process.memoryUsage.rss() / 2 ** 20;
console.log(JSON.stringify({ cycles, settledMb, endMb, native: tf.memory().native }));
