/** Checks of the ops that no tfjs kernel calls: random numbers, dropout and optimizer steps, judged in double. */
import * as tf from '@tensorflow/tfjs-core';
import {
  ADAM_SCALARS,
  adamStep,
  attention,
  DeviceScalars,
  dropout,
  randomNormal,
  RandomState,
  randomUniform,
  SGD_SCALARS,
  sgdMomentumStep,
  sgdStep,
} from '../../../ts/backend/custom/index.js';
import { declareOp } from '../../../ts/native/engine.js';
import { currentBackend, tensorFromInfo } from '../../../ts/backend/tensors.js';
import { philoxBlock } from '../../../ts/backend/custom/philox.js';
import { randomSource, randomValues } from '../describe-model.js';
import { OURS } from './check.js';
import { near } from './near.js';
import { updateRuleChecks } from './update-rules.js';

export interface CustomCheck {
  readonly name: string;
  readonly check: () => void;
}

const KEY = 77;

/** The words of the generator for elements 0, 1, ...: Philox on the host, whose answers are checked against published ones. */
function words(count: number): number[] {
  const block = new Uint32Array(4);
  return Array.from({ length: Math.ceil(count / 4) }, (_, counter) => {
    philoxBlock(Uint32Array.of(counter, 0, 0, 0), Uint32Array.of(KEY, 0), block);
    return [...block];
  })
    .flat()
    .slice(0, count);
}

function checkState(state: RandomState, blocks: number): void {
  near('state', state.variable.dataSync(), [KEY, 0, blocks, 0], 0);
}

/** Box and Muller 1958: u is the upper word, never 0; the angle is the lower one. */
function normals(count: number): number[] {
  const drawn = words(count + 1);
  return Array.from({ length: count }, (_, i) => {
    const [upper, lower] = [drawn[i - (i % 2)]!, drawn[i - (i % 2) + 1]!];
    const radius = Math.sqrt(-2 * Math.log(Math.fround((upper >>> 1) | 1) / 2 ** 31));
    const angle = (2 * Math.PI * lower) / 2 ** 32;
    return radius * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
  });
}

function withState(body: (state: RandomState) => void): void {
  const state = new RandomState(KEY);
  try {
    body(state);
  } finally {
    state.dispose();
  }
}

function checkUniform(): void {
  withState((state) => {
    const expected = words(11).map((word) => (word >>> 8) / 2 ** 24);
    near('uniform', randomUniform([11], state).dataSync(), expected, 0);
    checkState(state, 3);
  });
  withState((state) => {
    const expected = words(11).map((word) => Math.floor((word / 2 ** 32) * 1000) - 500);
    near('integers', randomUniform([11], state, { dtype: 'int32', min: -500, max: 500 }).dataSync(), expected, 0);
  });
}

function checkNormal(): void {
  withState((state) => {
    // Logarithm, root, sine and product are good to some 4 units in the last place of numbers up to 6.
    near(
      'normal',
      randomNormal([10], state, { mean: 1, stddev: 2 }).dataSync(),
      normals(10).map((z) => 1 + 2 * z),
      4e-6,
    );
    checkState(state, 3);
  });
}

function checkDropout(): void {
  withState((state) => {
    const x = Float32Array.from({ length: 64 }, (_, i) => 1 + i / 64);
    const rate = 0.25;
    const kept = words(64).map((word) => word >>> 8 >= rate * 2 ** 24);
    const run = tf.valueAndGrad((input: tf.Tensor) => dropout(input, rate, state));
    const { value, grad } = run(tf.tensor1d(x), tf.fill([64], 3));
    // 1 / (1 - rate) and the product are rounded.
    near(
      'kept',
      value.dataSync(),
      kept.map((keep, i) => (keep ? x[i]! / (1 - rate) : 0)),
      3e-7,
    );
    near(
      'gradient',
      grad.dataSync(),
      kept.map((keep) => (keep ? 4 : 0)),
      3e-7,
    );
    checkState(state, 16);
  });
}

