/** Sums, extremes, running sums, softmax. */
import fc from 'fast-check';
import { productOf } from '../../describe-model.js';
import { REFERENCE64 } from '../../reference64/backend.js';
import {
  axesOf,
  axisBits,
  contents,
  seed,
  shapes,
  shapesOrLarge,
  tensor,
  type Content,
  type ShapeOptions,
} from '../arbitraries.js';
import type { Fill, KernelCase } from '../cases.js';
import { withNonFinite, type GradientRule, type KernelSpec, type Rule } from '../check.js';

const EXACT: Rule = {};

/** Product of the sizes of the reduced axes. */
function groupSize({ inputs, attrs }: KernelCase): number {
  const { shape } = Object.values(inputs)[0]!;
  const axes = (attrs['axis'] ?? attrs['reductionIndices']) as number[] | number | null;
  if (axes === null) return productOf(shape);
  return [axes].flat().reduce((product, axis) => product * shape.at(axis)!, 1);
}

const oneOf = (dtype: Content['dtype'], ...fills: Fill[]): fc.Arbitrary<Content> =>
  fc.constantFrom(...fills.map((fill): Content => ({ dtype, fill })));
const FLOATS = oneOf('float32', 'plain', 'ties');
const WITH_SPECIAL = oneOf('float32', 'plain', 'ties', 'special');

function reductionCases(content: fc.Arbitrary<Content>, options: ShapeOptions, axisName = 'axis'): fc.Arbitrary<KernelCase> {
  return fc
    .record({
      shape: options.most === undefined ? shapesOrLarge(options) : shapes(options),
      bits: axisBits,
      style: fc.constantFrom('list', 'list', 'negative', 'all'),
      keepDims: fc.boolean(),
      content,
      seed,
    })
    .map(({ shape, bits, style, keepDims, content: { dtype, fill }, seed: valueSeed }) => {
      const listed = axesOf(bits, shape.length);
      // No axis at all means all of them.
      const axes = style === 'all' || listed.length === 0 ? shape.map((_, axis) => axis) : listed;
      const axis = style === 'negative' ? axes.map((i) => i - shape.length) : axes;
      return { inputs: { x: tensor(shape, dtype, fill, valueSeed) }, attrs: { [axisName]: axis, keepDims } };
    });
}

const isFloat = ({ inputs }: KernelCase): boolean => Object.values(inputs).every(({ dtype }) => dtype === 'float32');
const gradient = (fill: Fill, where?: (kernelCase: KernelCase) => boolean): GradientRule => ({
  of: ['x'],
  fills: { x: fill },
  where: (kernelCase) => isFloat(kernelCase) && (where?.(kernelCase) ?? true),
});
/** tfjs-core's gradients take axes as positions. */
const isPositive = ({ attrs }: KernelCase): boolean => (attrs['axis'] as number[]).every((axis) => axis >= 0);
const hasElements = ({ inputs }: KernelCase): boolean => Object.values(inputs).every(({ shape }) => productOf(shape) > 0);

