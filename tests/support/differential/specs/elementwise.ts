/** Kernels that work on each element by itself. */
import fc from 'fast-check';
import { REFERENCE64 } from '../../reference64/backend.js';
import {
  anyContent,
  bool,
  broadcastShapes,
  contents,
  float,
  seed,
  shapes,
  shapesOrLarge,
  shapesWithLarge,
  tensor,
  type Content,
} from '../arbitraries.js';
import type { Fill, KernelCase } from '../cases.js';
import { STOCK, type GradientRule, type KernelSpec, type Rule } from '../check.js';

const EXACT: Rule = {};
/** Vectorised functions are good to 4 units in the last place (2^-23 each); 1e-37 covers results near the subnormal ones. */
const FUNCTION: Rule = { relative: 6e-7, absolute: 1e-37 };

const fillsOf = (...fills: Fill[]): fc.Arbitrary<Content> =>
  fc.constantFrom(...fills.map((fill): Content => ({ dtype: 'float32', fill })));

function unaryCases(
  content: fc.Arbitrary<Content>,
  attrs: fc.Arbitrary<Record<string, unknown>> = fc.constant({}),
): fc.Arbitrary<KernelCase> {
  return fc
    .record({ shape: shapesWithLarge, content, seed, attrs })
    .map(({ shape, content: { dtype, fill }, seed: valueSeed, attrs: chosen }) => ({
      inputs: { x: tensor(shape, dtype, fill, valueSeed) },
      attrs: chosen,
    }));
}

/** Values of every kind. */
const ANY = fillsOf('plain', 'ties', 'halves', 'wide', 'special');
const FLOAT_OR_INT = fc.oneof(ANY, contents.int);
const smooth = (fill: Fill): GradientRule => ({ of: ['x'], fills: { x: fill } });

interface UnaryRow {
  readonly content: fc.Arbitrary<Content>;
  readonly rule: Rule;
  readonly gradient?: Fill;
  readonly attrs?: fc.Arbitrary<Record<string, unknown>>;
}

const ALPHA = fc.constantFrom(0, 0.25, 0.2, 1.5).map((alpha) => ({ alpha }));
/** Functions whose argument is reduced: exact for what networks see, judged where the reference is exact too. */
const ANGLES = fillsOf('plain', 'halves', { low: -100, high: 100 }, 'special');

const UNARY: Readonly<Record<string, UnaryRow>> = {
  Abs: { content: FLOAT_OR_INT, rule: EXACT, gradient: 'offZero' },
  Acos: { content: fillsOf('unit', 'ties', 'special'), rule: FUNCTION, gradient: 'unit' },
  Acosh: { content: fillsOf('aboveOne', 'wide', 'special'), rule: FUNCTION, gradient: 'aboveOne' },
  Asin: { content: fillsOf('unit', 'ties', 'special'), rule: FUNCTION, gradient: 'unit' },
  Asinh: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  Atan: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  Atanh: { content: fillsOf('unit', 'ties', 'special'), rule: FUNCTION, gradient: { low: -0.75, high: 0.75 } },
  Ceil: { content: ANY, rule: EXACT, gradient: 'offGrid' },
  Cos: { content: ANGLES, rule: { relative: 6e-7, absolute: 6e-8 }, gradient: 'plain' },
  Cosh: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  Elu: { content: ANY, rule: FUNCTION, gradient: 'offZero' },
  Erf: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  Exp: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  Expm1: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  Floor: { content: ANY, rule: EXACT, gradient: 'offGrid' },
  Identity: { content: anyContent, rule: EXACT, gradient: 'plain' },
  IsFinite: { content: ANY, rule: EXACT, gradient: 'plain' },
  IsInf: { content: ANY, rule: EXACT, gradient: 'plain' },
  IsNan: { content: ANY, rule: EXACT, gradient: 'plain' },
  // The slope is rounded to float32, then the product.
  LeakyRelu: { content: ANY, rule: { relative: 2 ** -23, absolute: 1e-44 }, gradient: 'offZero', attrs: ALPHA },
  Log: { content: ANY, rule: FUNCTION, gradient: 'positive' },
  Log1p: { content: ANY, rule: FUNCTION, gradient: 'positive' },
  LogicalNot: { content: contents.bool, rule: EXACT },
  Neg: { content: FLOAT_OR_INT, rule: EXACT, gradient: 'plain' },
  OnesLike: { content: anyContent, rule: EXACT, gradient: 'plain' },
  Reciprocal: { content: ANY, rule: EXACT, gradient: 'offZero' },
  Relu: { content: FLOAT_OR_INT, rule: { anyZero: true }, gradient: 'offZero' },
  Relu6: { content: FLOAT_OR_INT, rule: { anyZero: true }, gradient: 'offZero' },
  Round: { content: ANY, rule: EXACT, gradient: 'offGrid' },
  // A square root and a quotient: two roundings.
  Rsqrt: { content: ANY, rule: { relative: 2 ** -22 }, gradient: 'positive' },
  Selu: { content: ANY, rule: FUNCTION, gradient: 'offZero' },
  Sigmoid: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  Sign: { content: FLOAT_OR_INT, rule: EXACT, gradient: 'offZero' },
  Sin: { content: ANGLES, rule: { relative: 6e-7, absolute: 6e-8 }, gradient: 'plain' },
  Sinh: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  Softplus: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  Sqrt: { content: ANY, rule: EXACT, gradient: 'positive' },
  Square: { content: FLOAT_OR_INT, rule: EXACT, gradient: 'plain' },
  Step: {
    content: FLOAT_OR_INT,
    rule: EXACT,
    gradient: 'offZero',
    attrs: fc.constantFrom({ alpha: 0 }, { alpha: 2 }, { alpha: -1 }),
  },
  Tan: { content: fillsOf('plain', 'halves', 'unit', 'special'), rule: FUNCTION, gradient: 'unit' },
  Tanh: { content: ANY, rule: FUNCTION, gradient: 'plain' },
  ZerosLike: { content: anyContent, rule: EXACT, gradient: 'plain' },
  ClipByValue: {
    content: FLOAT_OR_INT,
    rule: EXACT,
    // 0.05 from the bounds at least.
    gradient: 'offGrid',
    attrs: fc.constantFrom(
      { clipValueMin: -1, clipValueMax: 1 },
      { clipValueMin: 0, clipValueMax: 6 },
      { clipValueMin: 1, clipValueMax: 1 },
    ),
  },
};

