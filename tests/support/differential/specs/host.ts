/** Sorting, counting, scattering, sparse and ragged bookkeeping, einsum, and tensors made of attributes. */
import fc from 'fast-check';
import { productOf, randomSource } from '../../describe-model.js';
import { anyContent, numImages, dim, float, int, seed, shapes, shapesOrLarge, tensor } from '../arbitraries.js';
import type { Fill, KernelCase, TensorSpec } from '../cases.js';
import { ROUNDING, STOCK, type KernelSpec, type Rule } from '../check.js';

const EXACT: Rule = {};
const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const below = (random: () => number, limit: number): number => Math.floor(random() * limit);
const ON_HOST = 'the shape of the result depends on values, which are read on the host';

/** Cases drawn by hand from a seed. */
function drawn(make: (random: () => number, valueSeed: number) => KernelCase): fc.Arbitrary<KernelCase> {
  return seed.map((valueSeed) => make(randomSource(valueSeed), valueSeed));
}

const ints = (shape: readonly number[], values: readonly number[]): TensorSpec => int(shape, 0, { values });
const list = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

const sorting: readonly KernelSpec[] = [
  {
    kernel: 'TopK',
    cases: fc
      .record({
        shape: shapesOrLarge({ minRank: 1, empty: false, most: 600 }),
        part: fc.constantFrom(0.01, 0.3, 0.5, 0.9, 1, 0),
        // The stock backend misplaces infinities; tests/ops/sort.test.ts has them.
        fill: fc.constantFrom<Fill>('ties', 'distinct', 'plain'),
        isInt: fc.boolean(),
        seed,
      })
      .map(({ shape, part, fill, isInt, seed: valueSeed }) => ({
        inputs: { x: isInt ? int(shape, valueSeed) : float(shape, valueSeed, fill) },
        attrs: { k: Math.ceil(part * shape.at(-1)!), sorted: true },
      })),
    judge: STOCK,
    rule: EXACT,
  },
  {
    kernel: 'SearchSorted',
    cases: fc
      .record({ batch: size(4), n: dim, m: dim, side: fc.constantFrom('left', 'right'), isInt: fc.boolean(), seed })
      .map(({ batch, n, m, side, isInt, seed: valueSeed }) => {
        const random = randomSource(valueSeed);
        const line = (): number[] =>
          list(n, () => (isInt ? below(random, 20) - 10 : below(random, 9) / 2 - 2)).sort((a, b) => a - b);
        const sorted = list(batch, line).flat();
        return {
          inputs: isInt
            ? { sortedSequence: ints([batch, n], sorted), values: int([batch, m], valueSeed) }
            : { sortedSequence: float([batch, n], 0, { values: sorted }), values: float([batch, m], valueSeed, 'halves') },
          attrs: { side },
        };
      }),
    judge: STOCK,
    rule: EXACT,
  },
  {
    kernel: 'Unique',
    cases: fc
      .record({
        shape: shapes({ minRank: 1, empty: false, most: 200 }),
        axis: fc.nat(5),
        content: fc.constantFrom<['float32' | 'int32' | 'bool', TensorSpec['fill']]>(
          ['float32', 'ties'],
          ['int32', { low: -2, high: 3 }],
          ['bool', 'bits'],
        ),
        seed,
      })
      .map(({ shape, axis, content: [dtype, fill], seed: valueSeed }) => ({
        inputs: { x: tensor(shape, dtype, fill, valueSeed) },
        attrs: { axis: axis % shape.length },
      })),
    judge: STOCK,
    rule: EXACT,
    noReplay: ON_HOST,
  },
  ...[3, 4, 5].map((version): KernelSpec => ({
    kernel: `NonMaxSuppressionV${version}`,
    cases: fc
      .record({
        count: fc.integer({ min: 0, max: 40 }),
        maxOutputSize: size(20),
        iouThreshold: fc.constantFrom(0, 0.3, 0.5, 1),
        scoreThreshold: fc.constantFrom(-1, 0.2, 0.5),
        softNmsSigma: fc.constantFrom(0, 0.5),
        padToMaxOutputSize: fc.boolean(),
        seed,
      })
      .map(({ count, padToMaxOutputSize, softNmsSigma, seed: valueSeed, ...attrs }) => {
        const random = randomSource(valueSeed);
        const boxes = list(count, () => {
          const [y, x] = [random(), random()];
          return [y, x, y + 0.1 + 0.5 * random(), x + 0.1 + 0.5 * random()];
        }).flat();
        return {
          inputs: { boxes: float([count, 4], 0, { values: boxes }), scores: float([count], valueSeed, { low: 0, high: 1 }) },
          attrs: { ...attrs, ...(version === 4 ? { padToMaxOutputSize } : {}), ...(version === 5 ? { softNmsSigma } : {}) },
        };
      }),
    judge: STOCK,
    // Scores are damped by one exponential for each overlapping box, 20 at most, of 4 units in the last place each.
    rule: version === 5 ? { absolute: 20 * 8 * ROUNDING } : EXACT,
    noReplay: ON_HOST,
  })),
];

