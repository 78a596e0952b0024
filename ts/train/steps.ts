/** The functions a trainer runs per batch, recorded or not. */
import * as tf from '@tensorflow/tfjs-core';
import type { RandomState } from '../backend/custom/random.js';
import { compile } from '../backend/plan.js';
import type { Loss } from '../nn/losses.js';
import type { NamedVariables, Optimizer } from '../optim/optimizer.js';
import type { Batch } from './batches.js';
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

/** A step: tensors in, one tensor out that the caller disposes. */
export interface Step {
  (...args: tf.Tensor[]): tf.Tensor;
  /** Calls that were replayed without running JavaScript. */
  readonly replays: number;
  /** Why calls could not be compiled and ran as they stand, since it was last asked. */
  takeFallbacks(): string[];
  /** Text of the plans as recorded, and of what is replayed in their place. */
  plans(): { readonly recorded: string[]; readonly optimised: string[] };
  dispose(): void;
}

/**
 * Runs `fn` as a compiled step or, when `isCompiled` is false, as it stands. Both give the same bits. A step that cannot be
 * compiled runs as it stands and says why.
 */
function makeStep(fn: (...args: tf.Tensor[]) => tf.Tensor, isCompiled: boolean): Step {
  if (!isCompiled) {
    return Object.assign((...args: tf.Tensor[]) => tf.tidy(() => fn(...args)), {
      replays: 0,
      takeFallbacks: () => [],
      plans: () => ({ recorded: [], optimised: [] }),
      dispose: () => undefined,
    });
  }
  let fallbacks: string[] = [];
  const compiled = compile<tf.Tensor[], tf.Tensor>(fn, { onFallback: ({ message }) => void fallbacks.push(message) });
  return Object.defineProperties((...args: tf.Tensor[]) => compiled(...args), {
    replays: { get: () => compiled.statistics.replays },
    takeFallbacks: {
      value: () => {
        const taken = fallbacks;
        fallbacks = [];
        return taken;
      },
    },
    plans: { value: () => ({ recorded: compiled.plans(), optimised: compiled.programs() }) },
    dispose: { value: () => compiled.dispose() },
  }) as Step;
}

export interface Steps {
  /** A batch's tensors, as `stepArguments` lists them -> mean loss, a scalar; updates the model. */
  readonly train: Step;
  /** The same -> [sum of losses, number of correct rows, sum of each metric] float32; correct rows are 0 unless it is classification. */
  readonly evaluate: Step;
  /** Inputs -> all outputs of each row behind each other, [N, values]. */
  readonly predict: Step;
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
}

export function makeSteps(parts: StepParts, isCompiled: boolean): Steps {
  const { model, losses, lossWeights, metrics, optimizer } = parts;
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
        const value: tf.Tensor = loss.rows(predictions[index] as tf.Tensor, targets[index] as tf.Tensor);
        const weight = lossWeights[index] as number;
        return weight === 1 ? value : tf.mul(value, weight);
      })
      .reduce((sum, value) => tf.add(sum, value));
    return weights === undefined ? rows : tf.mul(rows, weights);
  };
  const train = (...args: tf.Tensor[]): tf.Tensor => {
    const { inputs, targets, weights } = split(args);
    const variables = trainableVariables(model);
    const objective = (): tf.Scalar =>
      model
        .penalties()
        .reduce<tf.Scalar>(
          (sum, penalty) => tf.add(sum, penalty),
          tf.mean(lossRows(model.call(inputs, true), targets, weights)),
        );
    const { value, grads } = tf.variableGrads(objective, Object.values(variables));
    const gradients = Object.entries(variables).flatMap(([name, variable]): [string, tf.Tensor][] => {
      const gradient = grads[variable.name];
      return gradient === undefined ? [] : [[name, gradient]];
    });
    optimizer.apply(Object.fromEntries(gradients));
    model.applyConstraints();
    return value;
  };
  const evaluate = (...args: tf.Tensor[]): tf.Tensor => {
    const { inputs, targets, weights } = split(args);
    const predictions = model.call(inputs, false);
    const sum = tf.sum(lossRows(predictions, targets, weights));
    const [first, target] = [predictions[0] as tf.Tensor, targets[0] as tf.Tensor];
    const correct =
      losses[0]?.isClassification === true
        ? tf.sum(tf.cast(tf.equal(tf.argMax(first, -1), target), 'float32'))
        : tf.zerosLike(sum);
    return tf.stack([sum, correct, ...metrics.map((metric) => tf.sum(metric.rows(first, target)))]);
  };
  return {
    train: makeStep(train, isCompiled),
    evaluate: makeStep(evaluate, isCompiled),
    predict: makeStep((...inputs) => joinOutputs(model.call(inputs, false)), isCompiled),
  };
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
    const rows = functions.evaluate?.(args.slice(0, countInputs()), args.slice(countInputs())) as tf.Tensor1D;
    const sum = tf.sum(rows);
    return tf.stack([sum, tf.zerosLike(sum)]);
  };
  return {
    train: makeStep((...args) => functions.train(args.slice(0, countInputs()), args.slice(countInputs())), isCompiled),
    evaluate: makeStep(evaluate, isCompiled),
    predict: makeStep((...inputs) => inputs[0] as tf.Tensor, false),
  };
}
