// Ops of `tensorkiln-cuda` beside those of `tensorkiln-cpu` on the same inputs. Bundled into the archive for a GPU machine, where
// neither a compiler nor the repository is at hand; runs under emulation as well.
import * as tf from '@tensorflow/tfjs-core';
import '../../dist/backend/register.js';
import { RandomState, attention, autocast, dropout, randomNormal, randomUniform } from '../../dist/backend/custom/index.js';

// Both backends evaluate the same formulas; libm functions and orders of summation differ by a few units in the last place.
const CLOSE = { relative: 4e-6, absolute: 1e-6 };
const EXACT = { relative: 0, absolute: 0 };

/** Numbers in [low, high) that are the same on every machine. */
function values(count, low = -2, high = 2, seed = 1) {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + ((high - low) * state) / 2 ** 32;
  });
}

const tensor = (shape, low, high, seed) =>
  tf.tensor(
    values(
      shape.reduce((a, b) => a * b, 1),
      low,
      high,
      seed,
    ),
    shape,
  );

/** Queries, keys, heads, head size, causal; the last three are taken by the kernel for Hopper. */
const ATTENTION = [
  [70, 67, 2, 24, false],
  [65, 65, 1, 200, true],
  [200, 300, 2, 64, false],
  [260, 260, 1, 128, true],
  [130, 140, 2, 96, false],
];

/** Image, filter, stride; all passes of the second and some of the third are large enough for the kernel for Hopper. */
const CONVOLUTIONS = [
  [[1, 9, 10, 8], [3, 3, 8, 16], 2],
  [[8, 32, 32, 64], [3, 3, 64, 64], 1],
  [[4, 64, 64, 40], [3, 3, 40, 72], 2],
];

function attentionOperands([queries, keys, heads, size]) {
  return [queries, keys, keys].map((places, i) => tensor([1, places, heads, size], -2, 2, i + 1));
}

/** Sizes round vector widths, warps and blocks. */
const LENGTHS = [0, 1, 3, 31, 32, 33, 127, 1000, 4097];
const MATRICES = [
  [1, 1, 1],
  [3, 5, 7],
  [33, 17, 65],
  [64, 64, 64],
  [63, 300, 129],
  [130, 1000, 70],
];