const counting: readonly KernelSpec[] = [
  ...[false, true].map((dense): KernelSpec => ({
    kernel: dense ? 'DenseBincount' : 'Bincount',
    cases: fc
      .record({
        rows: size(4),
        count: dim,
        size: size(9),
        weighted: fc.boolean(),
        binaryOutput: fc.boolean(),
        isMatrix: fc.boolean(),
        seed,
      })
      .map(({ rows, count, size: bins, weighted, binaryOutput, isMatrix, seed: valueSeed }) => {
        const shape = dense && isMatrix ? [rows, count] : [count];
        // The stock backend counts vectors in full also where a binary output is asked for.
        const isBinary = dense && isMatrix && binaryOutput;
        return {
          inputs: {
            // Numbers at and above the size are not counted.
            x: int(shape, valueSeed, { low: 0, high: bins + 2 }),
            weights: float(weighted && !isBinary ? shape : [0], valueSeed + 1),
          },
          attrs: { size: bins, ...(dense ? { binaryOutput: isBinary } : {}) },
        };
      }),
    judge: STOCK,
    // At most 33 weights below 2 in another order.
    rule: { absolute: 33 * 66 * ROUNDING },
  })),
  {
    kernel: 'SparseToDense',
    cases: drawn((random, valueSeed) => {
      const outputShape = list(1 + below(random, 3), () => 1 + below(random, 7));
      const total = productOf(outputShape);
      const places = list(total, (i) => i).filter(() => random() < 0.4);
      const indices = places.flatMap((flat) => {
        let rest = flat;
        return [...outputShape]
          .reverse()
          .map((extent) => {
            const coordinate = rest % extent;
            rest = Math.floor(rest / extent);
            return coordinate;
          })
          .reverse();
      });
      const isOne = random() < 0.3;
      return {
        inputs: {
          sparseIndices: ints([places.length, outputShape.length], indices),
          sparseValues: float(isOne ? [] : [places.length], valueSeed),
          defaultValue: float([], valueSeed + 1),
        },
        attrs: { outputShape },
      };
    }),
    judge: STOCK,
    rule: EXACT,
  },
  ...['SparseSegmentSum', 'SparseSegmentMean'].map((kernel): KernelSpec => ({
    kernel,
    cases: drawn((random, valueSeed) => {
      const data = [1 + below(random, 9), 1 + below(random, 18)];
      const count = 1 + below(random, 12);
      let segment = 0;
      const segments = list(count, () => (segment += below(random, 3)));
      return {
        inputs: {
          data: float(data, valueSeed),
          indices: ints(
            [count],
            list(count, () => below(random, data[0]!)),
          ),
          segmentIds: ints([count], segments),
        },
        attrs: {},
      };
    }),
    judge: STOCK,
    rule: { absolute: 12 * 24 * ROUNDING },
    noReplay: ON_HOST,
  })),
  {
    kernel: 'SparseFillEmptyRows',
    cases: drawn((random, valueSeed) => {
      const dense = [1 + below(random, 9), 1 + below(random, 6)];
      const count = below(random, 14);
      const rows = list(count, () => below(random, dense[0]!)).sort((a, b) => a - b);
      return {
        inputs: {
          indices: ints(
            [count, 2],
            rows.flatMap((row) => [row, below(random, dense[1]!)]),
          ),
          values: float([count], valueSeed),
          denseShape: ints([2], dense),
          defaultValue: float([], valueSeed + 1),
        },
        attrs: {},
      };
    }),
    judge: STOCK,
    rule: EXACT,
    noReplay: ON_HOST,
  },
  {
    kernel: 'SparseReshape',
    cases: drawn((random) => {
      const shape = list(1 + below(random, 3), () => 1 + below(random, 6));
      const total = productOf(shape);
      const count = below(random, 10);
      const divisor = [1, 2, 3, 5].filter((d) => total % d === 0)[below(random, 2)] ?? 1;
      const target = random() < 0.5 ? [divisor, -1] : [divisor, total / divisor];
      return {
        inputs: {
          inputIndices: ints(
            [count, shape.length],
            list(count * shape.length, (i) => below(random, shape[i % shape.length]!)),
          ),
          inputShape: ints([shape.length], shape),
          newShape: ints([2], target),
        },
        attrs: {},
      };
    }),
    judge: STOCK,
    rule: EXACT,
    noReplay: ON_HOST,
  },
];

