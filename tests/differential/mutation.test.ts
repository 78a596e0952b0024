import { beforeAll, describe, expect, it } from 'vitest';
import { customChecks } from '../support/differential/custom.js';
import { catcherOf, checksByOp, mutants, type Check } from '../support/differential/mutation.js';

declare module 'vitest' {
  interface TaskMeta {
    /** The check that noticed the mutant; scripts/mutation.mjs prints it. */
    catcher?: string;
  }
}

const SEED = 1;
/** Cases per kernel: enough for every variant of every op, few enough for a run in seconds. */
const CASES = 8;

describe('ops of our own', () => {
  it.each(customChecks.map(({ name, check }) => [name, check] as const))('%s', (_, check) => check());
});

describe('a wrong result is noticed', () => {
  let checks: Map<string, Check[]>;

  beforeAll(() => {
    checks = checksByOp(CASES, SEED);
    // Ten seconds of a processor, which a loaded machine may stretch.
  }, 240_000);

  for (const mutant of mutants()) {
    it(`${mutant.op} ${mutant.operand}`, ({ task }) => {
      const catcher = catcherOf(mutant, checks.get(mutant.op) ?? []);
      expect(catcher, checks.has(mutant.op) ? 'no check noticed it' : 'no check calls the op').toBeDefined();
      task.meta.catcher = catcher!;
    });
  }
});