const castCases = fc
  .record({
    shape: shapesWithLarge,
    content: fc.oneof(fillsOf('plain', 'halves', 'special'), contents.int, contents.bool),
    dtype: fc.constantFrom('float32', 'int32', 'bool'),
    seed,
  })
  .map(({ shape, content, dtype, seed: valueSeed }): KernelCase => {
    const fill = content.fill === 'special' && dtype === 'int32' ? { low: -1e6, high: 1e6 } : content.fill;
    return { inputs: { x: tensor(shape, content.dtype, fill, valueSeed) }, attrs: { dtype } };
  });

const unarySpecs: readonly KernelSpec[] = [
  ...Object.entries(UNARY).map(([kernel, { content, rule, gradient, attrs }]): KernelSpec => ({
    kernel,
    cases: unaryCases(content, attrs),
    judge: REFERENCE64,
    rule,
    ...(gradient === undefined
      ? {}
      : { gradient: { ...smooth(gradient), where: ({ inputs }) => Object.values(inputs)[0]!.dtype === 'float32' } }),
  })),
  {
    kernel: 'Cast',
    cases: castCases,
    judge: REFERENCE64,
    rule: EXACT,
    gradient: {
      ...smooth('plain'),
      where: ({ inputs, attrs }) => Object.values(inputs)[0]!.dtype === 'float32' && attrs['dtype'] === 'float32',
    },
  },
];

/** How two operands are filled, as the dtype rules of tfjs allow. */
interface Pair {
  readonly a: Content;
  readonly b: Content;
}
const both = (dtype: 'float32' | 'int32' | 'bool', ...fills: Fill[]): fc.Arbitrary<Pair> =>
  fc.constantFrom(...fills.map((fill) => ({ a: { dtype, fill }, b: { dtype, fill } })));
const FLOATS = both('float32', 'plain', 'ties', 'special');
const INTS = both('int32', 'small', 'extreme', { low: -2, high: 3 });
const BOOLS = both('bool', 'bits');
const pairOf = (a: Fill, b: Fill): fc.Arbitrary<Pair> =>
  fc.constant({ a: { dtype: 'float32', fill: a }, b: { dtype: 'float32', fill: b } });

function binaryCases(content: fc.Arbitrary<Pair>, names: readonly [string, string] = ['a', 'b']): fc.Arbitrary<KernelCase> {
  return fc.record({ pair: broadcastShapes, content, seed }).map(({ pair, content: { a, b }, seed: valueSeed }) => ({
    inputs: {
      [names[0]]: tensor(pair.a, a.dtype, a.fill, valueSeed),
      [names[1]]: tensor(pair.b, b.dtype, b.fill, valueSeed + 1),
    },
    attrs: {},
  }));
}

const isFloat = ({ inputs }: KernelCase): boolean => Object.values(inputs).every(({ dtype }) => dtype === 'float32');

interface BinaryRow {
  readonly content: fc.Arbitrary<Pair>;
  readonly rule: Rule;
  readonly gradient?: Partial<GradientRule> & Pick<GradientRule, 'fills'>;
}

