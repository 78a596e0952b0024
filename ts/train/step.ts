/** One function that runs per batch, recorded or not. */
import * as tf from '@tensorflow/tfjs-core';
import { dropUnfinishedTape } from '../backend/custom/tape.js';
import { compile, type CompiledStep } from '../backend/plan.js';

/** A step: tensors in, one tensor out that the caller disposes. */
export interface Step {
  (...args: tf.Tensor[]): tf.Tensor;
  /** Calls that were replayed without running JavaScript. */
  readonly replays: number;
  /** Why calls could not be compiled and ran as they stand, since it was last asked. */
  takeFallbacks(): string[];
  /** Text of the plans as recorded, and of what is replayed in their place. */
  plans(): { readonly recorded: string[]; readonly optimised: string[] };
  /** Forgets what was recorded: for a model whose trainable parameters have changed. */
  reset(): void;
  dispose(): void;
}

/**
 * Runs `fn` as a compiled step or, when `isCompiled` is false, as it stands. Both give the same bits. A step that cannot be
 * compiled runs as it stands and says why.
 */
export function makeStep(fn: (...args: tf.Tensor[]) => tf.Tensor, isCompiled: boolean): Step {
  /** A step that fails half-way gives back what it had kept for its gradient. */
  const guarded = (run: () => tf.Tensor): tf.Tensor => {
    try {
      return run();
    } catch (error) {
      dropUnfinishedTape();
      throw error;
    }
  };
  if (!isCompiled) {
    const nothing = (): void => undefined;
    const eager = (...args: tf.Tensor[]): tf.Tensor => guarded(() => tf.tidy(() => fn(...args)));
    return Object.assign(eager, {
      replays: 0,
      takeFallbacks: () => [],
      plans: () => ({ recorded: [], optimised: [] }),
      reset: nothing,
      dispose: nothing,
    });
  }
  let fallbacks: string[] = [];
  const compileAnew = (): CompiledStep<tf.Tensor[], tf.Tensor> =>
    compile<tf.Tensor[], tf.Tensor>(fn, { onFallback: ({ message }) => void fallbacks.push(message) });
  let compiled = compileAnew();
  let earlier = 0;
  return Object.defineProperties((...args: tf.Tensor[]) => guarded(() => compiled(...args)), {
    replays: { get: () => earlier + compiled.statistics.replays },
    takeFallbacks: {
      value: () => {
        const taken = fallbacks;
        fallbacks = [];
        return taken;
      },
    },
    plans: { value: () => ({ recorded: compiled.plans(), optimised: compiled.programs() }) },
    reset: {
      value: () => {
        earlier += compiled.statistics.replays;
        compiled.dispose();
        compiled = compileAnew();
      },
    },
    dispose: { value: () => compiled.dispose() },
  }) as Step;
}

/** A training step cut in two: gradients of parts of a batch are added up on the device, then applied. */
export interface PartSteps {
  /** Rows of one part -> its mean loss; adds its gradients times `weight` to those kept, or begins anew with them. */
  add(args: readonly tf.Tensor[], options: { readonly isFirst: boolean; readonly weight: number }): void;
  /** Updates the model by what is kept; the result of `train`. */
  readonly apply: Step;
}
