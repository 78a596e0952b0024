// Trains and forgets for a long time and watches the resident size: a leak of any kind shows as growth.
//   node scripts/soak.mjs [--steps 100000] [--cycles 10000] [--quiet]
//     --steps   training steps: a third by tfjs-core's own Adam, a third by ours, a third replayed from a compiled step
//     --cycles  tensors of every dtype created and forgotten without dispose
//     --samples sizes taken per part, 40 when not said
//     --quiet   no line per sample, only the result
// The size after a garbage collection is sampled several times per part. The first quarter warms up; no later sample may lie more
// than 5 % above the lowest of the quarter that follows. Every part must also give back all tensors and native bytes it made.
// Ends with one line of JSON; exit code 1 when something grew or stayed behind. Needs the addon and dist/.
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as tf from '@tensorflow/tfjs-core';
import { Dense, Dropout, Sequential, crossEntropy } from '../dist/nn/index.js';
import { Adam } from '../dist/optim/index.js';
import { compile } from '../dist/index.js';
import { loadNative } from '../dist/native/load.js';

const LIMIT = 1.05;
/** Calls before anything is measured: V8 compiles the code and sizes its heap for it, some ten megabytes of its own. */
const WARM_UP = 1000;
/** Collections after which what is still there counts as left behind; finalizers may take a few turns. */
const PATIENCE = 20;
/** Fewest samples from which a warm-up, a base and the rest can be told apart. */
const MIN_SAMPLES = 8;
const ROWS = 32;
const FEATURES = 16;
const CLASSES = 4;

const { values: options } = parseArgs({
  options: {
    steps: { type: 'string', default: '100000' },
    cycles: { type: 'string', default: '10000' },
    samples: { type: 'string', default: '40' },
    quiet: { type: 'boolean', default: false },
  },
});
const [steps, cycles, samplesPerPart] = [options.steps, options.cycles, options.samples].map(Number);
const isCount = (count, least) => Number.isInteger(count) && count >= least;
if (!isCount(samplesPerPart, MIN_SAMPLES) || !isCount(steps, 3 * samplesPerPart) || !isCount(cycles, samplesPerPart)) {
  console.error(`soak: expected at least ${MIN_SAMPLES} samples, and per part as many steps or cycles as samples`);
  process.exit(2);
}
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const addon = loadNative();
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Resident bytes when nothing is under way and all garbage is gone. */
async function residentBytes() {
  // Finalizers run in the turn after a collection, and what they release may refer to more.
  for (let i = 0; i < 3; ++i) {
    collect();
    await turn();
  }
  await addon.settled();
  addon.trim();
  return process.memoryUsage.rss();
}

/** Calls `step(i)` `count` times after a warm-up; the report of how the resident size went. */
async function watch(name, count, step) {
  await residentBytes();
  const before = { tensors: tf.memory().numTensors, dataIds: tf.backend().numDataIds(), live: addon.memory().live };
  for (let i = 0; i < WARM_UP; ++i) await step(i);
  const every = Math.floor(count / samplesPerPart);
  const started = performance.now();
  const samples = [];
  for (let i = 1; i <= count; ++i) {
    await step(i);
    if (i % every !== 0) continue;
    samples.push((await residentBytes()) / 2 ** 20);
    if (!options.quiet) console.log(`${name} ${i}: ${samples.at(-1).toFixed(1)} MB`);
  }
  const quarter = Math.floor(samples.length / 4);
  const base = Math.min(...samples.slice(quarter, 2 * quarter));
  const highest = Math.max(...samples.slice(quarter));
  const leftNow = () => ({
    tensors: tf.memory().numTensors - before.tensors,
    dataIds: tf.backend().numDataIds() - before.dataIds,
    bytes: addon.memory().live - before.live,
  });
  for (let i = 0; i < PATIENCE && leftNow().dataIds !== 0; ++i) await residentBytes();
  const left = leftNow();
  return {
    name,
    count,
    seconds: Math.round((performance.now() - started) / 1000),
    baseMb: Number(base.toFixed(1)),
    highestMb: Number(highest.toFixed(1)),
    growth: Number((highest / base - 1).toFixed(4)),
    left,
    // The engine counts a forgotten tensor as alive for ever; the backend knows better.
    flat: highest <= base * LIMIT && left.dataIds === 0 && left.bytes === 0,
  };
}

