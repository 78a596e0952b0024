/**
 * Random steps: graphs of ops with gradients, optimizer steps in place, retained and shared tensors, dropout. Each is run eagerly,
 * replayed as recorded and replayed optimised; all three must agree bit for bit in results, weights and random states.
 */
import * as tf from '@tensorflow/tfjs-core';
import { dropout, layerNorm, linear, RandomState, softmaxCrossEntropy } from '../../ts/backend/custom/index.js';
import { compile } from '../../ts/backend/plan.js';
import { Adam, SGD, type Optimizer } from '../../ts/optim/index.js';
import { randomSource } from './describe-model.js';

type Random = () => number;
type Pool = tf.Tensor[];

/** What a step works on; every way of running has its own, equal at the start. */
interface World {
  readonly variables: readonly tf.Variable[];
  readonly captured: readonly tf.Tensor[];
  readonly random: RandomState;
  readonly optimizer: Optimizer;
}

interface Sizes {
  readonly rows: number;
  readonly cols: number;
}

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const bits = (values: ArrayLike<number>): number[] => [...new Uint32Array(Float32Array.from(values).buffer)];

/** A tensor of the pool that `fits`; the first one does. */
function choose(random: Random, pool: Pool, fits: (x: tf.Tensor) => boolean): tf.Tensor {
  return pick(random, pool.filter(fits));
}

/** A filter of 3 x 3. */
const EDGES = [0.5, -0.25, 0, 0.25, 1, -0.5, 0, 0.125, 0.25];

const isMatrix =
  ({ rows, cols }: Sizes) =>
  (x: tf.Tensor): boolean =>
    x.rank === 2 && x.shape[0] === rows && x.shape[1] === cols;

/** Ops on a matrix that have gradients; all results are matrices of the same shape. */
function smoothOp(random: Random, pool: Pool, world: World, sizes: Sizes): tf.Tensor {
  const { rows, cols } = sizes;
  const fits = isMatrix(sizes);
  const x = choose(random, pool, fits) as tf.Tensor2D;
  const y = choose(random, pool, fits) as tf.Tensor2D;
  const row = world.variables[1] as tf.Tensor;
  const square = world.variables[2] as tf.Tensor2D;
  const ops: (() => tf.Tensor)[] = [
    () => tf.add(x, y),
    () => tf.sub(x, y),
    () => tf.mul(x, y),
    () => tf.add(x, row),
    () => tf.mul(row, x),
    () => tf.div(x, tf.add(tf.abs(y), 1.5)),
    () => tf.relu(x),
    () => tf.sigmoid(x),
    () => tf.tanh(x),
    () => tf.softplus(x),
    () => tf.elu(x),
    () => tf.leakyRelu(x, 0.1),
    () => tf.square(x),
    () => tf.exp(tf.clipByValue(x, -2, 2)),
    () => tf.sqrt(tf.add(tf.square(x), 0.25)),
    () => tf.neg(x),
    () => tf.maximum(x, y),
    () => tf.mul(x, pick(random, [0.5, 2, -1, 3])),
    () => tf.softmax(x),
    () => tf.logSoftmax(x),
    () => tf.sub(x, tf.mean(x, 1, true)),
    () => tf.mul(x, tf.sum(y, 1, true)),
    () => tf.add(x, tf.mean(y, 0)),
    () => tf.add(x, tf.max(y, 1, true)),
    () => tf.matMul(x, square),
    () => tf.matMul(x, square, false, true),
    () => tf.matMul(x, tf.transpose(square)),
    () => tf.matMul(tf.matMul(x, y, false, true), y),
    () => tf.reshape(tf.mul(tf.reshape(x, [rows * cols]), 1.25), [rows, cols]),
    () => tf.transpose(tf.relu(tf.transpose(x))),
    () => tf.concat([tf.slice(x, [0, 0], [1, cols]), tf.slice(y, [1, 0], [rows - 1, cols])], 0),
    () => tf.where(tf.greater(world.captured[0] as tf.Tensor, 0), x, tf.mul(y, 0.5)),
    () => dropout(x, 0.3, world.random),
    () => layerNorm(x, { scale: row }),
    () => linear(x, square, { bias: row, activation: 'gelu' }),
    // The matrix as an image of one channel, and as one pixel per row.
    () =>
      tf.reshape(tf.conv2d<tf.Tensor4D>(tf.reshape(x, [1, rows, cols, 1]), tf.tensor4d(EDGES, [3, 3, 1, 1]), 1, 'same'), [
        rows,
        cols,
      ]),
    () =>
      tf.reshape(tf.conv2d<tf.Tensor4D>(tf.reshape(x, [1, rows, 1, cols]), tf.reshape(square, [1, 1, cols, cols]), 1, 'same'), [
        rows,
        cols,
      ]),
    () => tf.add(x, world.captured[0] as tf.Tensor),
    () => tf.mul(x, tf.tensor1d(Array.from({ length: cols }, (_, i) => 1 / (i + 1)))),
    () => tf.add(x, tf.fill([rows, 1], 0.125)),
    () => tf.add(x, tf.mul(tf.scalar(2), tf.scalar(0.75))),
    () => tf.clone(x),
    () =>
      tf.gather(
        x,
        tf.tensor1d(
          Array.from({ length: rows }, (_, i) => (i * 7) % rows),
          'int32',
        ),
      ),
    () =>
      tf.pad(tf.slice(x, [0, 0], [rows - 1, cols]), [
        [0, 1],
        [0, 0],
      ]),
  ];
  return pick(random, ops)();
}

