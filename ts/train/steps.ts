/** The functions a trainer runs per batch, recorded or not. */
import * as tf from '@tensorflow/tfjs-core';
import { show } from '../arguments.js';
import { autocast, type Precision } from '../backend/custom/autocast.js';
import { globalNorm } from '../backend/custom/multi-tensor.js';
import type { RandomState } from '../backend/custom/random.js';
import { TensorkilnError } from '../errors.js';
import type { Loss } from '../nn/losses.js';
import { formatShape } from '../nn/shape.js';
import type { GradScaler } from '../optim/grad-scaler.js';
import type { NamedVariables, Optimizer } from '../optim/optimizer.js';
import type { Batch } from './batches.js';
import { makePartSteps } from './part-steps.js';
import { makeStep, type PartSteps, type Step } from './step.js';
import { trainableVariables, type Trainable } from './trainable.js';

/** A metric besides the loss: a value per row, whose mean over rows is reported. */
export interface Metric {
  /** Part of the name it is reported under. */
  readonly name: string;
  /** (predictions [N, ...], targets [N, ...]) -> [N] float32. */
  rows(predictions: tf.Tensor, targets: tf.Tensor): tf.Tensor1D;
}

/** A step of the user's own. Each function runs inside a tidy and, unless `compile` is false, is recorded and replayed. */
export interface StepFunctions {
  /** (inputs, targets) -> the batch's mean loss, after the update has been enqueued. */
  train(inputs: readonly tf.Tensor[], targets: readonly tf.Tensor[]): tf.Scalar;
  /** (inputs, targets) -> loss of each row [N]; needed for validation and `evaluate`. */
  evaluate?(inputs: readonly tf.Tensor[], targets: readonly tf.Tensor[]): tf.Tensor1D;
  /** Everything that `train` changes besides the optimizer's state, by name. */
  readonly variables: NamedVariables;
  /** Random states that `train` draws from, by name. */
  readonly randomStates?: Readonly<Record<string, RandomState>>;
}

export interface Steps {
  /**
   * A batch's tensors, as `stepArguments` lists them -> float32, mean loss first; updates the model. Steps of ours give
   * [loss, 1 when the update was made, norm of all gradients, factor of loss scaling] and leave the update out when loss or
   * gradients are not finite.
   */
  readonly train: Step;
  /**
   * The same -> [sum of losses, number of correct rows, number of rows with a target that counts, sum of each metric] float32;
   * correct rows are 0 unless it is classification.
   */
  readonly evaluate: Step;
  /** Inputs -> all outputs of each row behind each other, [N, values]. */
  readonly predict: Step;
  /** For a batch in parts; absent for steps of the user's own. */
  readonly parts?: PartSteps;
  /** Loss scaling of f16 training. */
  readonly scaler?: GradScaler | undefined;
  /** As `train`, but without recording and updating: runs forwards and backwards under `watch`. Absent for steps of the user's own. */
  readonly trace?: (args: readonly tf.Tensor[]) => GradientTrace;
}

/** Forgets recorded updates, for a model or an optimizer that has changed. */
export function resetSteps({ train, parts }: Steps): void {
  for (const step of [train, parts?.apply]) step?.reset();
}

/** Loss and gradients of one batch, to be looked at. */
export interface GradientTrace {
  readonly loss: tf.Scalar;
  readonly gradients: Readonly<Record<string, tf.Tensor>>;
}

/** Inputs, targets, and weights where there are any. */
export function stepArguments({ inputs, targets, weights }: Batch): tf.Tensor[] {
  return weights === undefined ? [...inputs, ...targets] : [...inputs, ...targets, weights];
}

export interface StepParts {
  readonly model: Trainable;
  /** One per output. */
  readonly losses: readonly Loss[];
  /** One per output. */
  readonly lossWeights: readonly number[];
  readonly metrics: readonly Metric[];
  readonly optimizer: Optimizer;
  readonly precision: Precision;
  readonly scaler: GradScaler | undefined;
}