function checkAttentionDropout(): void {
  withState((state) => {
    const [keys, rate] = [6, 0.25];
    // Equal scores and the unit matrix as values: y is the factor of each weight, divided by their number.
    const x = tf.zeros([1, 2, 1, 1]);
    const unit = tf.reshape(tf.eye(keys), [1, keys, 1, keys]);
    const drawn = words(16);
    const kept = [0, 8].flatMap((row) => drawn.slice(row, row + keys).map((word) => word >>> 8 >= rate * 2 ** 24));
    const expected = kept.map((keep) => (keep ? 1 / (keys * (1 - rate)) : 0));
    const run = (v: tf.Tensor): tf.Tensor => attention(x, tf.zeros([1, keys, 1, 1]), v, { dropout: { rate, random: state } });
    const { value, grad } = tf.valueAndGrad(run)(unit, tf.ones([1, 2, 1, keys]));
    near('kept', value.dataSync(), expected, 3e-7);
    const sums = Array.from({ length: keys * keys }, (_, at) => {
      const key = Math.floor(at / keys);
      return expected[key]! + expected[keys + key]!;
    });
    near('gradient', grad.dataSync(), sums, 6e-7);
    checkState(state, 4);
  });
}

/** Two parameters with gradients; a second group of state after each. */
const SIZES = [5, 9];
const RATE = 0.125;
const DECAY = 0.25;

interface Group {
  readonly values: readonly Float32Array[];
  readonly variables: readonly tf.Variable[];
}

function group(seed: number, low = -1): Group {
  const random = randomSource(seed);
  const values = SIZES.map((count) => Float32Array.from({ length: count }, () => low + (1 - low) * random()));
  return { values, variables: values.map((value) => tf.variable(tf.tensor1d(value), false)) };
}

/** One update is a chain of some ten roundings of numbers near 1. */
const UPDATE = 2e-6;

function checkGroup(
  place: string,
  { values, variables }: Group,
  next: (value: number, tensor: number, index: number) => number,
): void {
  variables.forEach((variable, tensor) =>
    near(
      `${place} ${tensor}`,
      variable.dataSync(),
      Array.from(values[tensor]!, (value, i) => next(value, tensor, i)),
      UPDATE,
    ),
  );
}

function release(...groups: readonly Group[]): void {
  for (const { variables } of groups) variables.forEach((variable) => variable.dispose());
}

function checkSgd(): void {
  const [parameters, gradients] = [group(1), group(2)];
  const scalars = new DeviceScalars(SGD_SCALARS, { learningRate: RATE, momentum: 0, weightDecay: DECAY });
  sgdStep({ scalars, parameters: parameters.variables, gradients: gradients.variables });
  checkGroup('parameter', parameters, (p, t, i) => p - RATE * (gradients.values[t]![i]! + DECAY * p));
  scalars.dispose();
  release(parameters, gradients);
}

function checkMomentum(nesterov: boolean): void {
  const [parameters, gradients, velocities] = [group(1), group(2), group(3)];
  const momentum = 0.75;
  const scalars = new DeviceScalars(SGD_SCALARS, { learningRate: RATE, momentum, weightDecay: DECAY });
  const variables = { parameters: parameters.variables, gradients: gradients.variables, velocities: velocities.variables };
  sgdMomentumStep({ scalars, ...variables, nesterov });
  const slope = (t: number, i: number): number => gradients.values[t]![i]! + DECAY * parameters.values[t]![i]!;
  const velocity = (t: number, i: number): number => momentum * velocities.values[t]![i]! + slope(t, i);
  checkGroup('velocity', velocities, (_, t, i) => velocity(t, i));
  checkGroup(
    'parameter',
    parameters,
    (p, t, i) => p - RATE * (nesterov ? slope(t, i) + momentum * velocity(t, i) : velocity(t, i)),
  );
  scalars.dispose();
  release(parameters, gradients, velocities);
}

