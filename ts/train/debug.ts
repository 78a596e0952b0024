/** What `debug: true` adds to training: checks of the data, the first op that is not finite, statistics of gradients, advice. */
import * as tf from '@tensorflow/tfjs-core';
import { restoreVariable } from '../backend/custom/overwrite.js';
import { watchOps } from '../backend/custom/watch.js';
import { isTensorkilnError } from '../errors.js';
import {
  adviceOnData,
  adviceOnEpochs,
  adviceOnGradients,
  adviceOnNonFinite,
  adviceOnSpeed,
  MEMORY_ADVICE,
  type Advice,
} from './advice.js';
import { toTensors } from './batches.js';
import { stepArguments, type Steps } from './steps.js';
import type { Trainable } from './trainable.js';
import { ArraySource, type BatchSource, type HostBatch } from './training-data.js';
import type { EpochRecord, ParameterStatistics, TrainingEvent } from './types.js';

/** Batches that are remembered, so that one whose step failed is there when that is known: steps in flight and one more. */
const REMEMBERED = 4;

interface DebugParts {
  readonly model: Trainable;
  readonly steps: Steps;
  readonly train: BatchSource;
  readonly validation: BatchSource | undefined;
}

/** Statistics that wait for the step to be done. */
interface Pending {
  readonly epoch: number;
  readonly norm: number;
  readonly gradients: readonly { readonly name: string; readonly norm: number; readonly zeroShare: number }[];
  /** Values of the parameters before the step, in host memory: nothing is to be freed when training ends before it is done. */
  readonly before: readonly Float32Array[];
}

export class Debugger {
  readonly #parts: DebugParts;
  readonly #emit: (event: TrainingEvent) => void;
  readonly #batches = new Map<number, HostBatch>();
  /** Advice that was given: none is given twice. */
  readonly #given = new Set<string>();
  #pending: Pending | undefined;
  #epoch = 1;
  #hasExplained = false;
  #waitMs = 0;
  #workMs = 0;
  #lastTime = performance.now();

  constructor(parts: DebugParts, emit: (event: TrainingEvent) => void) {
    this.#parts = parts;
    this.#emit = emit;
  }

  #advise(list: readonly Advice[]): void {
    for (const { topic, message } of list) {
      if (this.#given.has(`${topic} ${message.slice(0, 40)}`)) continue;
      this.#given.add(`${topic} ${message.slice(0, 40)}`);
      this.#emit({ type: 'advice', epoch: this.#epoch, topic, message });
    }
  }

  /** Looks at data held in memory, before training. */
  checkData(): void {
    const { train, validation } = this.#parts;
    if (train instanceof ArraySource) this.#advise(adviceOnData(train, validation));
  }

  /** A batch that is about to be trained on; gradients of an epoch's first are looked at. */
  observeBatch(epoch: number, step: number, host: HostBatch): void {
    const now = performance.now();
    this.#waitMs += now - this.#lastTime;
    this.#lastTime = now;
    this.#finishStatistics();
    this.#epoch = epoch;
    this.#batches.set(step, host);
    this.#batches.delete(step - REMEMBERED);
    if (step === 1) this.#beginStatistics(host);
  }

  /** The step has been handed over. */
  stepDone(): void {
    const now = performance.now();
    this.#workMs += now - this.#lastTime;
    this.#lastTime = now;
  }

  /** Runs a batch again, whose step was left out, and names the first op whose result is not finite, with advice. */
  explain(step: number): void {
    const host = this.#batches.get(step);
    if (host === undefined || this.#hasExplained) return;
    this.#hasExplained = true;
    let first: Extract<TrainingEvent, { type: 'non_finite' }> | undefined;
    const isTraced = this.#trace(host, (args) => {
      const trace = this.#parts.steps.trace as NonNullable<Steps['trace']>;
      watchOps(
        (call) => {
          if (first !== undefined || call.isFinite()) return;
          const { op, layer, shape, isBackward } = call;
          const place = layer === undefined ? {} : { layer };
          first = { type: 'non_finite', epoch: this.#epoch, step, op, ...place, shape, isBackward };
        },
        () => trace(args),
      );
    });
    if (!isTraced) return;
    if (first !== undefined) this.#emit(first);
    this.#advise([adviceOnNonFinite(first, host, { epoch: this.#epoch, step })]);
  }

