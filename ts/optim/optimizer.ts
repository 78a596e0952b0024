/** The base of every optimizer: binding to parameters, state per parameter, hyper-parameters on the device. */
import * as tf from '@tensorflow/tfjs-core';
import { show } from '../arguments.js';
import type { DeviceScalars } from '../backend/custom/device-scalars.js';
import { overwriteVariable } from '../backend/custom/overwrite.js';
import { TensorkilnError } from '../errors.js';

/** One tensor of an optimizer's state. */
export interface SlotData {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** An optimizer's whole state as plain data, for checkpoints. */
export interface OptimizerState {
  readonly type: string;
  readonly scalars: Readonly<Record<string, number>>;
  /** Steps done; 0 for optimizers that do not count. */
  readonly step: number;
  /** By slot (`means`, `squares`, `velocities`), then by parameter name. */
  readonly slots: Readonly<Record<string, Readonly<Record<string, SlotData>>>>;
}

/** Variables an optimizer changes, by the names gradients come under. */
export type NamedVariables = Readonly<Record<string, tf.Variable>>;
export type NamedGradients = Readonly<Record<string, tf.Tensor>>;

interface Bound {
  readonly names: readonly string[];
  readonly parameters: readonly tf.Variable[];
  readonly slots: Readonly<Record<string, readonly tf.Variable[]>>;
  /** int32 [1], on the device so that replays count on. */
  readonly step: tf.Variable;
}

/**
 * An update rule. `bind` once, then `apply` gradients step after step: one native call changes all parameters in place.
 *
 * Hyper-parameters live in device memory: setting `learningRate` between steps also takes effect in recorded steps.
 *
 * State saved in checkpoints: `getState()`: hyper-parameters, step count, slots.
 */
export abstract class Optimizer<Scalar extends string = string> {
  /** Name in states and messages. */
  abstract readonly type: string;
  /** Names of the tensors kept per parameter. */
  protected abstract readonly slotNames: readonly string[];
  protected abstract readonly scalarNames: readonly Scalar[];
  protected abstract readonly scalars: DeviceScalars<Scalar>;
  #bound: Bound | undefined;
  #isDisposed = false;

  /** Throws E_CONFIG when a hyper-parameter is out of its range. */
  protected abstract checkScalar(name: Scalar, value: unknown): number;

  /** Enqueues the update. */
  protected abstract update(bound: Bound, gradients: readonly tf.Tensor[]): void;