function checkAdam(decoupled: boolean): void {
  const [parameters, gradients, means, squares] = [group(1), group(2), group(3), group(4, 0.25)];
  const [beta1, beta2, epsilon] = [0.75, 0.875, 0.0625];
  const scalars = new DeviceScalars(ADAM_SCALARS, { learningRate: RATE, beta1, beta2, epsilon, weightDecay: DECAY });
  const step = tf.variable(tf.tensor1d([2], 'int32'), false);
  adamStep({
    scalars,
    step,
    parameters: parameters.variables,
    gradients: gradients.variables,
    means: means.variables,
    squares: squares.variables,
    decoupled,
  });
  const slope = (t: number, i: number): number =>
    gradients.values[t]![i]! + (decoupled ? 0 : DECAY * parameters.values[t]![i]!);
  const mean = (t: number, i: number): number => beta1 * means.values[t]![i]! + (1 - beta1) * slope(t, i);
  const square = (t: number, i: number): number => beta2 * squares.values[t]![i]! + (1 - beta2) * slope(t, i) ** 2;
  near('step', step.dataSync(), [3], 0);
  checkGroup('mean', means, (_, t, i) => mean(t, i));
  checkGroup('square', squares, (_, t, i) => square(t, i));
  checkGroup('parameter', parameters, (p, t, i) => {
    const shrunk = decoupled ? p * (1 - RATE * DECAY) : p;
    return shrunk - (RATE * (mean(t, i) / (1 - beta1 ** 3))) / (Math.sqrt(square(t, i) / (1 - beta2 ** 3)) + epsilon);
  });
  scalars.dispose();
  step.dispose();
  release(parameters, gradients, means, squares);
}

/** Ops without a kernel: the engine calls the one by itself, the other is kept for fused layers. */
const COPY = declareOp('copy');
const SOFTMAX_GRADIENT = declareOp('softmax_grad');

function checkCopy(): void {
  const x = tf.range(0, 9, 1);
  const backend = currentBackend();
  const copy = tensorFromInfo(backend.run(COPY, [backend.operand(x)], { shape: [9], dtype: 'float32' }), backend);
  near('copy', copy.dataSync(), x.dataSync(), 0);
}

const [ROWS, CLASSES] = [7, 5];

/** dx = y * (dy - sum(dy * y)) per row. */
function checkSoftmaxGradient(): void {
  const random = randomSource(5);
  const [dy, y] = [randomValues(random, ROWS * CLASSES), randomValues(random, ROWS * CLASSES)];
  const backend = currentBackend();
  const inputs = [dy, y].map((values) => backend.operand(tf.tensor2d(values, [ROWS, CLASSES])));
  const output = { shape: [ROWS, CLASSES], dtype: 'float32' } as const;
  const dx = tensorFromInfo(backend.run(SOFTMAX_GRADIENT, inputs, output), backend);
  const expected = Array.from(dy, (slope, i) => {
    const start = i - (i % CLASSES);
    const sum = dy.subarray(start, start + CLASSES).reduce((total, value, j) => total + value * y[start + j]!, 0);
    return y[i]! * (slope - sum);
  });
  // A sum of five products below 1 and two more roundings.
  near('softmax gradient', dx.dataSync(), expected, 2e-6);
}

function onOurs(check: () => void): () => void {
  return () => {
    void tf.setBackend(OURS);
    tf.tidy(check);
  };
}

export const customChecks: readonly CustomCheck[] = [
  { name: 'uniform random numbers', check: onOurs(checkUniform) },
  { name: 'normal random numbers', check: onOurs(checkNormal) },
  { name: 'dropout and its gradient', check: onOurs(checkDropout) },
  { name: 'dropout of attention and its gradient', check: onOurs(checkAttentionDropout) },
  { name: 'copy', check: onOurs(checkCopy) },
  { name: 'gradient of softmax in one op', check: onOurs(checkSoftmaxGradient) },
  { name: 'a step of gradient descent', check: onOurs(checkSgd) },
  { name: 'a step with momentum', check: onOurs(() => checkMomentum(false)) },
  { name: 'a step with look-ahead', check: onOurs(() => checkMomentum(true)) },
  { name: 'a step of Adam', check: onOurs(() => checkAdam(false)) },
  { name: 'a step of AdamW', check: onOurs(() => checkAdam(true)) },
  ...updateRuleChecks.map(({ name, check }) => ({ name, check: onOurs(check) })),
];
