import { judgeClassification } from './classification-verdict.js';
import { judgeLanguage } from './language-verdict.js';
import { judgeRegression } from './regression-verdict.js';
import type { JudgedRun } from './types.js';
import type { Verdict } from './verdict-types.js';

/** Judges a run: against its baselines, by its learning curves, and by what its metrics show. */
export function judge(input: JudgedRun): Verdict {
  switch (input.task) {
    case 'classification':
      return judgeClassification(input);
    case 'regression':
      return judgeRegression(input);
    case 'language_model':
      return judgeLanguage(input);
  }
}
