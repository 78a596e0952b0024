/** Whether a model is as good as the configuration asks for. */
import type { Metrics } from '../evaluate/index.js';
import type { TrainingConfig } from './config/schema.js';
import { TARGET_METRICS, type TargetMetric } from './config/training-schema.js';
import { camelCase } from './snake-case.js';

export interface TargetResult {
  readonly metric: TargetMetric;
  /** Least value for metrics where more is better, greatest for the others. */
  readonly threshold: number;
  /** Null where the metric is not defined for the test rows; then the target is missed. */
  readonly value: number | null;
  readonly isMet: boolean;
}

export function judgeTargets(targets: TrainingConfig['targets'], metrics: Metrics): readonly TargetResult[] {
  const values = metrics as unknown as Readonly<Record<string, number | null | undefined>>;
  return Object.entries<'min' | 'max'>(TARGET_METRICS[metrics.task]).flatMap(([name, better]) => {
    const metric = name as TargetMetric;
    const threshold = targets[metric];
    if (threshold === undefined) return [];
    const value = values[camelCase(name)] ?? null;
    const isMet = value !== null && (better === 'max' ? value >= threshold : value <= threshold);
    return [{ metric, threshold, value, isMet }];
  });
}
