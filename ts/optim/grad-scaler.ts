/** Loss scaling for f16: gradients are kept within the range of half precision, and steps whose gradients overflowed are left out. */
import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkKeys, checkNumber, show } from '../arguments.js';
import { replaceVariable } from '../backend/custom/move-towards.js';
import { globalNorm, scaleTensors } from '../backend/custom/multi-tensor.js';
import { overwriteVariable } from '../backend/custom/overwrite.js';
import { TensorkilnError } from '../errors.js';

export interface GradScalerOptions {
  /** First factor on the loss, > 0. Default 65536. */
  readonly initialScale?: number;
  /** What the factor is multiplied by after `growthInterval` clean steps in a row, > 1. Default 2. */
  readonly growth?: number;
  /** What it is multiplied by after a step with gradients that are not finite, above 0 and below 1. Default 0.5. */
  readonly backoff?: number;
  /** >= 1; default 2000. */
  readonly growthInterval?: number;
}

/** State for checkpoints. */
export interface GradScalerState {
  readonly scale: number;
  readonly cleanSteps: number;
}

/**
 * Scales losses before gradients are taken and gradients back afterwards. Factor and count live on the device: nothing waits for
 * the host, and recorded steps repeat it all.
 *
 * State saved in checkpoints: `getState()`.
 *
 * @example
 * const scaled = autocast('f16', () => tf.variableGrads(() => scaler.scaleLoss(loss())));
 * const { gradients, isFinite } = scaler.unscale(Object.values(scaled.grads));
 * optimizer.apply(named(gradients), { active: isFinite });
 * scaler.update(isFinite);
 *
 * @throws E_CONFIG for options that are unknown or out of range
 * @source Micikevicius et al. 2018, arXiv:1710.03740, section 3.2; constants and rule as in PyTorch's GradScaler
 */
export class GradScaler {
  readonly #growth: number;
  readonly #backoff: number;
  readonly #interval: number;
  /** float32 [1] each. */
  readonly #scale: tf.Variable;
  readonly #clean: tf.Variable;

  constructor(options: GradScalerOptions = {}) {
    checkKeys('GradScaler', options, ['initialScale', 'growth', 'backoff', 'growthInterval']);
    const scale = checkNumber('GradScaler', 'initialScale', options.initialScale ?? 65536, { above: 0 });
    this.#growth = checkNumber('GradScaler', 'growth', options.growth ?? 2, { above: 1 });
    this.#backoff = checkNumber('GradScaler', 'backoff', options.backoff ?? 0.5, { above: 0, below: 1 });
    this.#interval = checkInteger('GradScaler', 'growthInterval', options.growthInterval ?? 2000, { min: 1 });
    const start = (value: number): tf.Variable => tf.tidy(() => tf.variable(tf.tensor1d([value]), false));
    this.#scale = start(scale);
    this.#clean = start(0);
  }

  /** Factor and count, to be copied and put back on the device. */
  get variables(): readonly tf.Variable[] {
    return [this.#scale, this.#clean];
  }

  /** The factor, float32 [1]; a tensor of the current scope. */
  scale(): tf.Tensor1D {
    return tf.clone(this.#scale as tf.Tensor as tf.Tensor1D);
  }

  /** The loss times the factor, differentiable. */
  scaleLoss(loss: tf.Scalar): tf.Scalar {
    return tf.mul<tf.Scalar>(loss, tf.reshape(this.#scale, []));
  }

  /**
   * Gradients of a scaled loss as those of the loss itself.
   *
   * @returns the gradients, float32; whether all of them are finite, one bool; their common norm
   */
  unscale(gradients: readonly tf.Tensor[]): { gradients: tf.Tensor[]; isFinite: tf.Scalar; norm: tf.Scalar } {
    const { norm, isFinite } = globalNorm(gradients);
    const inverse = tf.reciprocal(this.#scale);
    return {
      gradients: scaleTensors(gradients, inverse),
      isFinite,
      norm: tf.mul(norm, tf.reshape(inverse, [])),
    };
  }

  /** Moves the factor on after a step, on the device. @param isFinite  one bool */
  update(isFinite: tf.Tensor): void {
    tf.tidy(() => {
      const fine = tf.reshape(isFinite, [1]);
      const clean = tf.add(this.#clean, 1);
      const larger = tf.mul(this.#scale, this.#growth);
      const isTime = tf.greaterEqual(clean, this.#interval);
      const grown = tf.where(tf.logicalAnd(isTime, tf.isFinite(larger)), larger, this.#scale);
      const scale = tf.where(fine, grown, tf.mul(this.#scale, this.#backoff));
      replaceVariable(this.#clean, tf.where(tf.logicalAnd(fine, tf.logicalNot(isTime)), clean, tf.zeros([1])));
      replaceVariable(this.#scale, scale);
    });
  }

  /** Factor and count after everything enqueued so far. */
  async getState(): Promise<GradScalerState> {
    const [scale, clean] = await Promise.all([this.#scale.data<'float32'>(), this.#clean.data<'float32'>()]);
    return { scale: scale[0] as number, cleanSteps: clean[0] as number };
  }

  /** Continues from a saved state. @throws E_DATA; E_RECORDING inside a recorded step */
  setState({ scale, cleanSteps }: GradScalerState): void {
    if (!(scale > 0 && Number.isFinite(scale)) || !Number.isInteger(cleanSteps) || cleanSteps < 0) {
      throw new TensorkilnError(
        'E_DATA',
        `[GradScaler] wrong state: expected a factor > 0 and a count of steps, got ${show(scale)} and ${show(cleanSteps)}.`,
      );
    }
    overwriteVariable(this.#scale, Float32Array.of(scale));
    overwriteVariable(this.#clean, Float32Array.of(cleanSteps));
  }

  dispose(): void {
    tf.dispose([this.#scale, this.#clean]);
  }
}