/** Rising row boundaries over `total` values. */
function splits(random: () => number, rows: number, total: number): number[] {
  const cuts = list(rows - 1, () => below(random, total + 1)).sort((a, b) => a - b);
  return [0, ...cuts, total];
}

const ragged: readonly KernelSpec[] = [
  {
    kernel: 'RaggedRange',
    cases: drawn((random) => {
      const count = 1 + below(random, 8);
      return {
        inputs: {
          starts: ints(
            [count],
            list(count, () => below(random, 9)),
          ),
          limits: ints(
            [count],
            list(count, () => below(random, 20)),
          ),
          deltas: ints(
            [count],
            list(count, () => 1 + below(random, 4)),
          ),
        },
        attrs: {},
      };
    }),
    judge: STOCK,
    rule: EXACT,
    noReplay: ON_HOST,
  },
  {
    kernel: 'RaggedTensorToTensor',
    cases: drawn((random, valueSeed) => {
      const rows = 1 + below(random, 6);
      const total = below(random, 20);
      return {
        inputs: {
          shape: ints([2], random() < 0.5 ? [-1, -1] : [1 + below(random, 7), 1 + below(random, 7)]),
          values: float([total], valueSeed),
          defaultValue: float([], valueSeed + 1),
          partition: ints([rows + 1], splits(random, rows, total)),
        },
        attrs: { rowPartitionTypes: ['ROW_SPLITS'] },
      };
    }),
    group: { rowPartitionTensors: ['partition'] },
    judge: STOCK,
    rule: EXACT,
    noReplay: ON_HOST,
  },
  {
    kernel: 'RaggedGather',
    cases: drawn((random, valueSeed) => {
      const rows = 1 + below(random, 6);
      const total = below(random, 20);
      const count = 1 + below(random, 5);
      return {
        inputs: {
          split: ints([rows + 1], splits(random, rows, total)),
          paramsDenseValues: float([total], valueSeed),
          indices: ints(
            [count],
            list(count, () => below(random, rows)),
          ),
        },
        attrs: { outputRaggedRank: 1 },
      };
    }),
    group: { paramsNestedSplits: ['split'] },
    judge: STOCK,
    rule: EXACT,
    noReplay: ON_HOST,
  },
];

const EQUATIONS = [
  'ij->ji',
  'ij->i',
  'ijk->ki',
  'i,i->',
  'i,j->ij',
  'ij,jk->ik',
  'ij,kj->ki',
  'bij,bjk->bik',
  'bij,jk->bik',
  'bi,bi->b',
  'bci,bcj->cij',
  'ijk,jil->kl',
  'ijk,jl->il',
  'abcdi,ij->abcdj',
  'abci,abcj->abcij',
  'abcdef->fb',
];

