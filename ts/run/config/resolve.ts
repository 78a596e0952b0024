import { Document, isMap, isScalar } from 'yaml';
import type { AnyData, RunData } from '../run-data.js';
import { TensorkilnError } from '../../errors.js';
import { resolveFeatures } from './data-config.js';
import { optimizerName } from './optimizer-schema.js';
import type { TrainingConfig } from './schema.js';
import { LOSSES, TARGET_METRICS } from './training-schema.js';

/** A configuration that leaves nothing to be decided: it repeats the run. */
export type ResolvedConfig = TrainingConfig & {
  readonly training: {
    readonly batch_size: number;
    readonly learning_rate: number;
    readonly loss: Exclude<TrainingConfig['training']['loss'], 'auto'>;
  };
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

/** The learning rate of `auto`, by optimizer: the defaults of their papers and of PyTorch. */
const LEARNING_RATES = {
  adam: 0.001,
  adamw: 0.001,
  sgd: 0.01,
  rmsprop: 0.01,
  adagrad: 0.01,
  adadelta: 1,
  adamax: 0.002,
  nadam: 0.002,
  lamb: 0.001,
  lion: 0.0001,
  muon: 0.001,
} as const;

/**
 * Fills in what only the data and the machine could tell: column types, classes, batch size, learning rate, device, output folder.
 *
 * @throws E_CONFIG when the data has another number of classes than the configuration says, or the configuration asks for what does not
 *         go with the task or with a split without validation part
 */
export function resolveConfig(
  config: TrainingConfig,
  data: AnyData,
  run: { readonly output: string; readonly device: string },
): { readonly config: ResolvedConfig; readonly decisions: readonly Decision[] } {
  const decisions: Decision[] = [];
  const decide = <T>(key: string, value: T, why: string): T => {
    decisions.push({ key, value, why });
    return value;
  };
  const isText = data.task === 'language_model';
  const rows = isText ? Math.floor(data.text.parts.train.length / data.text.contextLength) : data.train.size;
  const classes = isText ? data.vocabulary : data.classes.length;
  if (isText) checkText(config, data.text.parts.validation.length > 0);
  else checkTask(config, data);
  const columns = isText ? [] : data.columns;
  for (const column of columns) {
    if (column.role === 'target' || config.features[column.name] !== undefined) continue;
    const value = column.role === 'ignored' ? 'ignore' : column.type;
    decisions.push({ key: `features.${column.name}`, value, why: column.reason ?? 'of what its cells are' });
  }
  const { training } = config;
  const optimizer = optimizerName(training.optimizer);
  return {
    decisions,
    config: {
      ...config,
      data: {
        ...config.data,
        task: data.task,
        ...(isText && config.data.context_length === undefined
          ? {
              context_length: decide('data.context_length', data.text.contextLength, 'it is a usual one for characters'),
            }
          : {}),
      },
      ...(isText
        ? {
            split: {
              ...config.split,
              method: decide('split.method', 'order' as const, 'pieces of a text that lie side by side are alike'),
            },
          }
        : {}),
      features: resolveFeatures(config.features, columns),
      model: {
        ...config.model,
        num_classes:
          config.model.num_classes === 'auto' && data.task === 'classification'
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
        loss:
          training.loss === 'auto'
            ? decide('training.loss', LOSSES[data.task][0], `it is the usual one for ${data.task}`)
            : training.loss,
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

/** Whether everything asked for goes with a running text. @throws E_CONFIG */
function checkText({ model, training, augmentation, targets }: TrainingConfig, hasValidation: boolean): void {
  const { architecture } = model;
  if (architecture !== 'gpt' && architecture !== 'layers')
    throw wrong('model.architecture', 'gpt or layers for a running text', architecture);
  if (model.num_classes !== 'auto') throw wrong('model.num_classes', 'auto for a running text', model.num_classes);
  if (training.class_weights !== 'none') throw wrong('training.class_weights', 'none for a running text', 'weights');
  if (augmentation.enabled) throw wrong('augmentation.enabled', 'false for data that is not images', true);
  checkLossAndTargets('language_model', training, targets);
  checkMonitors(training, hasValidation, 'language_model');
}

function wrong(key: string, expected: string, got: unknown): TensorkilnError {
  return new TensorkilnError('E_CONFIG', `[config] wrong ${key}: expected ${expected}, got ${String(got)}.`);
}

type RunTask = keyof typeof LOSSES;

function checkLossAndTargets(task: RunTask, training: TrainingConfig['training'], targets: TrainingConfig['targets']): void {
  const losses: readonly string[] = LOSSES[task];
  if (training.loss !== 'auto' && !losses.includes(training.loss))
    throw wrong('training.loss', `${losses.join(', ')} or auto for ${task}`, training.loss);
  const metrics: readonly string[] = Object.keys(TARGET_METRICS[task]);
  const foreign = Object.entries(targets).find(([metric, value]) => value !== undefined && !metrics.includes(metric));
  if (foreign !== undefined) throw wrong(`targets.${foreign[0]}`, `${metrics.join(', ')} for ${task}`, foreign[0]);
}

/** What is watched must be there. */
function checkMonitors(training: TrainingConfig['training'], hasValidation: boolean, task: RunTask): void {
  const { early_stopping: stopping, scheduler } = training;
  const monitors = [
    ...(stopping === false ? [] : [['training.early_stopping.monitor', stopping.monitor] as const]),
    ...(scheduler.type === 'reduce_on_plateau' ? [['training.scheduler.monitor', scheduler.monitor] as const] : []),
  ];
  for (const [key, monitor] of monitors) {
    if (!hasValidation && monitor !== 'train_loss')
      throw wrong(key, 'train_loss, or early_stopping: false, since split.validation is 0', monitor);
    if (task === 'regression' && monitor === 'validation_accuracy')
      throw wrong(key, 'validation_loss or train_loss for regression', monitor);
  }
}

/** Whether everything asked for goes with the task and the parts there are. @throws E_CONFIG */
function checkTask(config: TrainingConfig, { task, classes, validation, images }: RunData): void {
  const { model, training, data, augmentation, targets } = config;
  const { num_classes: numClasses } = model;
  if (model.architecture === 'gpt')
    throw wrong('model.architecture', 'another than gpt for rows: gpt needs data.format text', 'gpt');
  if (task === 'regression' && numClasses !== 'auto')
    throw wrong('model.num_classes', `auto, since "${data.target}" is a number`, numClasses);
  if (numClasses !== 'auto' && numClasses !== classes.length)
    throw wrong('model.num_classes', `${classes.length}, the classes of "${data.target}"`, numClasses);
  if (task === 'regression' && training.class_weights !== 'none')
    throw wrong('training.class_weights', 'none for regression', 'weights');
  checkLossAndTargets(task, training, targets);
  if (augmentation.enabled && images === undefined)
    throw wrong('augmentation.enabled', 'false for data that is not images', true);
  checkMonitors(training, validation.size > 0, task);
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
