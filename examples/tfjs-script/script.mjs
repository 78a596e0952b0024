// A program for @tensorflow/tfjs-core and nothing else. It runs on Tensorkiln without a change:
//   node --import tensorkiln examples/tfjs-script/script.mjs
import * as tf from '@tensorflow/tfjs-core';

// y = 2 x^2 - x + 0.5, with a little noise that is the same every time.
const xs = tf.linspace(-1, 1, 200);
const noise = tf.mul(tf.sin(tf.mul(xs, 57)), 0.01);
const ys = tf.tidy(() => tf.add(tf.add(tf.sub(tf.mul(tf.square(xs), 2), xs), 0.5), noise));

const [a, b, c] = [0, 0, 0].map((value) => tf.variable(tf.scalar(value)));
const predict = (x) => tf.add(tf.add(tf.mul(a, tf.square(x)), tf.mul(b, x)), c);
const optimizer = tf.train.adam(0.1);
for (let step = 0; step < 300; ++step) {
  optimizer.minimize(() => tf.losses.meanSquaredError(ys, predict(xs)));
}

const loss = tf.tidy(() => tf.losses.meanSquaredError(ys, predict(xs)).dataSync()[0]);
const [learnedA, learnedB, learnedC] = [a, b, c].map((variable) => variable.dataSync()[0].toFixed(2));
console.log(`backend ${tf.getBackend()}`);
console.log(`y = ${learnedA} x^2 + ${learnedB} x + ${learnedC}, loss ${loss.toExponential(1)}`);