const NUMBERS = fc.oneof(FLOATS, INTS);
/** Arithmetic of bool counts, and all but 0 is true: 1 + 1 and 0 - 1 are. */
const NUMBERS_AND_BOOLS = fc.oneof(FLOATS, INTS, BOOLS);
const shapesOf = ({ inputs }: KernelCase): string[] => Object.values(inputs).map(({ shape }) => shape.join());
/** tfjs-core's gradients of these do not sum over axes that were broadcast and refuse the call. */
const isSameShape = (kernelCase: KernelCase): boolean => isFloat(kernelCase) && new Set(shapesOf(kernelCase)).size === 1;
/** Apart by 0.1 at least. */
const APART = { fills: { a: 'offGrid', b: 'halves' }, where: isSameShape } as const;
const SMOOTH = { fills: { a: 'plain', b: 'offZero' } } as const;

const BINARY: Readonly<Record<string, BinaryRow>> = {
  Add: { content: NUMBERS_AND_BOOLS, rule: EXACT, gradient: SMOOTH },
  Atan2: { content: FLOATS, rule: FUNCTION, gradient: { fills: { a: 'offZero', b: 'offZero' } } },
  BitwiseAnd: { content: INTS, rule: EXACT },
  Equal: { content: NUMBERS_AND_BOOLS, rule: EXACT },
  FloorDiv: {
    content: NUMBERS,
    rule: EXACT,
    gradient: { ...SMOOTH, tape: 'tfjs-core defines it as the gradient of the quotient before rounding' },
  },
  Greater: { content: NUMBERS_AND_BOOLS, rule: EXACT },
  GreaterEqual: { content: NUMBERS_AND_BOOLS, rule: EXACT, gradient: APART },
  Less: { content: NUMBERS_AND_BOOLS, rule: EXACT },
  LessEqual: { content: NUMBERS_AND_BOOLS, rule: EXACT },
  LogicalAnd: { content: BOOLS, rule: EXACT },
  LogicalOr: { content: BOOLS, rule: EXACT },
  Maximum: { content: NUMBERS_AND_BOOLS, rule: EXACT, gradient: APART },
  Minimum: { content: NUMBERS_AND_BOOLS, rule: EXACT, gradient: APART },
  Mod: {
    content: fc.oneof(both('float32', 'plain', 'ties', 'halves', 'special'), INTS, BOOLS),
    rule: EXACT,
    gradient: { fills: { a: { low: 0.1, high: 1 }, b: 'aboveOne' } },
  },
  Multiply: { content: NUMBERS_AND_BOOLS, rule: EXACT, gradient: SMOOTH },
  NotEqual: { content: NUMBERS_AND_BOOLS, rule: EXACT },
  // powf is good to one unit in the last place; whole numbers are exact modulo 2^32.
  Pow: {
    content: fc.oneof(FLOATS, pairOf('positive', 'plain'), both('int32', { low: -3, high: 8 }, 'small'), BOOLS),
    rule: FUNCTION,
    gradient: { fills: { a: 'positive', b: 'plain' } },
  },
  RealDiv: { content: fc.oneof(FLOATS, BOOLS), rule: EXACT, gradient: SMOOTH },
  // A difference and a square: three roundings in relative terms.
  SquaredDifference: {
    content: NUMBERS_AND_BOOLS,
    rule: { relative: 2 ** -22, absolute: 1e-44 },
    gradient: { ...SMOOTH, where: isSameShape },
  },
  Sub: { content: NUMBERS_AND_BOOLS, rule: EXACT, gradient: SMOOTH },
};

const EMPTY: NonNullable<GradientRule['excluded']> = {
  reason: 'tfjs-core 4.22 does not reduce the gradient of an operand that was broadcast to no elements',
  cases: ({ inputs }) => {
    const [a, b] = Object.values(inputs).map(({ shape }: { shape: readonly number[] }) => shape) as [number[], number[]];
    const rank = Math.min(a.length, b.length);
    return Array.from({ length: rank }, (_, i) => [a.at(-1 - i)!, b.at(-1 - i)!]).some(
      (dims) => dims.includes(0) && dims.includes(1),
    );
  },
};

/** a mod b jumps where a / b is whole: a in (0.1, 1) over b in (1.25, 3.25) stays away from that. */
const MOD_GRADIENT = { a: { low: 0.1, high: 1 }, b: 'aboveOne' } as const;