export function makeSteps(parts: StepParts, isCompiled: boolean): Steps {
  const { model, losses, lossWeights, metrics, optimizer, precision, scaler } = parts;
  const split = (args: readonly tf.Tensor[]): { inputs: tf.Tensor[]; targets: tf.Tensor[]; weights: tf.Tensor | undefined } => {
    const numInputs = model.inputShapes.length;
    const numTargets = losses.length;
    return {
      inputs: args.slice(0, numInputs),
      targets: args.slice(numInputs, numInputs + numTargets),
      weights: args[numInputs + numTargets],
    };
  };
  /** Loss of every row: outputs weighed by `lossWeights`, rows by theirs. */
  const lossRows = (
    predictions: readonly tf.Tensor[],
    targets: readonly tf.Tensor[],
    weights: tf.Tensor | undefined,
  ): tf.Tensor => {
    const rows = losses
      .map((loss, index) => {
        const target = targets[index] as tf.Tensor;
        const value = perRow(`loss ${loss.name}`, loss.rows(predictions[index] as tf.Tensor, target), target);
        const weight = lossWeights[index] as number;
        return weight === 1 ? value : tf.mul(value, weight);
      })
      .reduce((sum, value) => tf.add(sum, value));
    return weights === undefined ? rows : tf.mul(rows, weights);
  };
  /** Loss and gradients by parameter name; under loss scaling the gradients are those of the scaled loss. */
  const differentiate = (args: readonly tf.Tensor[]): { value: tf.Scalar; gradients: Record<string, tf.Tensor> } => {
    const { inputs, targets, weights } = split(args);
    const variables = trainableVariables(model);
    let plain: tf.Scalar | undefined;
    const objective = (): tf.Scalar => {
      const loss = model
        .penalties()
        .reduce<tf.Scalar>(
          (sum, penalty) => tf.add(sum, penalty),
          tf.mean(lossRows(model.call(inputs, true), targets, weights)),
        );
      if (scaler === undefined) return loss;
      plain = tf.keep(tf.clone(loss));
      return scaler.scaleLoss(loss);
    };
    const { value, grads } = autocast(precision, () => tf.variableGrads(objective, Object.values(variables)));
    const gradients = Object.entries(variables).flatMap(([name, variable]): [string, tf.Tensor][] => {
      const gradient = grads[variable.name];
      return gradient === undefined ? [] : [[name, gradient]];
    });
    return { value: plain === undefined ? value : ownedByScope(plain), gradients: Object.fromEntries(gradients) };
  };
  /** Applies gradients unless something is not finite, and tells what happened. */
  const update = (loss: tf.Tensor, gradients: Readonly<Record<string, tf.Tensor>>): tf.Tensor => {
    const names = Object.keys(gradients);
    const list = Object.values(gradients);
    // Without any gradient the optimizer names the first parameter that lacks one.
    if (list.length === 0) optimizer.apply({});
    const scale = scaler?.scale() ?? tf.ones([1]);
    const judged = scaler?.unscale(list) ?? { gradients: list, ...globalNorm(list) };
    const active = tf.logicalAnd(judged.isFinite, tf.isFinite(tf.reshape(loss, [])));
    const named = Object.fromEntries(names.map((name, i) => [name, judged.gradients[i] as tf.Tensor]));
    // What may fail for want of memory comes before the update: a step that is done again must not have been made.
    const result = tf.concat([
      tf.reshape(loss, [1]),
      tf.cast(tf.reshape(active, [1]), 'float32'),
      tf.reshape(judged.norm, [1]),
      scale,
    ]);
    scaler?.update(judged.isFinite);
    optimizer.apply(named, { active, norm: judged.norm, finish: () => model.applyConstraints(active) });
    return result;
  };
  const train = (...args: tf.Tensor[]): tf.Tensor => {
    const { value, gradients } = differentiate(args);
    return update(value, gradients);
  };
  const evaluate = (...args: tf.Tensor[]): tf.Tensor => {
    const { inputs, targets, weights } = split(args);
    const predictions = autocast(precision, () => model.call(inputs, false)) as tf.Tensor[];
    const sum = tf.sum(lossRows(predictions, targets, weights));
    const [first, target] = [predictions[0] as tf.Tensor, targets[0] as tf.Tensor & { shape: [number] }];
    const [correct, counted] =
      losses[0]?.isClassification === true
        ? countCorrect(first, target, losses[0].ignoredClass)
        : [tf.zerosLike(sum), tf.onesLike(sum)];
    return tf.stack([
      sum,
      correct,
      counted,
      ...metrics.map((metric) => tf.sum(perRow(`metric ${metric.name}`, metric.rows(first, target), target))),
    ]);
  };
  return {
    train: makeStep(train, isCompiled),
    evaluate: makeStep(evaluate, isCompiled),
    predict: makeStep((...inputs) => autocast(precision, () => joinOutputs(model.call(inputs, false))), isCompiled),
    parts: makePartSteps({ differentiate, update, variables: () => trainableVariables(model) }, isCompiled),
    scaler,
    trace: (args) => {
      const { value, gradients } = differentiate(args);
      return { loss: value, gradients };
    },
  };
}

