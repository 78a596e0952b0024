import * as tf from '@tensorflow/tfjs-core';
import type { Operand } from '../../native/engine.js';
import { storageOf } from '../record.js';
import { currentBackend, makeUnique } from '../tensors.js';
import { overwriteVariable } from './overwrite.js';

/**
 * A few named float32 numbers in device memory, such as a learning rate: ops read them when they run, so a recorded step
 * follows every change without being recorded again.
 *
 * A change is ordered with the op calls around it: steps enqueued before see the old value. Changing a value inside a
 * recorded step is refused (E_RECORDING), because a replay could not repeat it.
 *
 * @param names   names in the order of the buffer
 * @param values  initial values by name
 */
export class DeviceScalars<Name extends string> {
  readonly #names: readonly Name[];
  /** What was set, as doubles: reading a value back gives the number that was written. */
  readonly #values: number[];
  readonly #variable: tf.Variable;

  constructor(names: readonly Name[], values: Readonly<Record<Name, number>>) {
    this.#names = names;
    this.#values = names.map((name) => values[name]);
    this.#variable = tf.tidy(() => tf.variable(tf.tensor(Float32Array.from(this.#values), [names.length], 'float32'), false));
  }

  get(name: Name): number {
    return this.#values[this.#names.indexOf(name)] as number;
  }

  /** Replaces some values. @throws E_RECORDING inside a recorded step; nothing changes then */
  set(values: Readonly<Partial<Record<Name, number>>>): void {
    const next = this.#names.map((name, index) => values[name] ?? (this.#values[index] as number));
    overwriteVariable(this.#variable, Float32Array.from(next));
    this.#values.splice(0, next.length, ...next);
  }

  /** One value as a tensor [1] of the current scope, computed on the device: recorded steps follow changes. */
  tensor(name: Name): tf.Tensor1D {
    return tf.slice(this.#variable as tf.Tensor as tf.Tensor1D, [this.#names.indexOf(name)], [1]);
  }

  /**
   * The buffer as an input of an op call.
   *
   * @param active  float32 [1] that is put behind the numbers, as optimizer ops take it; a tensor of the current scope is made
   */
  operand(active?: tf.Tensor): Operand {
    if (active !== undefined) return currentBackend().operand(tf.concat([this.#variable as tf.Tensor, active]));
    return { handle: makeUnique(this.#variable), storage: storageOf('float32', 'device scalars'), shape: [this.#names.length] };
  }

  dispose(): void {
    this.#variable.dispose();
  }
}