function* cases() {
  const unary = [
    'abs',
    'ceil',
    'cos',
    'cosh',
    'elu',
    'erf',
    'exp',
    'expm1',
    'floor',
    'isFinite',
    'isNaN',
    'neg',
    'relu',
    'relu6',
  ];
  unary.push('round', 'selu', 'sigmoid', 'sign', 'sin', 'sinh', 'softplus', 'square', 'tan', 'tanh', 'atan', 'asinh');
  for (const name of unary) {
    yield { name, tolerance: CLOSE, run: () => LENGTHS.map((n) => tf[name](tensor([n]))) };
  }
  for (const name of ['log', 'log1p', 'sqrt', 'rsqrt', 'reciprocal', 'acosh']) {
    yield { name, tolerance: CLOSE, run: () => LENGTHS.map((n) => tf[name](tensor([n], 1.01, 9))) };
  }
  const binary = [
    'add',
    'sub',
    'mul',
    'div',
    'maximum',
    'minimum',
    'atan2',
    'mod',
    'floorDiv',
    'squaredDifference',
    'equal',
    'less',
  ];
  const pairs = [
    [[1000], [1000]],
    [[33, 65], [65]],
    [
      [4, 1, 7],
      [3, 1],
    ],
    [[], [5, 3]],
    [
      [2, 3, 4, 5],
      [3, 1, 5],
    ],
  ];
  for (const name of binary) {
    yield {
      name,
      tolerance: CLOSE,
      run: () => pairs.map(([a, b]) => tf[name](tensor(a, -3, 3, 1), tensor(b, 0.5, 3, 2))),
    };
  }
  for (const name of ['sum', 'mean', 'max', 'min', 'prod', 'argMax', 'argMin']) {
    yield {
      name,
      tolerance: name === 'prod' ? { relative: 1e-4, absolute: 1e-30 } : CLOSE,
      run: () => [
        // Positive, so that nothing cancels.
        tf[name](tensor([7, 1000], 0.5, 1.5), 1),
        tf[name](tensor([1000, 7], 0.5, 1.5), 0),
        tf[name](tensor([5, 40, 33], 0.5, 1.5), 1),
        ...(name.startsWith('arg') ? [] : [tf[name](tensor([100000], 0.999, 1.001))]),
      ],
    };
  }
  for (const name of ['softmax', 'logSoftmax']) {
    yield { name, tolerance: CLOSE, run: () => [1, 31, 1000, 5000].map((n) => tf[name](tensor([3, n], -9, 9))) };
  }
  for (const [transposeA, transposeB] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ]) {
    yield {
      name: `matMul ${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}`,
      // Sums of up to 1000 products in f32, in two orders.
      tolerance: { relative: 2e-5, absolute: 2e-5 },
      run: () =>
        MATRICES.flatMap(([m, k, n]) =>
          [1, 3].map((batch) =>
            tf.matMul(
              tensor(transposeA ? [batch, k, m] : [batch, m, k], -1, 1, 1),
              tensor(transposeB ? [batch, n, k] : [batch, k, n], -1, 1, 2),
              transposeA,
              transposeB,
            ),
          ),
        ),
    };
  }
  for (const precision of ['bf16', 'f16']) {
    const unit = precision === 'bf16' ? 2 ** -8 : 2 ** -11;
    yield {
      name: `conv2d ${precision} and gradients`,
      // Operands are rounded alike; sums of up to 8192 products differ in f32's last places, which may round to neighbours in 16
      // bits: they are up to two units of roundoff apart.
      tolerance: { relative: 2 * unit, absolute: 1e-3 },
      run: () =>
        CONVOLUTIONS.flatMap(([x, filter, stride]) =>
          autocast(precision, () => {
            const conv = (a, b) => tf.conv2d(a, b, stride, 'same');
            const operands = [tensor(x, -1, 1, 1), tensor(filter, -1, 1, 2)];
            const y = conv(...operands);
            return [y, ...tf.grads(conv)(operands, tf.onesLike(y))];
          }),
        ),
    };
    yield {
      name: `attention ${precision}`,
      // A result is a mean of values up to 2: half a unit of it for the rounding of the weights, which the CPU keeps in f32, and
      // for the rounding of the result on either side.
      tolerance: { relative: 0, absolute: 2 * 1.5 * unit },
      run: () =>
        ATTENTION.map((shape) => autocast(precision, () => attention(...attentionOperands(shape), { isCausal: shape[4] }))),
    };
    yield {
      name: `attention ${precision} dropout`,
      // As above; a weight that is kept counts for 1 / 0.7 of itself. Which ones are is the same on every device.
      tolerance: { relative: 0, absolute: (2 * 1.5 * unit) / 0.7 },
      run: () => {
        const random = new RandomState(7);
        const drawn = ATTENTION.map((shape) =>
          autocast(precision, () =>
            attention(...attentionOperands(shape), { isCausal: shape[4], dropout: { rate: 0.3, random } }),
          ),
        );
        random.variable.dispose();
        return drawn;
      },
    };
    yield {
      name: `attention ${precision} gradients`,
      // Sums over up to 300 places of terms up to 8, most of which cancel, from weights and their gradients in 16 bits.
      tolerance: { relative: 0, absolute: 16 * unit },
      run: () =>
        ATTENTION.flatMap((shape) =>
          autocast(precision, () => {
            const operands = attentionOperands(shape);
            return tf.grads((q, k, v) => attention(q, k, v, { isCausal: shape[4] }))(operands, operands[0].clone());
          }),
        ),
    };
  }
  yield {
    name: 'layout',
    tolerance: EXACT,
    run: () => [
      tf.transpose(tensor([33, 70])),
      tf.transpose(tensor([3, 5, 40, 17]), [0, 2, 1, 3]),
      tf.transpose(tensor([2, 65, 64]), [0, 2, 1]),
      tf.slice(tensor([9, 8, 7]), [1, 2, 3], [5, 3, 4]),
      tf.stridedSlice(tensor([20, 10]), [15, 1], [2, 9], [-3, 2]),
      tf.concat([tensor([3, 4]), tensor([3, 9])], 1),
      tf.pad(tensor([3, 4]), [
        [1, 2],
        [0, 3],
      ]),
      tf.mirrorPad(
        tensor([3, 4]),
        [
          [1, 2],
          [2, 3],
        ],
        'reflect',
      ),
      tf.tile(tensor([3, 4]), [2, 3]),
      tf.reverse(tensor([3, 4, 5]), [0, 2]),
      tf.fill([100], 2.5),
      tf.range(0, 100, 3),
      tf.cast(tensor([100], -300, 300), 'int32'),
      tf.gather(tensor([9, 5]), tf.tensor1d([3, 0, 8, 3], 'int32')),
      tf.oneHot(tf.tensor1d([3, 0, 8, -1], 'int32'), 9),
      tf.unsortedSegmentSum(tensor([6, 5]), tf.tensor1d([2, 0, 2, 1, 0, 2], 'int32'), 4),
    ],
  };
  yield {
    name: 'random',
    // Numbers of the counter-based generator are equal bit for bit on every device.
    tolerance: EXACT,
    run: () => {
      const state = new RandomState(7);
      const x = tensor([1001]);
      const drawn = [
        randomUniform([1001], state),
        randomNormal([1001], state),
        dropout(x, 0.3, state),
        randomNormal([3], state),
      ];
      state.variable.dispose();
      return drawn;
    },
  };
}

/** Largest excess of |a - b| over the tolerance, and where; undefined when there is none. NaN equals NaN. */
function difference(a, b, { relative, absolute }) {
  if (a.length !== b.length) return `${a.length} elements beside ${b.length}`;
  for (let i = 0; i < a.length; ++i) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
    if (!(Math.abs(a[i] - b[i]) <= absolute + relative * Math.abs(b[i]))) return `element ${i}: ${a[i]} beside ${b[i]}`;
  }
  return undefined;
}

async function outputs(backend, { run }) {
  await tf.setBackend(backend);
  const tensors = tf.tidy(run);
  const results = await Promise.all(tensors.map((t) => t.data()));
  tensors.forEach((t) => t.dispose());
  return results;
}

/** The names of all cases. */
export function caseNames() {
  return [...cases()].map(({ name }) => name);
}

/** Runs one case on both backends. @returns what differs, or undefined */
export async function compareCase(wanted) {
  const found = [...cases()].find(({ name }) => name === wanted);
  const gpu = await outputs('tensorkiln-cuda', found);
  const again = await outputs('tensorkiln-cuda', found);
  const cpu = await outputs('tensorkiln-cpu', found);
  for (let i = 0; i < gpu.length; ++i) {
    const repeated = difference(again[i], gpu[i], EXACT);
    if (repeated !== undefined) return `output ${i} differs between two runs: ${repeated}`;
    const problem = difference(gpu[i], cpu[i], found.tolerance);
    if (problem !== undefined) return `output ${i}: ${problem}`;
  }
  return undefined;
}
