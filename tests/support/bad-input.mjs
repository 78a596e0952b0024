// Gives every kernel input that is wrong, past the checks of tfjs-core, and reports whatever is not refused properly.
//   node tests/support/bad-input.mjs [part of a kernel's name]
// Calls that are right come from tests/fixtures/kernel-calls.json; each input and attribute is spoiled in turn. Every attempt is
// named on stderr before it is made, so that a crash has a name. Prints one line of JSON: { attempts, refused, ran, problems }.
// A problem is an attempt that ended with E_INTERNAL, with a TypeError or the like, with a result that does not fit its shape, or
// that left tensors behind. Needs the addon and dist/.
import { readFileSync, writeSync } from 'node:fs';

import * as tf from '@tensorflow/tfjs-core';
import '../../dist/index.js';
import { kernelTable } from '../../dist/backend/kernels/table.js';

// The stock backend advertises another package at its first use.
const { warn } = console;
console.warn = (text) => (String(text).includes('Node.js') ? undefined : warn(text));
await import('@tensorflow/tfjs-backend-cpu');

// What is too large for this is refused at once; without it some wrong sizes would be filled for minutes.
process.env.TENSORKILN_MEMORY_LIMIT = '64M';
const OURS = 'tensorkiln-cpu';
const [wanted = '', from = ''] = process.argv.slice(2);
const calls = [
  ...JSON.parse(readFileSync(new URL('../fixtures/kernel-calls.json', import.meta.url), 'utf8')),
  // The specs use larger tensors for these.
  {
    kernel: 'LogSoftmax',
    inputs: { logits: { shape: [2, 3], dtype: 'float32', values: [1, 2, 3, 4, 5, 6] } },
    attrs: { axis: 1 },
  },
  {
    kernel: 'RotateWithOffset',
    inputs: { image: { shape: [1, 2, 3, 1], dtype: 'float32', values: [1, 2, 3, 4, 5, 6] } },
    attrs: { radians: 0.5, fillValue: [0, 0, 0], center: [0.5, 0.5] },
  },
  {
    kernel: 'LRNGrad',
    inputs: Object.fromEntries(
      ['x', 'y', 'dy'].map((name) => [name, { shape: [1, 1, 1, 4], dtype: 'float32', values: [1, 2, 3, 4] }]),
    ),
    attrs: { depthRadius: 2, bias: 1, alpha: 1, beta: 0.5 },
  },
];
const DTYPES = ['float32', 'int32', 'bool', 'complex64', 'string'];
const WRONG_NUMBERS = [-1, 0, 1.5, 7, NaN, Infinity, 2 ** 31, -(2 ** 31), 1e20];
const PATIENCE_SECONDS = 5;
const WRONG_INDICES = [-1, 1000, 2 ** 31 - 1, -(2 ** 31)];

const backend = tf.backend();
const engine = tf.engine();
const problems = [];
const counts = { attempts: 0, refused: 0, ran: 0 };

const isTensor = (value) => typeof value === 'object' && value !== null && Object.hasOwn(value, 'dtype');
const sizeOf = (shape) => shape.reduce((product, dim) => product * dim, 1);

/** Attributes as they were: JSON has no NaN and no infinity. */
function revive(value) {
  if (Array.isArray(value)) return value.map(revive);
  return typeof value === 'object' && value !== null && 'number' in value ? Number(value.number) : value;
}

/** Values of another dtype or number, made of those that are there. */
function valuesFor(dtype, size, given) {
  const at = (i) => given[i % Math.max(given.length, 1)] ?? 0;
  const number = (i) => {
    const value = revive(at(i));
    return typeof value === 'number' ? value : 1;
  };
  const list = (f) => Array.from({ length: size }, (_, i) => f(i));
  if (dtype === 'string') return list((i) => String(at(i)));
  if (dtype === 'bool') return Uint8Array.from(list((i) => (number(i) === 0 ? 0 : 1)));
  if (dtype === 'int32') return Int32Array.from(list(number));
  if (dtype === 'complex64') return Float32Array.from({ length: 2 * size }, (_, i) => number(i));
  return Float32Array.from(list(number));
}

function make({ shape, dtype, values, state }) {
  const all = valuesFor(dtype, sizeOf(shape), values);
  if (dtype === 'complex64') {
    const part = (offset) =>
      tf.tensor(
        all.filter((_, i) => i % 2 === offset),
        shape,
        'float32',
      );
    const [real, imag] = [part(0), part(1)];
    const z = tf.complex(real, imag);
    tf.dispose([real, imag]);
    return z;
  }
  if (state === 'foreign') tf.setBackend('cpu');
  const tensor = tf.tensor(all, shape, dtype);
  if (state === 'foreign') tf.setBackend(OURS);
  if (state === 'disposed') tensor.dispose();
  return tensor;
}