const binarySpecs: readonly KernelSpec[] = Object.entries(BINARY).map(([kernel, { content, rule, gradient }]): KernelSpec => {
  const fills = kernel === 'Mod' ? MOD_GRADIENT : gradient?.fills;
  return {
    kernel,
    cases: binaryCases(content),
    judge: kernel === 'BitwiseAnd' ? STOCK : REFERENCE64,
    rule,
    ...(gradient === undefined || fills === undefined
      ? {}
      : {
          gradient: {
            of: ['a', 'b'],
            ...(gradient.where === undefined ? { where: isFloat, excluded: EMPTY } : {}),
            ...gradient,
            fills,
          },
        }),
  };
});

const complexCases = fc.record({ pair: broadcastShapes, seed }).map(({ pair: { a, b }, seed: valueSeed }): KernelCase => ({
  inputs: { a: tensor(a, 'complex64', 'plain', valueSeed), b: tensor(b, 'complex64', 'plain', valueSeed + 2) },
  attrs: {},
}));

const otherSpecs: readonly KernelSpec[] = [
  ...['Add', 'Sub', 'Multiply'].map((kernel): KernelSpec => ({
    kernel,
    variant: 'of complex numbers',
    cases: complexCases,
    judge: REFERENCE64,
    // Two products of at most 4 and their sum are rounded one by one here, once there.
    rule: { absolute: 16 * 2 ** -24 },
  })),
  {
    kernel: 'Prelu',
    cases: binaryCases(FLOATS, ['x', 'alpha']),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: {
      of: ['x', 'alpha'],
      fills: { x: 'offZero', alpha: 'plain' },
      // tfjs-core's gradient of x keeps the broadcast shape.
      where: ({ inputs }) => isBroadcastFree(inputs as never),
    },
  },
  {
    kernel: 'EluGrad',
    cases: fc.record({ shape: shapesWithLarge, seed }).map(({ shape, seed: valueSeed }) => ({
      inputs: { dy: float(shape, valueSeed), y: float(shape, valueSeed + 1, { low: -1, high: 1 }) },
      attrs: {},
    })),
    judge: REFERENCE64,
    // A sum and a product.
    rule: { relative: 2 ** -22, absolute: 1e-44 },
  },
  {
    kernel: 'AddN',
    cases: fc
      .record({ shape: shapes(), count: fc.integer({ min: 1, max: 5 }), content: fc.oneof(contents.float, contents.int), seed })
      .map(({ shape, count, content, seed: valueSeed }) => ({
        inputs: Array.from({ length: count }, (_, i) =>
          tensor(shape, content.dtype, content.fill === 'special' ? 'ties' : content.fill, valueSeed + i),
        ),
        attrs: {},
      })),
    judge: REFERENCE64,
    rule: { terms: ({ inputs }) => Object.keys(inputs).length },
    gradient: { of: ['*'], fills: { '*': 'plain' }, where: isFloat },
  },
  {
    kernel: 'Select',
    cases: fc
      .record({ shape: shapesOrLarge(), perRow: fc.boolean(), content: anyContent, seed })
      .map(({ shape, perRow, content: { dtype, fill }, seed: valueSeed }) => ({
        inputs: {
          condition: bool(perRow ? shape.slice(0, 1) : shape, valueSeed),
          t: tensor(shape, dtype, fill, valueSeed + 1),
          e: tensor(shape, dtype, fill, valueSeed + 2),
        },
        attrs: {},
      })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: {
      of: ['t', 'e'],
      fills: { t: 'plain', e: 'plain' },
      // tfjs-core's gradient multiplies by the condition as it is, which broadcasts along the wrong axis per row.
      where: ({ inputs }) => {
        const { condition, t } = inputs as Readonly<Record<string, { shape: readonly number[]; dtype: string }>>;
        return t!.dtype === 'float32' && condition!.shape.length === t!.shape.length;
      },
    },
  },
  {
    kernel: 'Fill',
    cases: fc
      .record({
        shape: shapesWithLarge,
        choice: fc.constantFrom(
          { value: 0.1, dtype: 'float32' },
          { value: -7, dtype: 'int32' },
          { value: 1, dtype: 'bool' },
          { value: NaN, dtype: 'float32' },
          { value: -Infinity, dtype: 'float32' },
          { value: -0, dtype: 'float32' },
        ),
      })
      .map(({ shape, choice }) => ({ inputs: {}, attrs: { shape, ...choice } })),
    judge: REFERENCE64,
    rule: EXACT,
  },
];

function isBroadcastFree({ x, alpha }: Readonly<Record<'x' | 'alpha', { shape: readonly number[] }>>): boolean {
  return (
    alpha.shape.length <= x.shape.length &&
    alpha.shape.every((dim, i) => dim === 1 || dim === x.shape[i + x.shape.length - alpha.shape.length])
  );
}

export const elementwiseSpecs: readonly KernelSpec[] = [...unarySpecs, ...binarySpecs, ...otherSpecs];