  /**
   * Creates the state for these parameters, all zeros. Binding the same variables again changes nothing.
   *
   * @param variables  float32 variables by name
   * @throws E_USAGE when there are none or the optimizer belongs to others; E_DTYPE when one is not float32
   */
  bind(variables: NamedVariables): void {
    this.#checkAlive();
    const names = Object.keys(variables);
    const parameters = Object.values(variables);
    if (this.#bound !== undefined) {
      const { names: oldNames, parameters: old } = this.#bound;
      if (
        old.length === parameters.length &&
        old.every((variable, i) => variable === parameters[i] && oldNames[i] === names[i])
      )
        return;
      throw new TensorkilnError(
        'E_USAGE',
        `[${this.type}] already belongs to other parameters: make a new optimizer for each model.`,
      );
    }
    if (names.length === 0)
      throw new TensorkilnError('E_USAGE', `[${this.type}] there is nothing to train: expected at least one variable.`);
    names.forEach((name, index) => {
      const { dtype } = parameters[index] as tf.Variable;
      if (dtype !== 'float32')
        throw new TensorkilnError('E_DTYPE', `[${this.type}] wrong dtype of '${name}': expected float32, got ${dtype}.`);
    });
    this.#bound = tf.tidy(() => ({
      names,
      parameters,
      slots: Object.fromEntries(
        this.slotNames.map((slot) => [slot, parameters.map(({ shape }) => tf.variable(tf.zeros(shape), false))]),
      ),
      step: tf.variable(tf.zeros([1], 'int32'), false),
    }));
  }

  /** Whether `bind` has been called. */
  get isBound(): boolean {
    return this.#bound !== undefined;
  }

  /**
   * Does one step.
   *
   * @param gradients  float32, one for every bound name, of the variable's shape
   * @throws E_USAGE before `bind` or when a gradient is missing; E_SHAPE when one has another shape; E_DISPOSED
   */
  apply(gradients: NamedGradients): void {
    const bound = this.#needBound();
    const list = bound.names.map((name) => {
      const gradient = gradients[name];
      if (gradient === undefined) {
        throw new TensorkilnError('E_USAGE', `[${this.type}] no gradient for '${name}': does the loss depend on it?`);
      }
      return gradient;
    });
    this.update(bound, list);
  }

  /** Step size. Setting it is checked (finite, >= 0; 0 stands still) and takes effect from the next step on. */
  get learningRate(): number {
    return this.getScalar('learningRate' as Scalar);
  }

  set learningRate(value: number) {
    this.setScalars({ learningRate: value } as Record<Scalar, number>);
  }

  /** The value of a hyper-parameter as it was set. */
  getScalar(name: Scalar): number {
    this.#checkAlive();
    return this.scalars.get(name);
  }

  /** All hyper-parameters as they were set, by name. */
  hyperParameters(): Readonly<Record<Scalar, number>> {
    this.#checkAlive();
    return Object.fromEntries(this.scalarNames.map((name) => [name, this.scalars.get(name)])) as Record<Scalar, number>;
  }

  /**
   * Changes hyper-parameters from the next step on, recorded steps included.
   *
   * @throws E_CONFIG for an unknown name or a value out of range; E_RECORDING inside a recorded step. Nothing changes then.
   */
  setScalars(values: Readonly<Partial<Record<Scalar, number>>>): void {
    this.#checkAlive();
    for (const [name, value] of Object.entries(values)) {
      if (!this.scalarNames.includes(name as Scalar)) {
        throw new TensorkilnError(
          'E_CONFIG',
          `[${this.type}] unknown hyper-parameter '${name}': expected some of ${this.scalarNames.join(', ')}.`,
        );
      }
      this.checkScalar(name as Scalar, value);
    }
    this.scalars.set(values);
  }

  /** Hyper-parameters, step count and slots after everything enqueued so far. @throws E_USAGE before `bind` */
  async getState(): Promise<OptimizerState> {
    const { names, slots, step } = this.#needBound();
    const scalars = this.hyperParameters();
    const read = async (variables: readonly tf.Variable[]): Promise<Record<string, SlotData>> => {
      const arrays = await Promise.all(variables.map((variable) => variable.data<'float32'>()));
      return Object.fromEntries(
        names.map((name, i) => [name, { shape: [...(variables[i] as tf.Variable).shape], data: arrays[i] as Float32Array }]),
      );
    };
    const pending = Object.entries(slots).map(async ([slot, variables]): Promise<[string, Record<string, SlotData>]> => [
      slot,
      await read(variables),
    ]);
    const [count, entries] = await Promise.all([step.data<'int32'>(), Promise.all(pending)]);
    return { type: this.type, scalars, step: count[0] as number, slots: Object.fromEntries(entries) };
  }

  /**
   * Continues from a saved state.
   *
   * @throws E_USAGE before `bind`; E_DATA when the state belongs to another optimizer or other parameters; E_SHAPE when a
   *         slot has another shape; E_CONFIG when a hyper-parameter is out of range. Nothing changes then.
   */
  setState(state: OptimizerState): void {
    const { names, slots, step, parameters } = this.#needBound();
    if (state.type !== this.type)
      throw new TensorkilnError('E_DATA', `[${this.type}] wrong state: expected one of ${this.type}, got ${show(state.type)}.`);
    if (!Number.isInteger(state.step) || state.step < 0 || state.step > 0x7fffffff) {
      throw new TensorkilnError('E_DATA', `[${this.type}] wrong state: expected a step count, got ${show(state.step)}.`);
    }
    for (const name of this.scalarNames) this.checkScalar(name, state.scalars[name]);
    for (const slot of this.slotNames) {
      const saved = state.slots[slot] ?? {};
      if (Object.keys(saved).length !== names.length) {
        throw new TensorkilnError(
          'E_DATA',
          `[${this.type}] wrong state: expected ${names.length} tensors in slot '${slot}', got ${Object.keys(saved).length}.`,
        );
      }
      names.forEach((name, index) => {
        const { shape } = parameters[index] as tf.Variable;
        const entry = saved[name];
        if (entry === undefined)
          throw new TensorkilnError('E_DATA', `[${this.type}] wrong state: slot '${slot}' has nothing for '${name}'.`);
        if (entry.shape.join() !== shape.join() || entry.data.length !== (parameters[index] as tf.Variable).size) {
          throw new TensorkilnError(
            'E_SHAPE',
            `[${this.type}] wrong state of '${name}': expected [${shape.join(', ')}], got [${entry.shape.join(', ')}].`,
          );
        }
      });
    }
    this.scalars.set(state.scalars as Record<Scalar, number>);
    overwriteVariable(step, Int32Array.of(state.step));
    for (const slot of this.slotNames) {
      (slots[slot] as readonly tf.Variable[]).forEach((variable, i) => {
        overwriteVariable(variable, ((state.slots[slot] as Record<string, SlotData>)[names[i] as string] as SlotData).data);
      });
    }
  }

  /** Frees the state and the hyper-parameters; the parameters stay. Repeated calls do nothing. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.scalars.dispose();
    this.#bound?.step.dispose();
    for (const variables of Object.values(this.#bound?.slots ?? {})) for (const variable of variables) variable.dispose();
    this.#bound = undefined;
  }

  #needBound(): Bound {
    this.#checkAlive();
    if (this.#bound === undefined)
      throw new TensorkilnError('E_USAGE', `[${this.type}] is not bound: call bind(variables) first.`);
    return this.#bound;
  }

  #checkAlive(): void {
    if (this.#isDisposed) throw new TensorkilnError('E_DISPOSED', `[${this.type}] has been disposed.`);
  }
}

/** What `update` gets. */
export type BoundParameters = Bound;
