/** Cross-entropies. */
import fc from 'fast-check';
import { binaryCrossEntropy, softmaxCrossEntropy } from '../../../../ts/backend/custom/index.js';
import { randomSource } from '../../describe-model.js';
import { at, build, type Dense } from '../../reference64/dense.js';
import { dim, float, int, seed, shapes } from '../arbitraries.js';
import { fusedSpec, given, inputOf, type FusedSpec } from './spec.js';

const smoothing: fc.Arbitrary<number> = fc.constantFrom(0, 0.1, 0.5, 1);
const rows: fc.Arbitrary<number> = fc.oneof({ weight: 15, arbitrary: dim }, { weight: 1, arbitrary: fc.constant(0) });
const LOGITS = { low: -4, high: 4 } as const;

interface SoftmaxAttrs {
  readonly labelSmoothing: number;
  readonly ignoreLabel?: number;
  readonly reduction: 'none' | 'sum' | 'mean';
}

function softmaxLoss(
  { logits, labels, classWeights }: { logits: Dense; labels: Dense; classWeights?: Dense },
  { labelSmoothing, ignoreLabel, reduction }: SoftmaxAttrs,
): Dense {
  const [count, classes] = logits.shape as [number, number];
  const isSparse = labels.dtype === 'int32';
  let total = 0;
  const losses = build([count], 'float32', ([row]) => {
    const label = isSparse ? at(labels, row!) : -1;
    if (isSparse && label === ignoreLabel) return 0;
    total += isSparse ? (classWeights?.values[label] ?? 1) : 1;
    let sum = 0;
    for (let j = 0; j < classes; ++j) sum += Math.exp(at(logits, row!, j));
    let loss = 0;
    for (let j = 0; j < classes; ++j) {
      const target = isSparse ? Number(j === label) : at(labels, row!, j);
      const share = (classWeights?.values[j] ?? 1) * ((1 - labelSmoothing) * target + labelSmoothing / classes);
      loss -= share * (at(logits, row!, j) - Math.log(sum));
    }
    return loss;
  });
  if (reduction === 'none') return losses;
  const sum = Array.from(losses.values).reduce((all, loss) => all + loss, 0);
  return build([], 'float32', () => (reduction === 'sum' ? sum : total === 0 ? 0 : sum / total));
}

const softmaxSpec = (isSparse: boolean): FusedSpec =>
  fusedSpec<'logits' | 'labels', 'classWeights', SoftmaxAttrs>({
    name: `softmaxCrossEntropy of ${isSparse ? 'class indices' : 'probabilities'}`,
    cases: fc
      .record({
        rows,
        classes: dim,
        hasWeights: fc.boolean(),
        labelSmoothing: smoothing,
        ignore: fc.constantFrom('none', 'inside', 'outside'),
        reduction: fc.constantFrom<SoftmaxAttrs['reduction']>('none', 'sum', 'mean'),
        seed,
      })
      .map(({ rows: count, classes, hasWeights, ignore, seed: valueSeed, ...attrs }) => {
        const random = randomSource(valueSeed + 9);
        const ignoreLabel = ignore === 'inside' ? Math.floor(classes / 2) : -100;
        const isIgnoring = isSparse && ignore !== 'none';
        const drawn = Array.from({ length: count }, () =>
          isIgnoring && random() < 0.3 ? ignoreLabel : Math.floor(random() * classes),
        );
        return {
          inputs: given({
            logits: float([count, classes], valueSeed, LOGITS),
            labels: isSparse ? int([count], 0, { values: drawn }) : float([count, classes], valueSeed + 1, { low: 0, high: 1 }),
            classWeights: hasWeights ? float([classes], valueSeed + 2, 'positive') : undefined,
          }),
          attrs: { ...attrs, ...(isIgnoring ? { ignoreLabel } : {}) },
        };
      }),
    run: ({ logits, labels, classWeights }, { reduction, ...attrs }) => {
      const options = { ...attrs, classWeights };
      if (reduction === 'none') return [softmaxCrossEntropy(logits, labels, options)];
      return [softmaxCrossEntropy(logits, labels, { ...options, reduction })];
    },
    judge: (inputs, attrs) => [softmaxLoss(inputs, attrs)],
    // Each term is a share times a logarithm of a sum of `classes` exponentials; all terms are positive, and each is off by
    // (classes + 16) roundings of numbers up to twice the range of the logits, 8. Then sums over classes and rows.
    bound: (kernelCase) => {
      const [count, classes] = inputOf(kernelCase, 'logits')!.shape as [number, number];
      return { roundings: 8 * (classes + 16) + classes + count };
    },
    of: ['logits'],
  });

const binarySpec = fusedSpec<'logits' | 'labels', 'positiveWeight', { labelSmoothing: number }>({
  name: 'binaryCrossEntropy',
  cases: fc
    .record({
      shape: shapes({ minRank: 1 }),
      weight: fc.constantFrom('none', 'one', 'channels'),
      labelSmoothing: smoothing,
      seed,
    })
    .map(({ shape, weight, labelSmoothing, seed: valueSeed }) => ({
      inputs: given({
        logits: float(shape, valueSeed, { low: -20, high: 20 }),
        labels: float(shape, valueSeed + 1, { low: 0, high: 1 }),
        positiveWeight:
          weight === 'none' ? undefined : float([weight === 'one' ? 1 : shape.at(-1)!], valueSeed + 2, 'positive'),
      }),
      attrs: { labelSmoothing },
    })),
  run: ({ logits, labels, positiveWeight }, { labelSmoothing }) => [
    binaryCrossEntropy(logits, labels, { positiveWeight, labelSmoothing }),
  ],
  judge: ({ logits, labels, positiveWeight }, { labelSmoothing }) => [
    build(logits.shape, 'float32', (coords, i) => {
      const x = logits.values[i]!;
      const target = labels.values[i]! * (1 - labelSmoothing) + labelSmoothing / 2;
      const weights = positiveWeight?.values;
      const weight = weights === undefined ? 1 : weights[weights.length === 1 ? 0 : coords.at(-1)!]!;
      // -log sigmoid(x) = log(1 + e^-x); 1 + e^20 keeps seven digits in double.
      return weight * target * Math.log1p(Math.exp(-x)) + (1 - target) * Math.log1p(Math.exp(x));
    }),
  ],
  // Two positive terms, each three products of a logarithm good to 4 units; x - x t may cancel at |x| = 20, weighed by 2.25.
  bound: () => ({ relative: 16 * 2 ** -24, absolute: 6 * 20 * 2.25 * 2 ** -24 }),
  of: ['logits'],
});

export const lossSpecs: readonly FusedSpec[] = [softmaxSpec(true), softmaxSpec(false), binarySpec];
