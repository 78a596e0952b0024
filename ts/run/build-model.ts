/** Model, optimizer and loss of a configuration. */
import { camelCase } from './snake-case.js';
import { TensorkilnError } from '../errors.js';
import {
  createModel,
  crossEntropy,
  crossEntropyLoss,
  focalLoss,
  huberLoss,
  logCoshLoss,
  meanAbsoluteError,
  meanSquaredError,
  modelFromJSON,
  type Loss,
  type Model,
} from '../nn/index.js';
import {
  Adadelta,
  Adagrad,
  Adam,
  Adamax,
  AdamW,
  LAMB,
  Lion,
  Muon,
  NAdam,
  RMSProp,
  SGD,
  type Optimizer,
  type MuonGroup,
} from '../optim/index.js';
import type { OptimizerName } from './config/optimizer-schema.js';
import { patternOf } from './config/schema-parts.js';
import { MODEL_OPTIONS } from './config/model-schema.js';
import type { ResolvedConfig } from './config/resolve.js';
import type { LanguageData } from './language/language-data.js';
import type { RunData } from './run-data.js';

/** What a model has to fit. */
export type ModelTask = Pick<RunData, 'task' | 'classes' | 'vocabulary' | 'train'> | LanguageData;

/** The values a model gives for a row: a score for each class, or the number. */
export function countOutputs({ task, classes }: Pick<RunData, 'task' | 'classes'>): number {
  return task === 'regression' ? 1 : classes.length;
}

/**
 * The model of a configuration, built for the training rows; its last layer gives logits, one per class, or the scaled number.
 *
 * @throws E_CONFIG, E_SHAPE for layers or an architecture that do not fit the rows, or give another number of values
 */
export function buildModel(config: ResolvedConfig, data: ModelTask): Model {
  const model = unbuiltModel(config, data);
  const { shape, what } = outputsOf(data);
  model.build(inputShapeOf(data));
  if (model.outputShape.join() !== shape.join()) {
    const found = model.outputShape.join(', ');
    model.dispose();
    throw new TensorkilnError(
      'E_SHAPE',
      `[model.layers] wrong outputs: expected [${shape.join(', ')}], ${what}, got [${found}].`,
    );
  }
  return model;
}

function inputShapeOf(data: ModelTask): readonly number[] {
  return data.task === 'language_model' ? [data.text.contextLength] : data.train.featureShape;
}

/** What the model has to give for a row. */
function outputsOf(data: ModelTask): { readonly shape: readonly number[]; readonly what: string } {
  if (data.task === 'language_model')
    return { shape: [data.text.contextLength, data.vocabulary], what: 'a score of each character at each place' };
  return { shape: [countOutputs(data)], what: data.task === 'regression' ? 'the number' : 'one per class' };
}

function unbuiltModel({ model: section, training }: ResolvedConfig, data: ModelTask): Model {
  const { seed } = training;
  const { architecture } = section;
  if (architecture === 'layers') {
    return modelFromJSON({
      format: 'tensorkiln-model',
      version: 1,
      type: 'sequential',
      name: 'model',
      config: { seed, layers: section.layers },
    });
  }
  const options = MODEL_OPTIONS[architecture].flatMap((key) => {
    const value = section[key];
    // Here a number of layers and the list of them would have one name.
    return value === undefined ? [] : [[key === 'num_layers' ? 'layers' : camelCase(key), value] as const];
  });
  return createModel({
    architecture,
    inputShape: inputShapeOf(data),
    ...(data.task === 'language_model' ? {} : { numClasses: countOutputs(data) }),
    ...(data.vocabulary === undefined ? {} : { vocabulary: data.vocabulary }),
    seed,
    ...Object.fromEntries(options),
  });
}

const OPTIMIZERS = {
  adam: Adam,
  adamw: AdamW,
  sgd: SGD,
  rmsprop: RMSProp,
  adagrad: Adagrad,
  adadelta: Adadelta,
  adamax: Adamax,
  nadam: NAdam,
  lamb: LAMB,
  lion: Lion,
  muon: Muon,
} as const;

export function buildOptimizer({ training }: ResolvedConfig): Optimizer {
  const { optimizer: section, learning_rate: learningRate, weight_decay: weightDecay } = training;
  const { type, clip, groups, average, lookahead, ...own } =
    typeof section === 'string' ? ({ type: section } as Partial<OptimizerSection> & { type: OptimizerName }) : section;
  const momentum = type === 'sgd' && !('momentum' in own) ? { momentum: training.momentum ?? 0.9 } : {};
  const options = {
    learningRate,
    weightDecay,
    ...momentum,
    ...withCamelKeys(own),
    ...(clip === undefined ? {} : { clip: withCamelKeys(clip) }),
    ...(average === undefined ? {} : { average }),
    ...(lookahead === undefined ? {} : { lookahead }),
    ...(groups === undefined ? {} : { groups: groups.map(parameterGroup) }),
  };
  return new OPTIMIZERS[type](options);
}

type OptimizerSection = Exclude<ResolvedConfig['training']['optimizer'], string>;

function parameterGroup({ parameters, ...rest }: NonNullable<OptimizerSection['groups']>[number]): MuonGroup {
  return { parameters: parameters.map(patternOf), ...withCamelKeys(rest) };
}

/** The options that are given, under the library's names. */
function withCamelKeys(section: object): Readonly<Record<string, unknown>> {
  const given = Object.entries(section).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [camelCase(key), value as unknown]));
}

export function buildLoss({ training }: ResolvedConfig, task: ModelTask['task']): Loss {
  switch (training.loss) {
    case 'cross_entropy':
      // The plain one takes one class a row, a text has one at each place.
      return training.label_smoothing === 0 && task !== 'language_model' ? crossEntropy : crossEntropyLoss({ smoothing: training.label_smoothing });
    case 'focal':
      return focalLoss(training.focal_gamma === undefined ? {} : { gamma: training.focal_gamma });
    case 'mean_squared_error':
      return meanSquaredError;
    case 'mean_absolute_error':
      return meanAbsoluteError;
    case 'huber':
      return huberLoss(training.huber_delta === undefined ? {} : { delta: training.huber_delta });
    case 'log_cosh':
      return logCoshLoss;
  }
}
