/**
 * tfjs-core's own optimizers inside compiled steps. They keep the learning rate as a JavaScript number and count steps in
 * JavaScript, which a replay would not see: here the rate becomes a device scalar, and the count moves on with every replay.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from './backend.js';
import type { NumericArray } from '../native/addon.js';
import { storageNumber } from '../native/engine.js';
import { currentBackend, tensorFromHandle } from './tensors.js';

/** What tfjs-core declares protected, and what only some of the classes have. */
interface StockOptimizer {
  learningRate: number;
  /** Of SGD and momentum: the negative rate as a kept tensor, made anew by setLearningRate. */
  c?: tf.Scalar;
  incrementIterations(): void;
  getClassName(): string;
  applyGradients(gradients: unknown): void;
}

const FLOAT32 = storageNumber('f32');

/** The classes of optimizers that tfjs-core has. */
export function stockClasses(): { readonly prototype: StockOptimizer }[] {
  return [
    tf.SGDOptimizer,
    tf.MomentumOptimizer,
    tf.AdamOptimizer,
    tf.AdamaxOptimizer,
    tf.AdagradOptimizer,
    tf.AdadeltaOptimizer,
    tf.RMSPropOptimizer,
  ] as unknown as { readonly prototype: StockOptimizer }[];
}

/** One optimizer's rate in device memory. */
class DeviceRate {
  readonly handle: number;
  readonly #backend: TensorkilnBackend;
  /** Weak: what a step holds must not keep the optimizer that has the step. */
  readonly #optimizer: WeakRef<StockOptimizer>;
  /** RMSProp multiplies by the rate, all others by its negative. */
  readonly #sign: number;
  #value: number;
  /** The tensor that held the rate when it was last looked at; only setLearningRate changes the rate of these. */
  #source: tf.Scalar | undefined;

  constructor(backend: TensorkilnBackend, optimizer: StockOptimizer) {
    this.#backend = backend;
    this.#optimizer = new WeakRef(optimizer);
    // tfjs-core makes every optimizer an `instanceof` every class of optimizers; subclasses may have names of their own.
    this.#sign = Object.prototype.isPrototypeOf.call(tf.RMSPropOptimizer.prototype, optimizer) ? 1 : -1;
    this.#source = optimizer.c;
    this.#value = Math.fround(this.#sign * optimizer.learningRate);
    this.handle = backend.engine.create(FLOAT32, Float32Array.of(this.#value));
  }

  /** Whether it is the rate of an optimizer on a device. */
  isOf(backend: TensorkilnBackend, optimizer: StockOptimizer): boolean {
    return this.#backend === backend && this.#optimizer.deref() === optimizer;
  }

  /** Whether a value that JavaScript has just written is the rate. */
  is(values: NumericArray): boolean {
    return values.length === 1 && values instanceof Float32Array && Object.is(values[0], this.#value);
  }

  /** Brings the device up to date; before each recording and replay. */
  follow(): void {
    const optimizer = this.#optimizer.deref();
    if (optimizer === undefined) return;
    const { c } = optimizer;
    if (c !== undefined && c === this.#source) return;
    this.#source = c;
    const value = Math.fround(this.#sign * optimizer.learningRate);
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    this.#backend.engine.write(this.handle, Float32Array.of(value));
  }

  dispose(): void {
    this.#backend.engine.release(this.handle);
  }
}

/** One optimizer's updates in a step. */
export interface CountedUpdates {
  /** Weak: what a step holds must not keep the optimizer that has the step. */
  readonly optimizer: WeakRef<StockOptimizer>;
  readonly count: number;
}

/** Takes the updates of the step that is being recorded. */
let watching: ((optimizer: StockOptimizer, update: () => void) => void) | undefined;

/** Runs an update as part of the step that is being recorded, if one is. */
export function applyWatched(optimizer: StockOptimizer, update: () => void): void {
  if (watching === undefined) update();
  else watching(optimizer, update);
}

/** The stock optimizers that a compiled step uses, with the number of their updates per step. */
export class StockOptimizers {
  readonly #rates: DeviceRate[] = [];

  /** Runs a step that is being recorded; the optimizers it uses read their rate from the device. Gives their updates. */
  watch<Result>(body: () => Result): { result: Result; updates: readonly CountedUpdates[] } {
    const backend = currentBackend();
    const updates = new Map<StockOptimizer, number>();
    const outer = watching;
    watching = (optimizer, update): void => {
      updates.set(optimizer, (updates.get(optimizer) ?? 0) + 1);
      this.#apply(backend, optimizer, update);
    };
    const restore = stockClasses().map(({ prototype }) => {
      // eslint-disable-next-line @typescript-eslint/unbound-method -- called on the optimizer below
      const original = prototype.applyGradients;
      prototype.applyGradients = function (this: StockOptimizer, gradients: unknown): void {
        applyWatched(this, () => {
          original.call(this, gradients);
        });
      };
      return (): void => {
        prototype.applyGradients = original;
      };
    });
    try {
      const result = body();
      return { result, updates: Array.from(updates, ([optimizer, count]) => ({ optimizer: new WeakRef(optimizer), count })) };
    } finally {
      watching = outer;
      for (const undo of restore.reverse()) undo();
    }
  }

  #apply(backend: TensorkilnBackend, optimizer: StockOptimizer, update: () => void): void {
    const known = this.#rates.find((one) => one.isOf(backend, optimizer));
    // The recording that makes it takes it for a constant of the step; those after it find a captured buffer.
    const rate = known ?? new DeviceRate(backend, optimizer);
    if (known === undefined) this.#rates.push(rate);
    const { handle } = rate;
    const isRate = (values: NumericArray): boolean => rate.is(values);
    const value = optimizer.learningRate;
    const declared = Object.getOwnPropertyDescriptor(optimizer, 'learningRate');
    const kept = optimizer.c;
    let wasRead = false;
    backend.onHostWrite = (values) => {
      if (!wasRead || !isRate(values)) return undefined;
      wasRead = false;
      return backend.engine.alias(handle, 0, 1);
    };
    Object.defineProperty(optimizer, 'learningRate', {
      configurable: true,
      enumerable: true,
      get: () => {
        wasRead = true;
        return value;
      },
    });
    if (kept !== undefined)
      optimizer.c = tf.keep(tensorFromHandle<tf.Rank.R0>(backend.engine.alias(handle, 0, 1), [], 'float32'));
    try {
      update();
    } finally {
      backend.onHostWrite = undefined;
      // It may be a getter of the program's, or one of a subclass.
      if (declared === undefined) Reflect.deleteProperty(optimizer, 'learningRate');
      else Object.defineProperty(optimizer, 'learningRate', declared);
      if (kept !== undefined) {
        optimizer.c?.dispose();
        optimizer.c = kept;
      }
    }
  }

  /** Brings all rates up to date. */
  follow(): void {
    for (const rate of this.#rates) rate.follow();
  }

  dispose(): void {
    for (const rate of this.#rates.splice(0)) rate.dispose();
  }
}

/** Counts the updates that a replay has done. */
export function countUpdates(updates: readonly CountedUpdates[]): void {
  for (const { optimizer, count } of updates) for (let i = 0; i < count; ++i) optimizer.deref()?.incrementIterations();
}

export type { StockOptimizer };