  /** After an epoch has been recorded. */
  observeEpoch(records: readonly EpochRecord[]): void {
    this.#finishStatistics();
    this.#advise(adviceOnEpochs(records));
    const { steps } = this.#parts;
    const replays = steps.train.replays + (steps.parts?.apply.replays ?? 0);
    this.#advise(adviceOnSpeed({ waitMs: this.#waitMs, workMs: this.#workMs, isReplayed: replays > 0 || records.length < 2 }));
    this.#waitMs = 0;
    this.#workMs = 0;
    this.#hasExplained = false;
    this.#lastTime = performance.now();
  }

  adviseOnMemory(): void {
    this.#advise([MEMORY_ADVICE]);
  }

  #beginStatistics(host: HostBatch): void {
    this.#trace(host, (args) => {
      const { gradients } = (this.#parts.steps.trace as NonNullable<Steps['trace']>)(args);
      const scale = this.#parts.steps.scaler?.scale().dataSync()[0] ?? 1;
      const list = Object.entries(gradients).map(([name, gradient]) => {
        const values = gradient.dataSync();
        return {
          name,
          norm: normOf(values) / scale,
          zeroShare: values.filter((value) => value === 0).length / Math.max(1, values.length),
        };
      });
      const variables = this.#variables();
      this.#pending = {
        epoch: this.#epoch,
        norm: Math.hypot(...list.map(({ norm }) => norm)),
        gradients: list,
        before: list.map(({ name }) => (variables.get(name) as tf.Variable).dataSync<'float32'>()),
      };
    });
  }

  #variables(): Map<string, tf.Variable> {
    return new Map(this.#parts.model.parameters().map(({ name, variable }) => [name, variable]));
  }

  /** Tells the statistics of a step that has been done since. */
  #finishStatistics(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    const variables = this.#variables();
    const parameters = pending.gradients.map(({ name, norm, zeroShare }, i): ParameterStatistics => {
      const [from, to] = [pending.before[i] as Float32Array, (variables.get(name) as tf.Variable).dataSync()];
      const weightNorm = normOf(from);
      const change = normOf(Float32Array.from(to, (value, k) => value - (from[k] as number)));
      return { name, gradientNorm: norm, weightNorm, updateRatio: weightNorm === 0 ? 0 : change / weightNorm, zeroShare };
    });
    this.#emit({ type: 'gradients', epoch: pending.epoch, norm: pending.norm, parameters });
    this.#advise(adviceOnGradients(pending.norm, parameters));
  }

  /** Runs forwards and backwards outside any recording, and puts back what that changes; whether that was possible. */
  #trace(host: HostBatch, run: (args: tf.Tensor[]) => void): boolean {
    const { model, steps, train } = this.#parts;
    if (steps.trace === undefined) return false;
    const variables = [
      ...Object.values(model.randomStates()).map(({ variable }) => variable),
      ...model.parameters().flatMap(({ variable, trainable }) => (trainable ? [] : [variable])),
    ];
    const copies = variables.map((variable) => tf.keep(tf.clone(variable as tf.Tensor)));
    try {
      tf.tidy(() => run(stepArguments(toTensors(train, host, model.inputDTypes))));
      return true;
    } catch (error) {
      // A look that does not fit into memory is left out; the step itself decides what is to be done.
      if (!isTensorkilnError(error) || error.code !== 'E_OUT_OF_MEMORY') throw error;
      return false;
    } finally {
      variables.forEach((variable, i) => restoreVariable(variable, copies[i] as tf.Tensor));
      tf.dispose(copies);
    }
  }
}

function normOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; ++i) sum += (values[i] as number) ** 2;
  return Math.sqrt(sum);
}
