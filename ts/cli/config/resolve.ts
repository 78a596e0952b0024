import { stringify } from 'yaml';
import type { PreparedData } from '../../data/index.js';
import { resolveFeatures } from './data-config.js';
import type { TrainingConfig } from './schema.js';

/** A configuration that leaves nothing to be decided: it repeats the run. */
export type ResolvedConfig = TrainingConfig & {
  readonly training: { readonly batch_size: number };
  readonly output: string;
  readonly device: string;
};

/** Fills in what only the data and the machine could tell: column types, batch size, device, output folder. */
export function resolveConfig(
  config: TrainingConfig,
  data: PreparedData,
  run: { readonly output: string; readonly device: string },
): ResolvedConfig {
  return {
    ...config,
    data: { ...config.data, task: data.task },
    features: resolveFeatures(config.features, data.columns),
    training: { ...config.training, batch_size: resolveBatchSize(config.training.batch_size, data.train.size) },
    ...run,
  };
}

/**
 * `auto` is the power of two next to the square root of the training rows, from 16 to 1024: as many steps in an epoch as rows in a step,
 * which keeps both the noise of a step and the number of steps in bounds.
 */
function resolveBatchSize(batchSize: number | 'auto', trainingRows: number): number {
  if (batchSize !== 'auto') return batchSize;
  return Math.min(1024, Math.max(16, 2 ** Math.round(Math.log2(Math.sqrt(trainingRows)))));
}

/** The text of config.resolved.yaml. */
export function configText(config: ResolvedConfig, version: string): string {
  return `# Written by tensorkiln ${version}: every default filled in, every "auto" decided. Training with this file repeats the run.\n${stringify(config, { lineWidth: 0 })}`;
}
