import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { customChecks } from '../support/differential/custom.js';
import { catcherOf, checksByOp, mutants, type Check } from '../support/differential/mutation.js';

const SEED = 1;
/** Cases per kernel: enough for every variant of every op, few enough for a run in seconds. */
const CASES = 8;

describe('ops of our own', () => {
  it.each(customChecks.map(({ name, check }) => [name, check] as const))('%s', (_, check) => check());
});

describe('a wrong result is noticed', () => {
  let checks: Map<string, Check[]>;
  const table: string[] = [];

  beforeAll(() => {
    checks = checksByOp(CASES, SEED);
  });

  it.each(mutants().map((mutant) => [`${mutant.op} ${mutant.operand}`, mutant] as const))('%s', (title, mutant) => {
    const catcher = catcherOf(mutant, checks.get(mutant.op) ?? []);
    expect(catcher, checks.has(mutant.op) ? 'no check noticed it' : 'no check calls the op').toBeDefined();
    table.push(`${title} -> ${catcher}`);
  });

  afterAll(() => {
    if (process.env['npm_lifecycle_event'] === 'test:mutation') console.log(table.join('\n'));
  });
});