/** Replaces every tensor description; arrays of them stay arrays. */
function mapTensors(value, f) {
  if (Array.isArray(value)) return value.map((one) => mapTensors(one, f));
  if (isTensor(value)) return f(value);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mapTensors(one, f)]));
}

/** Paths of all tensors, for example ['x'] or ['rowPartitionTensors', '0']. */
function tensorPaths(value, path = []) {
  if (isTensor(value)) return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) => tensorPaths(one, [...path, key]));
}

function withValueAt(root, path, change) {
  if (path.length === 0) return change(root);
  const [key, ...rest] = path;
  const copy = Array.isArray(root) ? [...root] : { ...root };
  copy[key] = withValueAt(root[key], rest, change);
  return copy;
}

/** Ways to spoil one tensor. */
function* wrongTensors(tensor) {
  const { shape } = tensor;
  const shaped = (wrong) => ({ ...tensor, shape: wrong });
  yield ['missing', () => undefined];
  yield ['null', () => null];
  yield ['a number', () => 3];
  yield ['disposed', () => ({ ...tensor, state: 'disposed' })];
  yield ['of rank + 1', () => shaped([...shape, 1])];
  yield ['of rank + 1 in front', () => shaped([2, ...shape])];
  yield ['of rank 9', () => shaped([1, 1, 1, 1, 1, 1, 1, 1, 2])];
  if (shape.length > 0) yield ['of rank - 1', () => shaped(shape.slice(1))];
  if (shape.length > 0) yield ['a scalar', () => shaped([])];
  for (let axis = 0; axis < shape.length; ++axis) {
    for (const dim of [0, shape[axis] + 1, 2 * shape[axis] + 3]) {
      yield [`with dimension ${axis} = ${dim}`, () => shaped(shape.map((old, i) => (i === axis ? dim : old)))];
    }
  }
  for (const dtype of DTYPES) {
    if (dtype !== tensor.dtype) yield [`of ${dtype}`, () => ({ ...tensor, dtype })];
  }
  if (tensor.dtype === 'int32') {
    for (const index of WRONG_INDICES) {
      yield [`all ${index}`, () => ({ ...tensor, values: [index] })];
      yield [`ending in ${index}`, () => ({ ...tensor, values: [...tensor.values.slice(0, -1), index] })];
      yield [`beginning with ${index}`, () => ({ ...tensor, values: [index, ...tensor.values.slice(1)] })];
    }
  }
}

/** Ways to spoil one attribute. */
function* wrongAttributes(key, value) {
  yield ['missing', undefined];
  if (typeof value === 'number') {
    for (const wrong of WRONG_NUMBERS) yield [String(wrong), wrong];
    yield ['a text', 'x'];
    yield ['a list', [value, value]];
  } else if (Array.isArray(value)) {
    yield ['empty', []];
    yield ['shorter', value.slice(0, -1)];
    yield ['longer', [...value, value.at(-1) ?? 1]];
    yield ['a number', 1];
    yield ['null', null];
    const numeric = value.every((one) => typeof one === 'number');
    if (numeric) {
      for (const wrong of WRONG_NUMBERS) {
        yield [`all ${wrong}`, value.map(() => wrong)];
        for (let i = 0; i < value.length; ++i) yield [`${i} = ${wrong}`, value.map((one, j) => (i === j ? wrong : one))];
      }
      yield ['of rank 9', [1, 1, 1, 1, 1, 1, 1, 1, 1]];
      // Every n-gram of such a width is text to be made: slow, and right.
      if (key !== 'nGramWidths') yield ['huge', [65536, 65536, 65536, 65536]];
    } else {
      for (let i = 0; i < value.length; ++i) {
        if (!Array.isArray(value[i])) continue;
        for (const wrong of WRONG_NUMBERS) {
          yield [`${i} all ${wrong}`, value.map((one, j) => (i === j ? one.map(() => wrong) : one))];
        }
        yield [`${i} empty`, value.map((one, j) => (i === j ? [] : one))];
      }
    }
  } else if (typeof value === 'string') {
    yield ['nonsense', 'nonsense'];
    yield ['empty', ''];
    yield ['a number', 3];
  } else if (value !== undefined && value !== null && typeof value !== 'boolean') {
    yield ['a number', 3];
  }
}

