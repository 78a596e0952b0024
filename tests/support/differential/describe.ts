/** Makes tests of kernel specs. */
import { describe, it } from 'vitest';
import { judgeForward, judgeGradient, titleOf, type KernelSpec, type RunOptions } from './check.js';
import { hasGradient, judgeFused, judgeFusedGradient, type FusedSpec } from './fused/spec.js';

/** One test per kernel and one more per gradient. */
export function describeKernels(family: string, specs: readonly KernelSpec[], options: RunOptions): void {
  describe(family, () => {
    for (const spec of specs) {
      it(titleOf(spec), () => judgeForward(spec, options));
      const { gradient } = spec;
      if (gradient !== undefined) it(`gradient of ${titleOf(spec)}`, () => judgeGradient(spec, gradient, options));
    }
  });
}

/** As `describeKernels`, for ops of our own. */
export function describeFused(family: string, specs: readonly FusedSpec[], options: RunOptions): void {
  describe(`${family} of our own`, () => {
    for (const spec of specs) {
      it(spec.name, () => judgeFused(spec, options));
      if (hasGradient(spec)) it(`gradient of ${spec.name}`, () => judgeFusedGradient(spec, options));
    }
  });
}