const reductions: readonly KernelSpec[] = [
  {
    kernel: 'Sum',
    cases: reductionCases(fc.oneof(FLOATS, contents.int, contents.bool), {}),
    judge: REFERENCE64,
    rule: { terms: groupSize },
    gradient: gradient('plain', hasElements),
  },
  {
    kernel: 'Mean',
    cases: reductionCases(FLOATS, {}),
    judge: REFERENCE64,
    rule: { terms: (kernelCase) => groupSize(kernelCase) + 1 },
    gradient: gradient('plain', hasElements),
  },
  {
    kernel: 'Prod',
    // More factors would leave the range of float32 on the way.
    cases: reductionCases(fc.oneof(FLOATS, oneOf('int32', { low: -3, high: 4 }, 'extreme')), { most: 60 }),
    judge: REFERENCE64,
    rule: { terms: groupSize, absolute: 1e-36 },
    gradient: gradient('offZero', (kernelCase) => hasElements(kernelCase) && isPositive(kernelCase)),
  },
  ...['Max', 'Min'].map((kernel): KernelSpec => ({
    kernel,
    cases: reductionCases(
      fc.oneof(WITH_SPECIAL, contents.int),
      { empty: false },
      kernel === 'Max' ? 'reductionIndices' : 'axis',
    ),
    judge: REFERENCE64,
    // Which of two zeros is the larger is left open.
    rule: { anyZero: true },
    gradient: gradient('distinct'),
  })),
  ...['All', 'Any'].map((kernel): KernelSpec => ({
    kernel,
    cases: reductionCases(contents.bool, {}),
    judge: REFERENCE64,
    rule: EXACT,
  })),
  ...['ArgMax', 'ArgMin'].map((kernel): KernelSpec => ({
    kernel,
    cases: fc
      .record({
        shape: shapesOrLarge({ minRank: 1, empty: false }),
        axis: fc.nat(5),
        content: fc.oneof(WITH_SPECIAL, contents.int, contents.bool),
        seed,
      })
      .map(({ shape, axis, content: { dtype, fill }, seed: valueSeed }) => ({
        inputs: { x: tensor(shape, dtype, fill, valueSeed) },
        attrs: { axis: axis % shape.length },
      })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: gradient('distinct'),
  })),
];

function lineCases(input: string, attr: string, content: fc.Arbitrary<Content>, isLast: boolean): fc.Arbitrary<KernelCase> {
  return fc
    .record({
      shape: shapesOrLarge({ minRank: 1, empty: false, most: 1200 }),
      axis: fc.nat(5),
      exclusive: fc.boolean(),
      reverse: fc.boolean(),
      content,
      seed,
    })
    .map(({ shape, axis, exclusive, reverse, content: { dtype, fill }, seed: valueSeed }) => ({
      inputs: { [input]: tensor(shape, dtype, fill, valueSeed) },
      attrs: attr === 'axis' && !isLast ? { axis: axis % shape.length, exclusive, reverse } : { [attr]: shape.length - 1 },
    }));
}

/** Length of the axis a line runs along. */
function lineLength({ inputs, attrs }: KernelCase): number {
  return Object.values(inputs)[0]!.shape[attrs['axis'] as number]!;
}

const isLastAxis = ({ inputs, attrs }: KernelCase): boolean => attrs['axis'] === Object.values(inputs)[0]!.shape.length - 1;
const LOGITS = oneOf('float32', 'plain', { low: -10, high: 10 }, 'ties');

const scans: readonly KernelSpec[] = [
  {
    kernel: 'Cumsum',
    cases: lineCases('x', 'axis', fc.oneof(FLOATS, contents.int), false),
    judge: REFERENCE64,
    rule: { terms: lineLength },
    gradient: {
      ...gradient('plain'),
      excluded: {
        reason: 'tfjs-core 4.22 transposes the gradient along any axis but the last',
        cases: (kernelCase) => !isLastAxis(kernelCase),
      },
    },
  },
  {
    kernel: 'Cumprod',
    cases: lineCases('x', 'axis', fc.oneof(FLOATS, contents.int), false).map((kernelCase) => ({
      ...kernelCase,
      inputs: Object.fromEntries(
        // More factors would leave the range of float32 on the way.
        Object.entries(kernelCase.inputs).map(([name, spec]) => [
          name,
          { ...spec, shape: (spec.shape as number[]).map((dim) => Math.min(dim, 40)) },
        ]),
      ),
    })),
    judge: REFERENCE64,
    rule: { terms: lineLength, absolute: 1e-36 },
  },
  {
    kernel: 'Softmax',
    cases: lineCases('logits', 'dim', LOGITS, true),
    judge: REFERENCE64,
    // Rounding x - max moves exp by 20 * 2^-24 for logits up to 10 in size; exp itself and the sum add as much again.
    rule: { relative: 8e-6 },
    gradient: { of: ['logits'], fills: { logits: 'plain' } },
  },
  {
    kernel: 'LogSoftmax',
    cases: lineCases('logits', 'axis', LOGITS, true),
    judge: REFERENCE64,
    // As for softmax; logarithms of up to 20 + log(33) in size are rounded once more.
    rule: { absolute: 8e-6 },
    gradient: { of: ['logits'], fills: { logits: 'plain' } },
  },
];

const nonFinite = [...reductions, ...scans]
  .filter(({ kernel }) => ['Sum', 'Mean', 'Prod', 'Cumsum', 'Cumprod', 'Softmax', 'LogSoftmax'].includes(kernel))
  .map((spec) => withNonFinite(spec));

export const reductionSpecs: readonly KernelSpec[] = [...reductions, ...scans, ...nonFinite];