const others: readonly KernelSpec[] = [
  {
    kernel: 'Einsum',
    cases: fc
      .record({
        equation: fc.constantFrom(...EQUATIONS),
        extents: fc.array(fc.constantFrom(1, 2, 3, 5, 8, 9), { minLength: 6, maxLength: 6 }),
        isInt: fc.nat(3),
        seed,
      })
      .map(({ equation, extents, isInt, seed: valueSeed }) => {
        const letters = [...new Set(equation.replace(/[^a-z]/g, ''))];
        const make = isInt === 0 ? int : float;
        return {
          inputs: equation
            .split('->')[0]!
            .split(',')
            .map((term, i) =>
              make(
                // Six axes of 9 would be half a million elements.
                Array.from(term, (letter) => Math.min(extents[letters.indexOf(letter)]!, letters.length > 4 ? 3 : 9)),
                valueSeed + i,
              ),
            ),
          attrs: { equation },
        };
      }),
    judge: STOCK,
    // Both sides round sums of at most 9 * 9 products, one in double: see Rule.
    rule: { terms: () => 81 },
  },
  {
    kernel: 'LinSpace',
    cases: fc
      .record({ start: fc.integer({ min: -9, max: 9 }), stop: fc.integer({ min: -9, max: 9 }), num: size(40) })
      .map((attrs) => ({ inputs: {}, attrs })),
    judge: STOCK,
    // One rounded step per element of numbers up to 9: the stock kernel adds up, and ours multiplies.
    rule: { absolute: 40 * 9 * ROUNDING },
  },
  {
    kernel: 'Range',
    cases: fc
      .record({
        start: fc.integer({ min: -20, max: 20 }),
        stop: fc.integer({ min: -20, max: 20 }),
        step: fc.constantFrom(1, 2, 3, 7),
        dtype: fc.constantFrom('float32', 'int32'),
      })
      .map(({ start, stop, step, dtype }) => ({
        inputs: {},
        attrs: { start, stop, step: stop < start ? -step : step, dtype },
      })),
    judge: STOCK,
    rule: EXACT,
  },
  {
    kernel: 'MaxPoolWithArgmax',
    cases: fc
      .record({
        n: numImages,
        h: size(8),
        w: size(8),
        c: fc.constantFrom(1, 3, 8, 9),
        window: size(3),
        stride: size(3),
        pad: fc.constantFrom('valid', 'same'),
        includeBatchInIndex: fc.boolean(),
        fill: fc.constantFrom<'ties' | 'plain'>('ties', 'plain'),
        seed,
      })
      .map(({ n, h, w, c, window, stride, pad, includeBatchInIndex, fill, seed: valueSeed }) => ({
        inputs: { x: float([n, Math.max(h, window), Math.max(w, window), c], valueSeed, fill) },
        attrs: { filterSize: [window, window], strides: [stride, stride], pad, includeBatchInIndex },
      })),
    judge: STOCK,
    rule: { anyZero: true },
  },
  {
    kernel: 'Multinomial',
    // Certain outcomes: the samples themselves are those of our own generator, whose distribution tests/ops/image.test.ts checks.
    cases: drawn((random) => {
      const [rows, classes] = [1 + below(random, 4), 2 + below(random, 9)];
      const chosen = list(rows, () => below(random, classes));
      return {
        inputs: {
          logits: float([rows, classes], 0, { values: chosen.flatMap((one) => list(classes, (i) => Number(i === one))) }),
        },
        attrs: { numSamples: 1 + below(random, 9), seed: random(), normalized: true },
      };
    }),
    judge: STOCK,
    rule: EXACT,
  },
  {
    kernel: 'Identity',
    variant: 'of complex numbers',
    cases: fc
      .record({ shape: shapes({ most: 300 }), content: anyContent, seed })
      .map(({ shape, seed: valueSeed }) => ({ inputs: { x: tensor(shape, 'complex64', 'special', valueSeed) }, attrs: {} })),
    judge: STOCK,
    rule: EXACT,
  },
];

export const hostSpecs: readonly KernelSpec[] = [...sorting, ...counting, ...ragged, ...others];
