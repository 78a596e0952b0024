/** Makes tests of kernel specs. */
import { describe, it } from 'vitest';
import { judgeForward, judgeGradient, titleOf, type KernelSpec, type RunOptions } from './check.js';

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
