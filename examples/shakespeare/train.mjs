// Trains a small GPT on the characters of tiny-shakespeare in nanoGPT's setting for a CPU: 4 layers, 4 heads, width 128, context 64,
// batches of 12, 2,000 steps, no dropout. Judged on all of the last tenth of the text; ends with a sample and the weights.
//   node examples/shakespeare/train.mjs [--seed 0] [--steps 2000] [--data <input.txt>] [--output <folder>] [--json <file>]
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { compile } from 'tensorkiln';
import { exportSafetensors } from 'tensorkiln/export';
import { createModel, crossEntropy } from 'tensorkiln/nn';
import { AdamW } from 'tensorkiln/optim';
import { decode, encode, readText, sample } from './text.mjs';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '0' },
    steps: { type: 'string', default: '2000' },
    data: { type: 'string' },
    output: { type: 'string' },
    json: { type: 'string' },
  },
});
const [seed, steps] = [Number(values.seed), Number(values.steps)];
const [length, batch] = [64, 12];
const RATE = { highest: 1e-3, lowest: 1e-4, warmUp: 100 };

const text = readText(values.data);
const characters = [...new Set(text)].sort();
const tokens = encode(text, characters);
const border = Math.floor(0.9 * tokens.length);
const [train, validation] = [tokens.subarray(0, border), tokens.subarray(border)];

const description = {
  architecture: 'gpt',
  inputShape: [length],
  vocabulary: characters.length,
  layers: 4,
  size: 128,
  heads: 4,
};
const model = createModel({ ...description, dropout: 0, seed });
model.build([length]);
const parameters = model.trainableVariables();
// As nanoGPT: what is no matrix does not decay.
const vectors = Object.keys(parameters).filter((name) => parameters[name].rank < 2);
const optimizer = new AdamW({
  learningRate: RATE.highest,
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0.1,
  clip: { globalNorm: 1 },
  groups: [{ parameters: vectors, weightDecay: 0 }],
});
optimizer.bind(parameters);

const loss = (x, y, training) => {
  const [scores] = model.apply([x], { training });
  return tf.mean(crossEntropy.rows(scores.reshape([-1, characters.length]), y.reshape([-1])));
};
const trainStep = compile((x, y) => {
  const { value, grads } = tf.variableGrads(() => loss(x, y, true), Object.values(parameters));
  optimizer.apply(Object.fromEntries(Object.entries(parameters).map(([key, one]) => [key, grads[one.name]])));
  return [value];
});
const judge = compile((x, y) => [loss(x, y, false)]);

/** Rows of characters and of those that follow, from the given places on. */
function rowsAt(source, places) {
  const rows = (shift) => {
    const out = new Int32Array(places.length * length);
    places.forEach((place, row) => out.set(source.subarray(place + shift, place + shift + length), row * length));
    return tf.tensor2d(out, [places.length, length], 'int32');
  };
  return [rows(0), rows(1)];
}

/** A warm-up in a straight line, then half a cosine. */
function rateAt(step) {
  if (step < RATE.warmUp) return (RATE.highest * (step + 1)) / (RATE.warmUp + 1);
  const share = (step - RATE.warmUp) / (steps - RATE.warmUp);
  return RATE.lowest + ((1 + Math.cos(Math.PI * share)) / 2) * (RATE.highest - RATE.lowest);
}

/** Mean loss of the whole validation part, each character judged once. */
async function validate() {
  const count = Math.floor((validation.length - 1) / length);
  let sum = 0;
  for (let row = 0; row < count; row += batch) {
    const places = Array.from({ length: Math.min(batch, count - row) }, (_, i) => (row + i) * length);
    const [x, y] = rowsAt(validation, places);
    const [mean] = judge(x, y);
    sum += (await mean.data())[0] * places.length;
    tf.dispose([x, y, mean]);
  }
  return sum / count;
}

const starts = await tf.tidy(() => tf.randomUniform([steps * batch], 0, train.length - length - 1, 'int32', seed + 1)).data();
const begin = performance.now();
for (let step = 0; step < steps; ++step) {
  optimizer.learningRate = rateAt(step);
  const [x, y] = rowsAt(train, [...starts.subarray(step * batch, (step + 1) * batch)]);
  const [value] = trainStep(x, y);
  tf.dispose([x, y]);
  // Now and then the queue is let run empty; in between the steps do not wait.
  if (step % 10 === 9 || step === steps - 1) {
    const [now] = await value.data();
    if ((step + 1) % 250 === 0 || step === steps - 1)
      console.log(`step ${step + 1}/${steps}  loss of the batch ${now.toFixed(3)}`);
  }
  value.dispose();
}
const seconds = (performance.now() - begin) / 1000;
const validationLoss = await validate();
console.log(`validation loss ${validationLoss.toFixed(4)} after ${steps} steps in ${seconds.toFixed(1)} s`);
console.log(decode(await sample(model, { start: encode('\n', characters), count: 300, length, seed }), characters));

if (values.output !== undefined) {
  mkdirSync(values.output, { recursive: true });
  await exportSafetensors(model, `${values.output}/model.safetensors`);
  writeFileSync(`${values.output}/text.json`, `${JSON.stringify({ characters: characters.join(''), length })}\n`);
}
if (values.json !== undefined) {
  const parameterCount = Object.values(parameters).reduce((sum, { size }) => sum + size, 0);
  const figures = {
    seed,
    steps,
    parameters: parameterCount,
    validation_loss: validationLoss,
    seconds,
    threads: process.env.TENSORKILN_THREADS,
  };
  writeFileSync(values.json, `${JSON.stringify(figures)}\n`);
}
