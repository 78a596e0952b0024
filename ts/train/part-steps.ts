/** A training step over a batch in parts: for batches whose activations do not fit into memory at once. */
import * as tf from '@tensorflow/tfjs-core';
import { DeviceScalars } from '../backend/custom/device-scalars.js';
import { accumulate, ACCUMULATE_SCALARS, type AccumulateScalar } from '../backend/custom/move-towards.js';
import { TensorkilnError } from '../errors.js';
import type { NamedVariables } from '../optim/optimizer.js';
import { makeStep, type PartSteps, type Step } from './step.js';

interface StepHalves {
  /** Loss and gradients by parameter name. */
  differentiate(args: readonly tf.Tensor[]): {
    readonly value: tf.Scalar;
    readonly gradients: Readonly<Record<string, tf.Tensor>>;
  };
  /** Applies gradients; the result of a training step. */
  update(loss: tf.Tensor, gradients: Readonly<Record<string, tf.Tensor>>): tf.Tensor;
  variables(): NamedVariables;
}

/** Sums of gradients and of losses, made at first use and whenever other parameters are trained. */
class Sums {
  readonly names: readonly string[];
  readonly gradients: readonly tf.Variable[];
  readonly loss: tf.Variable;
  readonly scalars: DeviceScalars<AccumulateScalar>;

  /** @throws E_OUT_OF_MEMORY; nothing is held then */
  constructor(variables: NamedVariables) {
    const made: tf.Variable[] = [];
    const zeros = (shape: readonly number[]): tf.Variable => {
      const variable = tf.tidy(() => tf.variable(tf.zeros([...shape]), false));
      made.push(variable);
      return variable;
    };
    try {
      this.names = Object.keys(variables);
      this.gradients = Object.values(variables).map(({ shape }) => zeros(shape));
      this.loss = zeros([1]);
      this.scalars = new DeviceScalars(ACCUMULATE_SCALARS, { keep: 0, weight: 1 });
    } catch (error) {
      tf.dispose(made);
      throw error;
    }
  }

  dispose(): void {
    this.scalars.dispose();
    tf.dispose([this.loss, ...this.gradients]);
  }
}

/** The two halves as steps of their own; `apply` speaks for both where one is asked: why they were not compiled, and disposal. */
export function makePartSteps(halves: StepHalves, isCompiled: boolean): PartSteps {
  let sums: Sums | undefined;
  const adding: Step = makeStep((...args) => {
    const { value, gradients } = halves.differentiate(args);
    const { names, gradients: targets, loss, scalars } = sums as Sums;
    const found = names.map((name) => {
      const gradient = gradients[name];
      if (gradient === undefined)
        throw new TensorkilnError('E_USAGE', `[fit] no gradient for '${name}': does the loss depend on it?`);
      return gradient;
    });
    accumulate([...targets, loss], [...found, tf.reshape(value, [1])], scalars);
    return value;
  }, isCompiled);
  const applying = makeStep(() => {
    const { names, gradients, loss } = sums as Sums;
    return halves.update(loss, Object.fromEntries(names.map((name, i) => [name, gradients[i] as tf.Tensor])));
  }, isCompiled);
  const forget = (): void => {
    sums?.dispose();
    sums = undefined;
  };
  return {
    add(args, { isFirst, weight }) {
      sums ??= new Sums(halves.variables());
      sums.scalars.set({ keep: isFirst ? 0 : 1, weight });
      adding(...args).dispose();
    },
    apply: Object.defineProperties((...args: tf.Tensor[]) => applying(...args), {
      replays: { get: () => applying.replays },
      takeFallbacks: { value: () => [...adding.takeFallbacks(), ...applying.takeFallbacks()] },
      plans: { value: () => applying.plans() },
      reset: {
        value: () => {
          adding.reset();
          applying.reset();
          forget();
        },
      },
      dispose: {
        value: () => {
          adding.dispose();
          applying.dispose();
          forget();
        },
      },
    }) as Step,
  };
}
