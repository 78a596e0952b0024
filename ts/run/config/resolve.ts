import { Document, isMap, isScalar } from 'yaml';
import type { PreparedData } from '../../data/index.js';
import { TensorkilnError } from '../../errors.js';
import { resolveFeatures } from './data-config.js';
import type { TrainingConfig } from './schema.js';

/** A configuration that leaves nothing to be decided: it repeats the run. */
export type ResolvedConfig = TrainingConfig & {
  readonly model: { readonly num_classes: number };
  readonly training: { readonly batch_size: number; readonly learning_rate: number };
  readonly output: string;
  readonly device: string;
};

/** Something the configuration left open, and what was made of it. */
export interface Decision {
  /** Dotted key. */
  readonly key: string;
  readonly value: unknown;
  /** Reads behind "because". */
  readonly why: string;
}

/** The learning rate of `auto`, by optimizer. */
const LEARNING_RATES = { adam: 0.001, adamw: 0.001, sgd: 0.01 } as const;

/**
 * Fills in what only the data and the machine could tell: column types, classes, batch size, learning rate, device, output folder.
 *
 * @throws E_CONFIG when the data has another number of classes than the configuration says
 */
export function resolveConfig(
  config: TrainingConfig,
  data: PreparedData,
  run: { readonly output: string; readonly device: string },
): { readonly config: ResolvedConfig; readonly decisions: readonly Decision[] } {
  const decisions: Decision[] = [];
  const decide = <T>(key: string, value: T, why: string): T => {
    decisions.push({ key, value, why });
    return value;
  };
  const rows = data.train.size;
  const classes = data.classes.length;
  if (config.model.num_classes !== 'auto' && config.model.num_classes !== classes) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[config] wrong model.num_classes: expected ${classes}, the classes of "${config.data.target}", got ${config.model.num_classes}.`,
    );
  }
  for (const column of data.columns) {
    if (column.role === 'target' || config.features[column.name] !== undefined) continue;
    const value = column.role === 'ignored' ? 'ignore' : column.type;
    decisions.push({ key: `features.${column.name}`, value, why: column.reason ?? 'of what its cells are' });
  }
  const { training } = config;
  const optimizer = training.optimizer;
  return {
    decisions,
    config: {
      ...config,
      data: { ...config.data, task: data.task },
      features: resolveFeatures(config.features, data.columns),
      model: {
        ...config.model,
        num_classes:
          config.model.num_classes === 'auto'
            ? decide('model.num_classes', classes, `"${config.data.target}" has ${classes} classes`)
            : config.model.num_classes,
      },
      training: {
        ...training,
        batch_size:
          training.batch_size === 'auto'
            ? decide(
                'training.batch_size',
                autoBatchSize(rows),
                `it is the power of two next to the square root of ${rows} training rows, from 16 to 1024`,
              )
            : training.batch_size,
        learning_rate:
          training.learning_rate === 'auto'
            ? decide('training.learning_rate', LEARNING_RATES[optimizer], `it is the usual start for ${optimizer}`)
            : training.learning_rate,
      },
      output: config.output ?? decide('output', run.output, 'no folder was named'),
      device:
        config.device === run.device
          ? run.device
          : decide(
              'device',
              run.device,
              config.device === undefined
                ? 'neither the configuration nor TENSORKILN_DEVICE names another'
                : `it is what "${config.device}" finds on this machine`,
            ),
    },
  };
}

/** As many steps in an epoch as rows in a step keeps both the noise of a step and the number of steps in bounds. */
function autoBatchSize(trainingRows: number): number {
  return Math.min(1024, Math.max(16, 2 ** Math.round(Math.log2(Math.sqrt(trainingRows)))));
}

/** The text of config.resolved.yaml: each decided value carries its reason as a comment. */
export function configText(config: ResolvedConfig, decisions: readonly Decision[], version: string): string {
  const document = new Document(config);
  document.commentBefore = ` Written by tensorkiln ${version}: every default filled in, every "auto" decided. Training with this file repeats the run.`;
  for (const { key, why } of decisions) {
    const path = key.startsWith('features.') ? ['features', key.slice('features.'.length)] : key.split('.');
    const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
    const pair = isMap(parent)
      ? parent.items.find(({ key: name }) => isScalar(name) && String(name.value) === path.at(-1))
      : undefined;
    if (pair !== undefined && isScalar(pair.value)) pair.value.comment = ` because ${why}`;
  }
  return document.toString({ lineWidth: 0 });
}
