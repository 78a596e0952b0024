import { judgeClassification } from './classification-verdict.js';
import { judgeRegression } from './regression-verdict.js';
import type { JudgedRun } from './types.js';
import type { Verdict } from './verdict-types.js';

/** Judges a run: against its baselines, by its learning curves, and by what its metrics show. */
export function judge(input: JudgedRun): Verdict {
  return input.task === 'classification' ? judgeClassification(input) : judgeRegression(input);
}