/** Ops without gradients, of any shape. */
function otherOp(random: Random, pool: Pool, sizes: Sizes): tf.Tensor {
  const x = choose(random, pool, isMatrix(sizes));
  const ops: (() => tf.Tensor)[] = [
    () => tf.cast(tf.cast(x, 'int32'), 'float32'),
    () => tf.argMax(x, 1),
    () => tf.floor(x),
    () => tf.sign(x),
    () => tf.cast(tf.logicalNot(tf.lessEqual(x, 0.1)), 'float32'),
    () => tf.sum(x),
    () => tf.mean(x, 0),
    () => tf.min(x, 1),
    () => tf.cumsum(x, 1),
    () => tf.reshape(x, [sizes.cols, sizes.rows]),
    () => tf.slice(x, [1, 0], [1, sizes.cols]),
    () => tf.round(tf.mul(x, 4)),
    () => tf.topk(x, 1).values,
  ];
  return pick(random, ops)();
}

/** The step of a seed. The same seed makes the same calls, whatever the values are. */
function stepOf(seed: number, sizes: Sizes, world: World): (x: tf.Tensor, labels: tf.Tensor) => tf.Tensor[] {
  return (x, labels) => {
    const random = randomSource(seed);
    const kept: tf.Tensor[] = [];
    const objective = (): tf.Scalar => {
      const pool: Pool = [tf.add(x, world.variables[0] as tf.Tensor)];
      const calls = 2 + Math.floor(random() * 10);
      for (let i = 0; i < calls; ++i) pool.push(smoothOp(random, pool, world, sizes));
      const last = pool.at(-1) as tf.Tensor2D;
      if (random() < 0.5) kept.push(tf.keep(tf.mul(last, 2)));
      return random() < 0.3
        ? tf.mean(softmaxCrossEntropy(last, labels as tf.Tensor1D))
        : tf.mean<tf.Scalar>(tf.square(tf.sub(last, tf.clipByValue(x as tf.Tensor2D, -1, 1))));
    };
    const before = random() < 0.3 ? [(world.variables[0] as tf.Variable).clone()] : [];
    const { value, grads } = tf.variableGrads(objective, [...world.variables]);
    const pool: Pool = [x, ...kept, ...before, world.variables[0] as tf.Tensor].filter(isMatrix(sizes));
    const outputs: tf.Tensor[] = [value, ...before];
    const extra = Math.floor(random() * 5);
    for (let i = 0; i < extra; ++i) {
      const made = random() < 0.5 ? otherOp(random, pool, sizes) : smoothOp(random, pool, world, sizes);
      if (made.dtype === 'float32') pool.push(made);
      if (random() < 0.5) outputs.push(made);
    }
    if (random() < 0.8) {
      const gradients = world.variables.map((variable) => grads[variable.name] ?? tf.zerosLike(variable));
      world.optimizer.apply(Object.fromEntries(gradients.map((gradient, i) => [`v${String(i)}`, gradient])));
    }
    if (random() < 0.3) outputs.push(world.variables[0] as tf.Tensor);
    if (random() < 0.3) outputs.push(x);
    if (random() < 0.2) outputs.push(outputs[0] as tf.Tensor);
    // Made after the update: sees the new weights.
    if (random() < 0.3) outputs.push(tf.sum(world.variables[0] as tf.Tensor));
    const results = outputs.map((output) => output.clone());
    tf.dispose(kept);
    return results;
  };
}

