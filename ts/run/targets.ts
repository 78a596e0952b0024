/** Whether a model is as good as the configuration asks for. */
import type { ClassificationMetrics } from '../evaluate/index.js';
import type { TrainingConfig } from './config/schema.js';
import { TARGET_METRICS, type TargetMetric } from './config/training-schema.js';

export interface TargetResult {
  readonly metric: TargetMetric;
  /** Least value for metrics where more is better, greatest for the others. */
  readonly threshold: number;
  readonly value: number;
  readonly isMet: boolean;
}

const FIELDS = {
  accuracy: 'accuracy',
  balanced_accuracy: 'balancedAccuracy',
  macro_precision: 'macroPrecision',
  macro_recall: 'macroRecall',
  macro_f1: 'macroF1',
  log_loss: 'logLoss',
} as const satisfies Record<TargetMetric, keyof ClassificationMetrics>;

export function judgeTargets(targets: TrainingConfig['targets'], metrics: ClassificationMetrics): readonly TargetResult[] {
  return (Object.keys(TARGET_METRICS) as TargetMetric[]).flatMap((metric) => {
    const threshold = targets[metric];
    if (threshold === undefined) return [];
    const value = metrics[FIELDS[metric]];
    return [{ metric, threshold, value, isMet: TARGET_METRICS[metric] === 'max' ? value >= threshold : value <= threshold }];
  });
}