function makeData() {
  const x = tf.randomNormal([ROWS, FEATURES], 0, 1, 'float32', 7);
  const labels = tf.tidy(() => tf.argMax(x.slice([0, 0], [ROWS, CLASSES]), 1));
  return { x, labels };
}

/** Steps of tfjs-core's own optimizer on variables, reading each loss. */
async function stockSteps(count) {
  const { x, labels } = makeData();
  const target = tf.tidy(() => tf.oneHot(labels, CLASSES).toFloat());
  const variables = [
    [FEATURES, 24],
    [24, CLASSES],
  ].map((shape) => tf.tidy(() => tf.variable(tf.randomNormal(shape, 0, 0.3))));
  const optimizer = tf.train.adam(1e-3);
  const step = async () => {
    const loss = optimizer.minimize(
      () => tf.losses.softmaxCrossEntropy(target, x.matMul(variables[0]).relu().matMul(variables[1])),
      true,
      variables,
    );
    await loss.data();
    loss.dispose();
  };
  // The optimizer makes its moments at the first step; the third to fifth make a compiled step of its updates.
  for (let i = 0; i < 6; ++i) await step();
  const report = await watch('steps, stock Adam', count, step);
  optimizer.dispose();
  tf.dispose([x, labels, target, ...variables]);
  return report;
}

/** Steps of a model with dropout and our Adam, eager or replayed. */
async function ownSteps(name, count, isCompiled) {
  const { x, labels } = makeData();
  const model = new Sequential({
    seed: 1,
    layers: [new Dense({ units: 24, activation: 'relu' }), new Dropout({ rate: 0.2 }), new Dense({ units: CLASSES })],
  });
  const optimizer = new Adam();
  model.build([FEATURES]);
  optimizer.bind(model.trainableVariables());
  const variables = model.trainableVariables();
  const eager = (features, targets) => {
    const objective = () => tf.mean(crossEntropy.rows(model.call(features, { training: true }), targets));
    const { value, grads } = tf.variableGrads(objective, Object.values(variables));
    optimizer.apply(Object.fromEntries(Object.entries(variables).map(([key, { name }]) => [key, grads[name]])));
    return value;
  };
  const compiled = compile(eager);
  const train = isCompiled ? compiled : (...batch) => tf.tidy(() => eager(...batch));
  const step = async (i) => {
    optimizer.learningRate = 1e-3 / (1 + 1e-4 * i);
    const loss = train(x, labels);
    await loss.data();
    loss.dispose();
  };
  for (let i = 0; i < 3; ++i) await step(i);
  const report = await watch(name, count, step);
  for (const made of [compiled, optimizer, model]) made.dispose();
  tf.dispose([x, labels]);
  return report;
}

/** Tensors of each dtype and a chain of ops, all forgotten: garbage collection has to give everything back. */
function forgetfulCycles(count) {
  return watch('cycles, forgotten', count, async (i) => {
    const a = tf.fill([128, 128], i);
    const b = a.add(1).mul(2);
    tf.complex(tf.fill([64], i), tf.fill([64], 1)).add(tf.complex([1], [2]));
    tf.tensor1d([`text ${i}`]);
    tf.equal(tf.slice(b, [1, 0], [4, 128]), 0).any();
    if (i % 100 === 0 && (await b.data())[0] !== (i + 1) * 2) throw new Error(`wrong value in cycle ${i}`);
    await turn();
  });
}

const third = Math.ceil(steps / 3);
const parts = [
  await stockSteps(third),
  await ownSteps('steps, own Adam', third, false),
  await ownSteps('steps, compiled', steps - 2 * third, true),
  await forgetfulCycles(cycles),
];
const flat = parts.every((part) => part.flat);
console.log(JSON.stringify({ flat, parts }));
process.exitCode = flat ? 0 : 1;
