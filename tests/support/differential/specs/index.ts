/** Every kernel that is judged on random calls, and the reasons for those that are not. */
import type { KernelSpec } from '../check.js';
import { contractionSpecs, poolingSpecs } from './contraction.js';
import { elementwiseSpecs } from './elementwise.js';
import { hostSpecs } from './host.js';
import { imageSpecs } from './image.js';
import { layoutSpecs } from './layout.js';
import { FINITE_ONLY, nonFiniteSpecs } from './non-finite.js';
import { reductionSpecs } from './reduction.js';

const ordinary: Readonly<Record<string, readonly KernelSpec[]>> = {
  elementwise: elementwiseSpecs,
  reduction: reductionSpecs,
  layout: layoutSpecs,
  contraction: contractionSpecs,
  pooling: poolingSpecs,
  image: imageSpecs,
  host: hostSpecs,
};

export const families: Readonly<Record<string, readonly KernelSpec[]>> = {
  ...ordinary,
  'not finite': nonFiniteSpecs(Object.values(ordinary).flat()),
};

export const allSpecs: readonly KernelSpec[] = Object.values(families).flat();

export { FINITE_ONLY };

/** Kernels without a generator. */
export const WITHOUT_CASES: Readonly<Record<string, string>> = {
  StaticRegexReplace: 'takes and gives text only',
  StringNGrams: 'takes and gives text only',
  StringSplit: 'takes and gives text only',
  StringToHashBucketFast: 'takes text only; the hash is checked against known values in tests/ops/forms.test.ts',
};

/** Differentiable kernels whose gradient is not judged here. */
export const WITHOUT_GRADIENT: Readonly<Record<string, string>> = {
  ComplexAbs: "tfjs-core's gradient is that of the absolute value of the real part",
};