function makeWorld(seed: number, { rows, cols }: Sizes): World {
  const random = randomSource(seed + 1e6);
  const values = (shape: [number, number] | [number]): tf.Tensor =>
    tf.tensor(
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random() - 0.5),
      shape,
    );
  const shapes: readonly ([number, number] | [number])[] = [[rows, cols], [cols], [cols, cols]];
  const variables = shapes.map((shape) => tf.tidy(() => tf.variable(values(shape))));
  const optimizer = random() < 0.5 ? new Adam({ learningRate: 0.01 }) : new SGD({ learningRate: 0.05, momentum: 0.9 });
  optimizer.bind(Object.fromEntries(variables.map((variable, i) => [`v${String(i)}`, variable])));
  return { variables, captured: [values([rows, cols])], random: new RandomState(seed), optimizer };
}

function disposeWorld(world: World): void {
  tf.dispose([...world.variables, ...world.captured]);
  world.random.dispose();
  world.optimizer.dispose();
}

interface Outcome {
  /** Bits of each result of each step, then of the weights and the random state. */
  readonly results: number[][];
  readonly programs: string[];
}

/** Four steps with other inputs and another learning rate each. */
async function runWay(seed: number, sizes: Sizes, way: 'eager' | 'plain' | 'optimised'): Promise<Outcome> {
  const world = makeWorld(seed, sizes);
  const step = stepOf(seed, sizes, world);
  const compiled = way === 'eager' ? undefined : compile(step, { optimize: way === 'optimised' });
  const random = randomSource(seed + 2e6);
  const pending: Promise<ArrayLike<number>>[] = [];
  for (let i = 0; i < 4; ++i) {
    const { rows, cols } = sizes;
    const x = tf.tensor2d(
      Float32Array.from({ length: rows * cols }, () => 2 * random() - 1),
      [rows, cols],
    );
    const labels = tf.tensor1d(
      Int32Array.from({ length: rows }, () => Math.floor(random() * cols)),
      'int32',
    );
    world.optimizer.learningRate = 0.01 * (i + 1);
    const outputs = compiled === undefined ? tf.tidy(() => step(x, labels)) : compiled(x, labels);
    // The captured tensor lives on in the plan.
    if (i === 2 && compiled !== undefined) tf.dispose([...world.captured]);
    for (const output of outputs) pending.push(output.data());
    tf.dispose([...outputs, x, labels]);
  }
  for (const variable of world.variables) pending.push(variable.data());
  const results = (await Promise.all(pending)).map(bits);
  const { counter } = await world.random.getState();
  const programs = compiled?.programs() ?? [];
  compiled?.dispose();
  disposeWorld(world);
  return { results: [...results, [...counter]], programs };
}

/**
 * Runs a seed in all three ways.
 *
 * @returns the optimised program's text
 * @throws Error naming the seed, what differs and the program when they disagree
 */
export async function checkGraph(seed: number): Promise<string> {
  const random = randomSource(seed);
  const sizes = { rows: pick(random, [2, 3, 7, 16, 33, 70]), cols: pick(random, [2, 5, 8, 17, 64, 130]) };
  const eager = await runWay(seed, sizes, 'eager');
  let text = '';
  for (const way of ['plain', 'optimised'] as const) {
    const { results, programs } = await runWay(seed, sizes, way);
    const wrong = eager.results.findIndex((values, i) => String(values) !== String(results[i]));
    if (wrong >= 0 || results.length !== eager.results.length) {
      throw new Error(
        `seed ${String(seed)}, ${way}: result ${String(wrong)} of ${String(eager.results.length)} differs\n${programs.join('\n')}`,
      );
    }
    text = programs.join('\n');
  }
  return text;
}
