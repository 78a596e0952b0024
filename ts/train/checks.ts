/** What can be checked before a run starts is checked here. */
import * as tf from '@tensorflow/tfjs-core';
import { show } from '../arguments.js';
import { TensorkilnBackend } from '../backend/backend.js';
import { TensorkilnError } from '../errors.js';
import { Layer } from '../nn/layer.js';
import type { Loss } from '../nn/losses.js';
import { formatBatchShape } from '../nn/shape.js';
import { Optimizer } from '../optim/optimizer.js';
import type { Trainable } from './trainable.js';
import { ArraySource, ClassWeightedSource, type BatchSource } from './training-data.js';

/** Checks that tfjs-core's current backend is ours. @throws E_DEVICE naming the current one */
export function checkBackend(place: string): void {
  if (!(tf.backend() instanceof TensorkilnBackend)) {
    throw new TensorkilnError(
      'E_DEVICE',
      `[${place}] training needs a Tensorkiln backend: the current one is '${tf.getBackend()}'. Call tf.setBackend('tensorkiln-cpu').`,
    );
  }
}

/** Checks what callers without types may get wrong: what a trainer of a model is made of. @throws E_CONFIG */
export function checkTrainerParts(model: unknown, losses: readonly unknown[], optimizer: unknown): void {
  const fail = (what: string, expected: string, got: unknown): never => {
    throw new TensorkilnError('E_CONFIG', `[trainer] wrong ${what}: expected ${expected}, got ${show(got)}.`);
  };
  if (!(model instanceof Layer || hasMembers(model, ['trainableWeights', 'apply'])))
    fail('model', 'a model of layers, such as Sequential, or a tf.LayersModel', model);
  const wrong = losses.findIndex((loss) => !hasMembers(loss, ['rows', 'check']));
  if (wrong >= 0) fail(losses.length === 1 ? 'loss' : `loss[${wrong}]`, 'a loss, such as crossEntropy', losses[wrong]);
  if (!(optimizer instanceof Optimizer)) fail('optimizer', 'an optimizer, such as new Adam()', optimizer);
}

/**
 * Checks metrics beside the loss: each is reported, and may be monitored, under its name.
 *
 * @throws E_CONFIG for one without name or function, a name that comes twice, or one that is the loss's or the accuracy's own
 */
export function checkMetrics(metrics: unknown): void {
  const fail = (what: string, expected: string, got: unknown): never => {
    throw new TensorkilnError('E_CONFIG', `[trainer] wrong ${what}: expected ${expected}, got ${show(got)}.`);
  };
  if (!Array.isArray(metrics)) return fail('metrics', 'a list of metrics, each with name and rows', metrics);
  const names = new Set<string>(['loss', 'accuracy']);
  metrics.forEach((metric: unknown, index) => {
    if (!hasMembers(metric, ['name', 'rows'])) fail(`metrics[${index}]`, 'a metric with name and rows', metric);
    const { name, rows } = metric as { readonly name: unknown; readonly rows: unknown };
    if (typeof name !== 'string' || name === '') return fail(`metrics[${index}].name`, 'a text that is not empty', name);
    if (typeof rows !== 'function') fail(`metrics[${index}].rows`, 'a function that gives a number for each row', rows);
    if (names.has(name)) fail(`metrics[${index}].name`, `another name than ${[...names].join(', ')}, which are taken`, name);
    names.add(name);
  });
}

function hasMembers(value: unknown, names: readonly string[]): boolean {
  return typeof value === 'object' && value !== null && names.every((name) => name in value);
}

/** Checks that a source fits model and losses. @throws E_DATA, E_SHAPE, E_DTYPE */
export function checkSource(place: string, source: BatchSource, model: Trainable, losses: readonly Loss[]): void {
  const { inputShapes, targetShapes } = source;
  if (model.isBuilt) checkShapes(place, model.inputShapes, inputShapes);
  const outputShapes = model.outputShapesFor(inputShapes);
  if (outputShapes.length !== losses.length || targetShapes.length !== losses.length) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] outputs, losses and targets differ in number: expected as many as the model's ${outputShapes.length} outputs, got ${losses.length} losses and ${targetShapes.length} targets.`,
    );
  }
  losses.forEach((loss, index) => {
    const output = source instanceof ArraySource ? source.outputs[index] : undefined;
    // A source that makes its batches as they are needed has no values to look at yet.
    if (output === undefined) return;
    loss.check(losses.length === 1 ? place : `${place} output ${index}`, outputShapes[index] as readonly number[], {
      size: source.size,
      features: new Float32Array(0),
      featureShape: [],
      targets: output.values,
      targetShape: output.shape,
    });
  });
}

/** Checks the shapes of inputs. @throws E_SHAPE */
export function checkShapes(
  place: string,
  wanted: readonly (readonly number[])[],
  found: readonly (readonly number[])[],
): void {
  if (wanted.length !== found.length) {
    throw new TensorkilnError('E_SHAPE', `[${place}] wrong number of inputs: expected ${wanted.length}, got ${found.length}.`);
  }
  wanted.forEach((shape, index) => {
    const other = found[index] as readonly number[];
    if (shape.join() === other.join()) return;
    const which = wanted.length === 1 ? 'the features do' : `input ${index} does`;
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] ${which} not fit the model: expected [${shape.join(', ')}], got [${other.join(', ')}].`,
    );
  });
}

/**
 * Training rows with the weights of their classes.
 *
 * @throws E_CONFIG when there are several outputs, the loss is none of classification, a row has more than one class, or a
 *         weight is wrong
 */
export function applyClassWeights(
  source: BatchSource,
  classWeights: readonly number[] | undefined,
  losses: readonly Loss[],
  outputShape: readonly number[],
): BatchSource {
  if (classWeights === undefined) return source;
  if (losses.length !== 1 || losses[0]?.isClassification !== true) {
    throw new TensorkilnError('E_CONFIG', '[trainer] wrong classWeights: expected one output with class targets.');
  }
  const targetShape = source.targetShapes[0] ?? [];
  if (targetShape.length > 0) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[trainer] wrong classWeights: expected one class per row, got targets ${formatBatchShape(targetShape)}. Give the weights to the loss: crossEntropyLoss({ classWeights }).`,
    );
  }
  if (classWeights.length !== outputShape.at(-1)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[trainer] wrong classWeights: expected one for each of the classes of ${formatBatchShape(outputShape)}, got ${classWeights.length}.`,
    );
  }
  const wrong = classWeights.findIndex((weight) => !(weight >= 0 && Number.isFinite(weight)));
  if (wrong >= 0) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[trainer] wrong classWeights: expected finite numbers >= 0, got ${show(classWeights[wrong])} for class ${wrong}.`,
    );
  }
  return source instanceof ArraySource ? source.withClassWeights(classWeights) : new ClassWeightedSource(source, classWeights);
}
