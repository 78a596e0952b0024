/** What can be checked before a run starts is checked here. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys, checkNumber, show } from '../arguments.js';
import { TensorkilnBackend } from '../backend/backend.js';
import type { Dataset } from '../data/dataset.js';
import { TensorkilnError } from '../errors.js';
import type { Loss } from '../nn/losses.js';
import { checkHome } from '../nn/home.js';
import type { UnaryLayer } from '../nn/layer.js';
import type { EarlyStopping, FitOptions } from './trainer.js';

/** Checks that tfjs-core's current backend is ours. @throws E_DEVICE naming the current one */
export function checkBackend(place: string): void {
  if (!(tf.backend() instanceof TensorkilnBackend)) {
    throw new TensorkilnError(
      'E_DEVICE',
      `[${place}] training needs a Tensorkiln backend: the current one is '${tf.getBackend()}'. Call tf.setBackend('tensorkiln-cpu').`,
    );
  }
}

/** Checks that a built model's parameters live on the current backend. @throws E_DEVICE, E_DISPOSED */
export function checkParameters(place: string, model: UnaryLayer): void {
  for (const { name, variable } of model.parameters()) checkHome(place, `parameter '${name}'`, variable);
}

/** Checks that sizes and arrays of a data set agree and that it fits model and loss. @throws E_DATA, E_SHAPE, E_DTYPE */
export function checkDataset(place: string, dataset: Dataset, model: UnaryLayer, loss: Loss): void {
  const { size, features, targets, featureShape, targetShape } = dataset;
  if (!Number.isSafeInteger(size) || size < 1)
    throw new TensorkilnError('E_DATA', `[${place}] there are no rows: expected at least one, got size ${show(size)}.`);
  const count = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, size);
  if (features.length !== count(featureShape)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] wrong number of features: expected ${count(featureShape)} values for ${size} rows of [${featureShape.join(', ')}], got ${features.length}.`,
    );
  }
  if (targets.length !== count(targetShape)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] wrong number of targets: expected ${count(targetShape)} values for ${size} rows of [${targetShape.join(', ')}], got ${targets.length}.`,
    );
  }
  const wanted = model.isBuilt ? model.inputShape : featureShape;
  if (wanted.join() !== featureShape.join()) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] the features do not fit the model: expected [${wanted.join(', ')}], got [${featureShape.join(', ')}].`,
    );
  }
  const outputShape = model.isBuilt ? model.outputShape : model.computeOutputShape(featureShape);
  loss.check(place, outputShape, dataset);
}

/** Checks a batch size. @throws E_CONFIG */
export function checkBatchSize(place: string, batchSize: unknown): number {
  return checkInteger(place, 'batchSize', batchSize, { min: 1 });
}

function checkEarlyStopping(options: EarlyStopping | undefined, hasValidation: boolean): Required<EarlyStopping> | undefined {
  if (options === undefined) return undefined;
  checkKeys('fit', options, ['patience', 'minDelta', 'restoreBest']);
  if (!hasValidation) throw new TensorkilnError('E_CONFIG', '[fit] wrong earlyStopping: it needs validation data, got none.');
  return {
    patience: checkInteger('fit', 'earlyStopping.patience', options.patience, { min: 1 }),
    minDelta: checkNumber('fit', 'earlyStopping.minDelta', options.minDelta ?? 0, { min: 0 }),
    restoreBest: checkBoolean('fit', 'earlyStopping.restoreBest', options.restoreBest ?? true),
  };
}

/** The options of `fit`, checked and with defaults. @throws E_CONFIG */
export function checkFitOptions(options: FitOptions): {
  epochs: number;
  batchSize: number;
  shuffle: boolean;
  earlyStopping: Required<EarlyStopping> | undefined;
} {
  checkKeys('fit', options, ['validation', 'epochs', 'batchSize', 'shuffle', 'earlyStopping', 'signal', 'onEvent']);
  return {
    epochs: checkInteger('fit', 'epochs', options.epochs, { min: 1 }),
    batchSize: checkBatchSize('fit', options.batchSize),
    shuffle: checkBoolean('fit', 'shuffle', options.shuffle ?? true),
    earlyStopping: checkEarlyStopping(options.earlyStopping, options.validation !== undefined),
  };
}