function isProper(error) {
  if (!(error instanceof Error)) return false;
  if ('code' in error) return error.code.startsWith('E_') && error.code !== 'E_INTERNAL';
  // tfjs-core's own checks throw plain errors; anything else came about by accident.
  return error.constructor === Error;
}

function outputsOf(result) {
  return Array.isArray(result) ? result : [result];
}

/** The values of all results; throws what the engine reports late. */
function readAll(result) {
  return outputsOf(result).map((tensor) => {
    const values = tensor.dataSync();
    const expected = tensor.size * (tensor.dtype === 'complex64' ? 2 : 1);
    if (values.length !== expected) throw new Error(`silent: ${values.length} values for shape [${tensor.shape}]`);
    if (!tensor.shape.every((dim) => Number.isInteger(dim) && dim >= 0)) throw new Error(`silent: shape [${tensor.shape}]`);
    return values;
  });
}

function attempt(name, { kernel, inputs, attrs }) {
  writeSync(2, `${name}\n`);
  counts.attempts++;
  const made = [];
  const before = backend.numDataIds();
  const started = performance.now();
  const problem = (text) => {
    problems.push(`${name}: ${text}`);
    writeSync(2, `PROBLEM ${text}\n`);
  };
  let values;
  try {
    const tensors = mapTensors(inputs, (tensor) => {
      made.push(make(tensor));
      return made.at(-1);
    });
    let result;
    try {
      result = engine.runKernel(kernel, tensors, attrs);
      values = readAll(result);
      backend.engine.sync();
      counts.ran++;
    } catch (error) {
      counts.refused++;
      if (!isProper(error) || error.message.startsWith('silent')) {
        problem(`${error?.code ?? error?.constructor?.name}: ${String(error?.message).split('\n')[0].slice(0, 200)}`);
      }
      // What was enqueued before the refusal may complain too; it belongs to this attempt.
      try {
        backend.engine.sync();
      } catch (late) {
        if (!isProper(late)) problem(`later ${late?.code}: ${String(late?.message).slice(0, 200)}`);
      }
    }
    if (result !== undefined) tf.dispose(result);
  } finally {
    tf.dispose(made.filter((tensor) => !tensor.isDisposed));
  }
  // Work without end is no answer either. A thousand times what the slowest right call takes.
  const seconds = (performance.now() - started) / 1000;
  if (seconds > PATIENCE_SECONDS) problem(`took ${seconds.toFixed(1)} s`);
  const left = backend.numDataIds() - before;
  if (left !== 0) problem(`left ${left} data ids behind`);
  return values;
}

function sameValues(a, b) {
  return JSON.stringify(a?.map((list) => [...list].map(String))) === JSON.stringify(b?.map((list) => [...list].map(String)));
}

const known = new Set(kernelTable.map(({ name }) => name));
for (const { name } of kernelTable) {
  if (!calls.some(({ kernel }) => kernel === name))
    problems.push(`${name}: no call to spoil: run tests/conformance/record-kernels.mjs`);
}
const right = tf.tensor1d([1, 2, 3]);
for (const [number, call] of calls.entries()) {
  const { kernel } = call;
  if (!known.has(kernel) || !kernel.includes(wanted) || kernel < from) continue;
  const attrs = Object.fromEntries(Object.entries(call.attrs).map(([key, value]) => [key, revive(value)]));
  const good = { ...call, attrs };
  const reference = attempt(`${kernel} #${number} as it is`, good);
  for (const path of tensorPaths(call.inputs)) {
    const place = `${kernel} #${number} ${path.join('.')}`;
    let tensor;
    withValueAt(call.inputs, path, (found) => (tensor = found));
    for (const [what, change] of wrongTensors(tensor)) {
      attempt(`${place} ${what}`, { ...good, inputs: withValueAt(call.inputs, path, change) });
    }
    if (tensor.dtype !== 'complex64') {
      const foreign = withValueAt(call.inputs, path, (found) => ({ ...found, state: 'foreign' }));
      const values = attempt(`${place} of another backend`, { ...good, inputs: foreign });
      if (!sameValues(values, reference)) problems.push(`${place} of another backend: gives another result`);
    }
  }
  for (const [key, value] of Object.entries(attrs)) {
    for (const [what, wrong] of wrongAttributes(key, value)) {
      attempt(`${kernel} #${number} ${key} ${what}`, { ...good, attrs: { ...attrs, [key]: wrong } });
    }
  }
  const sum = tf.add(right, 1);
  if ([...sum.dataSync()].join() !== '2,3,4') problems.push(`${kernel} #${number}: tf.add is wrong afterwards`);
  sum.dispose();
}
process.stdout.write(`${JSON.stringify({ ...counts, problems })}\n`);
