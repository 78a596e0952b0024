// Runs into the memory budget (TENSORKILN_MEMORY_LIMIT) and goes on. Prints { code, message, kept, after }.
import * as tf from '@tensorflow/tfjs-core';
import '../../../dist/index.js';

const kept = [];
let failure;
try {
  for (let i = 0; i < 1000; i++) kept.push(tf.fill([1024, 1024], i).add(0.5));
} catch (error) {
  failure = error;
}
const values = [];
// The budget is used up to the last byte: something must go before anything new can come.
kept.pop().dispose();
for (const tensor of kept) {
  const last = tensor.slice([1023, 1023], [1, 1]);
  values.push((await last.data())[0]);
  last.dispose();
}
const intact = values.every((value, i) => value === i + 0.5);
let single;
try {
  tf.fill([65536, 65536], 1);
} catch (error) {
  single = error;
}
tf.dispose(kept);
const again = tf.fill([1024, 1024], 3).matMul(tf.ones([1024, 1]));
const after = (await again.data())[0];
console.log(
  JSON.stringify({ code: failure?.code, message: failure?.message, count: kept.length, intact, single: single?.code, after }),
);
