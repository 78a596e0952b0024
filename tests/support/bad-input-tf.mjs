// Gives the public functions of tfjs-core wrong arguments while our backend works, and reports whatever does not end well.
//   node tests/support/bad-input-tf.mjs [part of a function's name]
// The checks of tfjs-core come first here, so a refusal may be any error of its own; what must not happen is a crash, E_INTERNAL,
// an accident in our code, values that do not fit their shape, tensors left behind, or an engine that is unusable afterwards.
// Every attempt is named on stderr before it is made. Prints one line of JSON: { attempts, refused, ran, problems }.
import { writeSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '../../dist/index.js';

// What is too large for this is refused at once; without it some wrong sizes would be filled for minutes.
process.env.TENSORKILN_MEMORY_LIMIT = '64M';
const [wanted = ''] = process.argv.slice(2);
const PATIENCE_SECONDS = 5;
const backend = tf.backend();
const problems = [];
const counts = { attempts: 0, refused: 0, ran: 0 };

/** A tensor to be made for each attempt. */
class Made {
  constructor(shape, dtype = 'float32', values = undefined) {
    Object.assign(this, { shape, dtype, values });
  }
  make() {
    const size = this.shape.reduce((product, dim) => product * dim, 1);
    const given = this.values ?? [1, 2, 3, 4];
    const values = Array.from({ length: size }, (_, i) => given[i % given.length] ?? 0);
    if (this.dtype === 'complex64')
      return tf.tidy(() => tf.complex(tf.tensor(values, this.shape), tf.tensor(values, this.shape)));
    if (this.dtype === 'string') return tf.tensor(values.map(String), this.shape, 'string');
    return tf.tensor(this.dtype === 'bool' ? values.map((value) => value !== 0) : values, this.shape, this.dtype);
  }
}
const t = (...args) => new Made(...args);
const ints = (values, shape = [values.length]) => t(shape, 'int32', values);

const [v, m, image, volume] = [t([4]), t([2, 3]), t([1, 4, 4, 2]), t([1, 3, 3, 3, 2])];
const UNARY =
  'abs acos acosh asin asinh atan atanh ceil cos cosh elu erf exp expm1 floor isFinite isInf isNaN log log1p logSigmoid neg ' +
  'reciprocal relu relu6 round rsqrt selu sigmoid sign sin sinh softplus sqrt square step tan tanh clone onesLike zerosLike';
const BINARY =
  'add sub mul div divNoNan floorDiv maximum minimum mod pow squaredDifference atan2 equal notEqual greater greaterEqual less ' +
  'lessEqual prelu dot outerProduct';
const REDUCING = 'sum mean prod max min logSumExp argMax argMin';

/**
 * Name of the function, then arguments that are right. Without functions that tfjs-core fills on the host (ones, eye, random
 * numbers): no backend sees their sizes, and a wrong one fills the memory of the machine.
 */
const CALLS = [
  ...UNARY.split(' ').map((name) => [name, m]),
  ...BINARY.split(' ').map((name) => [name, v, v]),
  ...REDUCING.split(' ').map((name) => [name, m, 0]),
  ...['all', 'any'].map((name) => [name, t([2, 3], 'bool'), [0], true]),
  ...['logicalAnd', 'logicalOr', 'logicalXor'].map((name) => [name, t([4], 'bool'), t([4], 'bool')]),
  ['logicalNot', t([4], 'bool')],
  ['bitwiseAnd', ints([1, 2]), ints([3, 1])],
  ['leakyRelu', m, 0.2],
  ['clipByValue', m, 1, 3],
  ['cast', m, 'int32'],
  ['where', t([2, 3], 'bool'), m, m],
  ['addN', [m, m]],
  ['cumsum', m, 1, false, true],
  ['cumprod', m, 1, false, true],
  ['softmax', m, 1],
  ['logSoftmax', m, 1],
  ['norm', m, 'euclidean', 1],
  ['moments', m, [0]],
  ['topk', m, 2],
  ['unique', v, 0],
  ['searchSorted', t([1, 4], 'float32', [1, 2, 3, 4]), t([1, 2]), 'left'],
  ['bincount', ints([0, 1, 1]), t([0]), 3],
  ['denseBincount', ints([0, 1, 1]), t([0]), 3, false],
  ['reshape', m, [3, 2]],
  ['expandDims', m, 1],
  ['squeeze', t([2, 1]), [1]],
  ['transpose', m, [1, 0]],
  ['slice', m, [0, 1], [1, 2]],
  ['stridedSlice', m, [0, 0], [2, 3], [1, 2]],
  [
    'pad',
    m,
    [
      [1, 0],
      [0, 1],
    ],
    0.5,
  ],
  [
    'mirrorPad',
    m,
    [
      [1, 0],
      [0, 1],
    ],
    'reflect',
  ],
  ['tile', m, [2, 1]],
  ['reverse', m, [0]],
  ['split', v, 2, 0],
  ['split', v, [1, 3], 0],
  ['unstack', m, 0],
  ['concat', [m, m], 0],
  ['stack', [m, m], 0],
  ['broadcastTo', v, [2, 4]],
  [
    'batchToSpaceND',
    t([4, 1, 1, 1]),
    [2, 2],
    [
      [0, 0],
      [0, 0],
    ],
  ],
  [
    'spaceToBatchND',
    t([1, 2, 2, 1]),
    [2, 2],
    [
      [0, 0],
      [0, 0],
    ],
  ],
  ['depthToSpace', t([1, 2, 2, 4]), 2, 'NHWC'],
  ['diag', v],
  ['gather', m, ints([0, 1]), 1, 0],
  ['gatherND', m, ints([0, 1], [1, 2])],
  ['scatterND', ints([0, 1], [2, 1]), t([2]), [4]],
  ['tensorScatterUpdate', v, ints([0, 1], [2, 1]), t([2])],
  ['oneHot', ints([0, 1]), 3, 1, 0],
  ['unsortedSegmentSum', v, ints([0, 1, 0, 1]), 2],
  ['matMul', m, t([3, 2]), false, false],
  ['einsum', 'ij,jk->ik', m, t([3, 2])],
  ['conv1d', t([1, 4, 2]), t([2, 2, 3]), 1, 'same'],
  ['conv2d', image, t([2, 2, 2, 3]), 1, 'same', 'NHWC', 1],
  ['conv2dTranspose', t([1, 2, 2, 3]), t([2, 2, 1, 3]), [1, 4, 4, 1], 2, 'same'],
  ['depthwiseConv2d', image, t([2, 2, 2, 2]), 1, 'same'],
  ['separableConv2d', image, t([2, 2, 2, 1]), t([1, 1, 2, 3]), 1, 'same'],
  ['conv3d', volume, t([2, 2, 2, 2, 3]), 1, 'same'],
  ['conv3dTranspose', t([1, 2, 2, 2, 3]), t([2, 2, 2, 1, 3]), [1, 4, 4, 4, 1], 2, 'same'],
  ['maxPool', image, 2, 1, 'same'],
  ['avgPool', image, 2, 1, 'same'],
  ['maxPool3d', volume, 2, 1, 'same'],
  ['avgPool3d', volume, 2, 1, 'same'],
  ['pool', image, 2, 'max', 'valid', 1, 1],
  ['maxPoolWithArgmax', image, 2, 1, 'same', false],
  ['dilation2d', image, t([2, 2, 2]), 1, 'same'],
  ['batchNorm', image, t([2]), t([2]), t([2]), t([2]), 1e-3],
  ['localResponseNormalization', image, 2, 1, 1, 0.5],
  ['image.resizeBilinear', image, [3, 5], false, false],
  ['image.resizeNearestNeighbor', image, [3, 5], false, false],
  ['image.cropAndResize', image, t([1, 4], 'float32', [0, 0, 1, 1]), ints([0]), [2, 2], 'bilinear', 0],
  ['image.flipLeftRight', image],
  ['image.rotateWithOffset', t([1, 4, 4, 3]), 0.5, 0, 0.5],
  ['image.transform', image, t([1, 8], 'float32', [1, 0, 0, 0, 1, 0, 0, 0]), 'nearest', 'constant', 0, [3, 3]],
  ['image.nonMaxSuppression', t([2, 4], 'float32', [0, 0, 1, 1]), t([2]), 2, 0.5, 0.1],
  ['image.nonMaxSuppressionWithScore', t([2, 4], 'float32', [0, 0, 1, 1]), t([2]), 2, 0.5, 0.1, 0.3],
  ['image.nonMaxSuppressionPadded', t([2, 4], 'float32', [0, 0, 1, 1]), t([2]), 2, 0.5, 0.1, true],
  ['fft', t([1, 4], 'complex64')],
  ['ifft', t([1, 4], 'complex64')],
  ['rfft', t([1, 4]), 4],
  ['irfft', t([1, 3], 'complex64')],
  ['real', t([3], 'complex64')],
  ['imag', t([3], 'complex64')],
  ['complex', v, v],
  ['fill', [2, 2], 1, 'float32'],
  ['linspace', 0, 1, 5],
  ['range', 0, 5, 1, 'float32'],
  ['multinomial', v, 3, 1, false],
  ['dropout', m, 0.5],
  ['sparse.sparseReshape', ints([0, 1], [1, 2]), ints([2, 3]), ints([3, 2])],
  ['sparse.sparseSegmentSum', m, ints([0, 1]), ints([0, 0])],
  ['sparse.sparseSegmentMean', m, ints([0, 1]), ints([0, 0])],
  ['sparse.sparseFillEmptyRows', ints([0, 0], [1, 2]), t([1]), ints([2, 2]), t([])],
  ['sparseToDense', ints([0, 2]), t([2]), [4], 0],
  ['raggedTensorToTensor', ints([2, 2]), t([3]), t([]), [ints([0, 2, 3])], ['ROW_SPLITS']],
  ['losses.softmaxCrossEntropy', m, m],
  ['losses.meanSquaredError', m, m],
];

const WRONG_NUMBERS = [-1, 0, 1.5, 7, NaN, Infinity, 2 ** 31, -(2 ** 31), 1e20];
const DTYPES = ['float32', 'int32', 'bool', 'complex64', 'string'];

/** Ways to spoil one argument: pairs of a description and the wrong value. */
function* wrongs(value) {
  yield ['undefined', undefined];
  yield ['null', null];
  if (value instanceof Made) {
    const { shape, dtype, values } = value;
    yield ['a number', 3];
    yield ['a text', 'x'];
    yield ['disposed', 'disposed'];
    for (const wrong of [[...shape, 1], [2, ...shape], shape.slice(1), [], [0], [5, 7]])
      yield [`of shape ${wrong}`, t(wrong, dtype, values)];
    for (let axis = 0; axis < shape.length; ++axis) {
      for (const dim of [0, shape[axis] + 1])
        yield [
          `axis ${axis} of ${dim}`,
          t(shape.with?.(axis, dim) ?? Object.assign([...shape], { [axis]: dim }), dtype, values),
        ];
    }
    for (const other of DTYPES) if (other !== dtype) yield [`of ${other}`, t(shape, other, values)];
    for (const number of dtype === 'int32' ? [-1, 1000, 2 ** 31 - 1, -(2 ** 31)] : [NaN, Infinity])
      yield [`all ${number}`, t(shape, dtype, [number])];
  } else if (typeof value === 'number') {
    for (const wrong of WRONG_NUMBERS) yield [String(wrong), wrong];
    yield ['a text', 'x'];
    yield ['a list', [value, value]];
  } else if (Array.isArray(value)) {
    yield ['empty', []];
    yield ['shorter', value.slice(0, -1)];
    yield ['longer', [...value, value.at(-1)]];
    for (let i = 0; i < value.length; ++i) {
      for (const [what, wrong] of wrongs(value[i])) yield [`${i} ${what}`, value.map((one, j) => (i === j ? wrong : one))];
    }
    if (typeof value[0] === 'number') yield ['huge', [65536, 65536, 65536, 65536]];
  } else if (typeof value === 'string') {
    yield ['nonsense', 'nonsense'];
    yield ['a number', 3];
  }
}

/** Whether an error is one that somebody meant: ours with a code, or any that tfjs-core throws from its own code. */
function isMeant(error) {
  if (!(error instanceof Error)) return false;
  if ('code' in error && String(error.code).startsWith('E_')) return error.code !== 'E_INTERNAL';
  if (error.constructor === Error) return true;
  const frame = (error.stack ?? '').split('\n').find((line) => line.includes('/')) ?? '';
  return frame.includes('node_modules');
}

function made(value, kept) {
  if (value instanceof Made) {
    kept.push(value.make());
    return kept.at(-1);
  }
  if (value === 'disposed') {
    const tensor = tf.ones([2, 3]);
    tensor.dispose();
    return tensor;
  }
  return Array.isArray(value) ? value.map((one) => made(one, kept)) : value;
}

function check(result) {
  if (result instanceof tf.Tensor) {
    const values = result.dataSync();
    const expected = result.size * (result.dtype === 'complex64' ? 2 : 1);
    if (values.length !== expected) throw new RangeError(`silent: ${values.length} values for shape [${result.shape}]`);
    if (!result.shape.every((dim) => Number.isInteger(dim) && dim >= 0))
      throw new RangeError(`silent: shape [${result.shape}]`);
  } else if (typeof result === 'object' && result !== null) Object.values(result).forEach(check);
}

function attempt(label, name, args) {
  writeSync(2, `${label} #\n`);
  counts.attempts++;
  const problem = (text) => {
    problems.push(`${label}: ${text}`);
    writeSync(2, `PROBLEM ${text}\n`);
  };
  const before = backend.numDataIds();
  const started = performance.now();
  const f = name.split('.').reduce((object, key) => object[key], tf);
  const kept = [];
  let result;
  tf.engine().startScope();
  try {
    result = f(...made(args, kept));
    check(result);
    backend.engine.sync();
    counts.ran++;
  } catch (error) {
    counts.refused++;
    if (!isMeant(error))
      problem(`${error?.code ?? error?.constructor?.name}: ${String(error?.message).split('\n')[0].slice(0, 200)}`);
    try {
      backend.engine.sync();
    } catch (late) {
      if (!isMeant(late)) problem(`later ${late?.code}: ${String(late?.message).slice(0, 200)}`);
    }
  }
  tf.engine().endScope();
  const seconds = (performance.now() - started) / 1000;
  if (seconds > PATIENCE_SECONDS) problem(`took ${seconds.toFixed(1)} s`);
  const left = backend.numDataIds() - before;
  if (left !== 0) problem(`left ${left} data ids behind`);
}

for (const [name, ...args] of CALLS) {
  if (!name.includes(wanted)) continue;
  const { ran } = counts;
  attempt(`tf.${name} as it is`, name, args);
  if (counts.ran === ran) problems.push(`tf.${name}: the right call is refused`);
  for (let i = 0; i < args.length; ++i) {
    for (const [what, wrong] of wrongs(args[i])) {
      attempt(
        `tf.${name} argument ${i} ${what}`,
        name,
        args.map((arg, j) => (i === j ? wrong : arg)),
      );
    }
  }
  const sum = tf.add(tf.tensor1d([1, 2, 3]), 1);
  if ([...sum.dataSync()].join() !== '2,3,4') problems.push(`tf.${name}: tf.add is wrong afterwards`);
  tf.disposeVariables();
}
process.stdout.write(`${JSON.stringify({ ...counts, problems })}\n`);
