/** One training step per batch, in parts where the batch does not fit into memory. */
import * as tf from '@tensorflow/tfjs-core';
import { restoreVariable } from '../backend/custom/overwrite.js';
import { isTensorkilnError, TensorkilnError } from '../errors.js';
import type { Batch } from './batches.js';
import { stepArguments, type Steps } from './steps.js';
import type { Trainable } from './trainable.js';

/** Successful steps of one size after which memory is known to suffice: two recordings and a replay. */
const PROVEN = 3;

export interface BatchRunnerOptions {
  /** Most rows at a time. */
  readonly limit: number | undefined;
  /** Whether the limit is lowered when memory runs out. */
  readonly isAutomatic: boolean;
  /** Updates of the parameters that have begun so far. */
  readonly updates: () => number;
  /** Called with the new limit. */
  readonly onLimit: (rows: number, cause: unknown) => void;
}

export class BatchRunner {
  readonly #steps: Steps;
  readonly #model: Trainable;
  readonly #options: BatchRunnerOptions;
  readonly #successes = new Map<number, number>();
  #limit: number | undefined;

  /** @throws E_CONFIG when a limit is given and batches of the model cannot be cut */
  constructor(model: Trainable, steps: Steps, options: BatchRunnerOptions) {
    this.#model = model;
    this.#steps = steps;
    this.#options = options;
    this.#limit = options.limit;
    const obstacle = options.limit === undefined ? undefined : this.#obstacle();
    if (obstacle !== undefined) throw new TensorkilnError('E_CONFIG', `[fit] wrong microBatch: ${obstacle}`);
  }

  /** Most rows at a time; undefined while whole batches fit. */
  get limit(): number | undefined {
    return this.#limit;
  }

  set limit(rows: number | undefined) {
    this.#limit = rows;
  }

  /** Says that the steps are other ones than before, so that memory they need is not known any more. */
  forget(): void {
    this.#successes.clear();
  }

  /** Why batches cannot be cut. */
  #obstacle(): string | undefined {
    if (this.#steps.parts === undefined) return "a step function of the user's own takes whole batches.";
    if (this.#model.usesBatchStatistics)
      return 'the model normalises over the batch (BatchNorm), so parts of a batch would give other results. Use a smaller batch, or GroupNorm or LayerNorm.';
    return undefined;
  }

  /**
   * Does one training step.
   *
   * @returns the step's result, the caller's to dispose
   * @throws E_OUT_OF_MEMORY when not even one row at a time fits, the batch cannot be cut, or the update had begun
   */
  run(batch: Batch): tf.Tensor {
    for (;;) {
      const rows = Math.min(batch.rows, this.#limit ?? batch.rows);
      const isProven = (this.#successes.get(rows) ?? 0) >= PROVEN;
      const updates = this.#options.updates();
      const undo = isProven || !this.#options.isAutomatic ? undefined : this.#mark();
      try {
        const result = rows === batch.rows ? this.#steps.train(...stepArguments(batch)) : this.#runParts(batch, rows);
        this.#successes.set(rows, (this.#successes.get(rows) ?? 0) + 1);
        undo?.keep();
        return result;
      } catch (error) {
        if (undo === undefined || !isTensorkilnError(error) || error.code !== 'E_OUT_OF_MEMORY') {
          undo?.keep();
          throw error;
        }
        undo.back();
        // A step whose update has begun must not be made twice.
        if (this.#options.updates() !== updates) {
          throw new TensorkilnError(
            'E_OUT_OF_MEMORY',
            `${error.message} It ran out after parameters had begun to change: go on from a checkpoint, with a smaller batch.`,
            { cause: error },
          );
        }
        const obstacle = rows === 1 ? 'a single row is too much already.' : this.#obstacle();
        if (obstacle !== undefined)
          throw new TensorkilnError('E_OUT_OF_MEMORY', `${error.message} The batch was not computed in parts: ${obstacle}`, {
            cause: error,
          });
        this.#limit = Math.ceil(rows / 2);
        this.#options.onLimit(this.#limit, error);
      }
    }
  }

  #runParts(batch: Batch, rows: number): tf.Tensor {
    const parts = this.#steps.parts as NonNullable<Steps['parts']>;
    const args = stepArguments(batch);
    for (let start = 0; start < batch.rows; start += rows) {
      const count = Math.min(rows, batch.rows - start);
      // Slices of leading rows share the batch's memory.
      const slices = args.map((arg) =>
        tf.slice(arg, [start, ...arg.shape.slice(1).map(() => 0)], [count, ...arg.shape.slice(1)]),
      );
      try {
        parts.add(slices, { isFirst: start === 0, weight: count / batch.rows });
      } finally {
        tf.dispose(slices);
      }
    }
    return parts.apply();
  }

  /** What a failed step may have changed before it failed: random states, statistics that layers keep, the factor of loss scaling. */
  #mark(): { keep(): void; back(): void } {
    const variables = [
      ...(this.#steps.scaler?.variables ?? []),
      ...Object.values(this.#model.randomStates()).map(({ variable }) => variable),
      ...this.#model.parameters().flatMap(({ variable, trainable }) => (trainable ? [] : [variable])),
    ];
    const copies = variables.map((variable) => tf.keep(tf.clone(variable as tf.Tensor)));
    const keep = (): void => tf.dispose(copies);
    return {
      keep,
      back: () => {
        variables.forEach((variable, i) => restoreVariable(variable, copies[i] as tf.Tensor));
        keep();
      },
    };
  }
}
