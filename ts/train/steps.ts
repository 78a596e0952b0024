/** The three functions a trainer runs per batch, recorded or not. */
import * as tf from '@tensorflow/tfjs-core';
import { compile } from '../backend/plan.js';
import type { UnaryLayer } from '../nn/layer.js';
import type { Loss } from '../nn/losses.js';
import type { Optimizer } from '../optim/optimizer.js';

/** A step: tensors in, one tensor out that the caller disposes. */
export interface Step<A extends tf.Tensor[]> {
  (...args: A): tf.Tensor;
  /** Calls that were replayed without running JavaScript. */
  readonly replays: number;
  dispose(): void;
}

/** Runs `fn` as a compiled step or, when `isCompiled` is false, as it stands. Both give the same bits. */
function makeStep<A extends tf.Tensor[]>(fn: (...args: A) => tf.Tensor, isCompiled: boolean): Step<A> {
  if (!isCompiled) {
    return Object.assign((...args: A) => tf.tidy(() => fn(...args)), { replays: 0, dispose: () => undefined });
  }
  const compiled = compile<A, tf.Tensor>(fn);
  return Object.defineProperties((...args: A) => compiled(...args), {
    replays: { get: () => compiled.statistics.replays },
    dispose: { value: () => compiled.dispose() },
  }) as Step<A>;
}

export interface Steps {
  /** (features, targets) -> mean loss, a scalar; updates the model. */
  readonly train: Step<[tf.Tensor, tf.Tensor]>;
  /** (features, targets) -> [sum of losses, number of correct rows] float32 [2]; the second is 0 unless it is classification. */
  readonly evaluate: Step<[tf.Tensor, tf.Tensor]>;
  /** features -> predictions [N, ...]. */
  readonly predict: Step<[tf.Tensor]>;
}

export function makeSteps(model: UnaryLayer, loss: Loss, optimizer: Optimizer, isCompiled: boolean): Steps {
  const train = (features: tf.Tensor, targets: tf.Tensor): tf.Tensor => {
    const variables = model.trainableVariables();
    const objective = (): tf.Scalar => tf.mean(loss.rows(model.call(features, { training: true }), targets));
    const { value, grads } = tf.variableGrads(objective, Object.values(variables));
    const gradients = Object.entries(variables).flatMap(([name, variable]): [string, tf.Tensor][] => {
      const gradient = grads[variable.name];
      return gradient === undefined ? [] : [[name, gradient]];
    });
    optimizer.apply(Object.fromEntries(gradients));
    return value;
  };
  const evaluate = (features: tf.Tensor, targets: tf.Tensor): tf.Tensor => {
    const predictions = model.call(features);
    const sum = tf.sum(loss.rows(predictions, targets));
    const correct = loss.isClassification
      ? tf.sum(tf.cast(tf.equal(tf.argMax(predictions, -1), targets), 'float32'))
      : tf.zerosLike(sum);
    return tf.stack([sum, correct]);
  };
  return {
    train: makeStep(train, isCompiled),
    evaluate: makeStep(evaluate, isCompiled),
    predict: makeStep((features: tf.Tensor) => model.call(features), isCompiled),
  };
}