/**
 * What a loss or a metric gives, as float32, when it is one number for each row of the batch. Anything else would be summed up to a
 * figure that looks right and is not.
 *
 * @param batch  a tensor of the batch, [N, ...]
 * @throws E_SHAPE
 */
function perRow(what: string, value: unknown, batch: tf.Tensor): tf.Tensor {
  const rows = batch.shape[0];
  const tensor = value instanceof tf.Tensor ? (value as tf.Tensor) : undefined;
  if (tensor?.rank === 1 && tensor.shape[0] === rows) return tensor.dtype === 'float32' ? tensor : tf.cast(tensor, 'float32');
  const got = tensor === undefined ? show(value) : formatShape(tensor.shape);
  throw new TensorkilnError(
    'E_SHAPE',
    `[trainer] wrong result of the ${what}: expected a tensor [${rows}], one number for each row of the batch, got ${got}. Means over rows are taken by the trainer.`,
  );
}

/**
 * Rows whose largest scores are the targets, and rows that have a target. Of a row with a class at several places, the share of
 * the places that count is correct.
 */
function countCorrect(scores: tf.Tensor, target: tf.Tensor, ignored: number | undefined): [tf.Scalar, tf.Scalar] {
  const rows = target.shape[0];
  const byRow = (flags: tf.Tensor): tf.Tensor => tf.reshape(tf.cast(flags, 'float32'), [rows, -1]);
  const isCorrect = tf.equal(tf.argMax(scores, -1), target);
  if (ignored === undefined) return [tf.sum(tf.mean(byRow(isCorrect), 1)), tf.scalar(rows)];
  const isCounted = tf.notEqual(target, tf.scalar(ignored, 'int32'));
  const places = tf.sum(byRow(isCounted), 1);
  const shares = tf.div(tf.sum(byRow(tf.logicalAnd(isCorrect, isCounted)), 1), tf.maximum(places, 1));
  return [tf.sum(shares), tf.sum(tf.minimum(places, 1))];
}

/** A tensor that was kept, as one of the current scope. */
function ownedByScope<T extends tf.Tensor>(kept: T): T {
  const owned = tf.clone(kept);
  kept.dispose();
  return owned;
}

function joinOutputs(outputs: readonly tf.Tensor[]): tf.Tensor {
  const flat = outputs.map((output) => {
    const rows = output.shape[0];
    return tf.reshape(output, [rows, output.size / Math.max(rows, 1)]);
  });
  return flat.length === 1 ? (flat[0] as tf.Tensor) : tf.concat(flat, 1);
}

/** The steps of functions of the user's own. */
export function makeOwnSteps(functions: StepFunctions, countInputs: () => number, isCompiled: boolean): Steps {
  const evaluate = (...args: tf.Tensor[]): tf.Tensor => {
    const [inputs, targets] = [args.slice(0, countInputs()), args.slice(countInputs())];
    const rows = perRow('function evaluate of the step', functions.evaluate?.(inputs, targets), args[0] as tf.Tensor);
    const sum = tf.sum(rows);
    return tf.stack([sum, tf.zerosLike(sum), tf.onesLike(sum)]);
  };
  return {
    train: makeStep((...args) => functions.train(args.slice(0, countInputs()), args.slice(countInputs())), isCompiled),
    evaluate: makeStep(evaluate, isCompiled),
    predict: makeStep((...inputs) => inputs[0] as tf.Tensor, false),
  };
}
