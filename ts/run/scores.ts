/** How a model fared, without the parts that only a report needs. */
import type { ClassificationMetrics, LanguageMetrics, Metrics, RegressionMetrics } from '../evaluate/index.js';

export interface ClassificationScores {
  readonly task: 'classification';
  readonly rows: number;
  readonly accuracy: number;
  readonly balancedAccuracy: number;
  readonly macroF1: number;
  readonly logLoss: number;
  /** Null where a class lacks rows. */
  readonly rocAuc: number | null;
  readonly prAuc: number | null;
  readonly mcc: number;
}

export interface RegressionScores {
  readonly task: 'regression';
  readonly rows: number;
  readonly rmse: number;
  readonly mae: number;
  /** Null for a single row. */
  readonly r2: number | null;
}

export type LanguageScores = LanguageMetrics;

export type Scores = ClassificationScores | LanguageScores | RegressionScores;

export function scoresOf(metrics: Metrics): Scores {
  switch (metrics.task) {
    case 'classification':
      return ofClasses(metrics);
    case 'regression':
      return ofNumbers(metrics);
    case 'language_model':
      return metrics;
  }
}

function ofClasses(metrics: ClassificationMetrics): ClassificationScores {
  const { task, rows, accuracy, balancedAccuracy, macroF1, logLoss, rocAuc, prAuc, mcc } = metrics;
  return { task, rows, accuracy, balancedAccuracy, macroF1, logLoss, rocAuc, prAuc, mcc };
}

function ofNumbers({ task, rows, rmse, mae, r2 }: RegressionMetrics): RegressionScores {
  return { task, rows, rmse, mae, r2 };
}
