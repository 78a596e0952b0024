/** The base of every optimizer: binding to parameters, state per parameter, hyper-parameters on the device. */
import * as tf from '@tensorflow/tfjs-core';
import { checkNumber, show } from '../arguments.js';
import { DeviceScalars } from '../backend/custom/device-scalars.js';
import { overwriteVariable } from '../backend/custom/overwrite.js';
import { TensorkilnError } from '../errors.js';
import {
  averager,
  checkAveraging,
  checkLookahead,
  lookahead,
  type AveragingOptions,
  type Follower,
  type LookaheadOptions,
} from './averaging.js';
import { checkClipping, clipGradients, type Clipping } from './clipping.js';
import { checkGroups, groupOf, type ParameterGroup } from './parameter-groups.js';

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
  /** What is kept for all parameters together besides the step count; absent for rules that keep nothing. */
  readonly products?: Readonly<Record<string, number>>;
}

/** Options every optimizer takes. */
export interface OptimizerOptions {
  /** Parameters with a rate or a decay of their own; the first group that matches counts. Default: none. */
  readonly groups?: readonly ParameterGroup[];
  /** What gradients are limited to before each step. Default: nothing. */
  readonly clip?: Clipping;
  /** A slow copy that the parameters go back to every few steps. Default: none. */
  readonly lookahead?: LookaheadOptions;
  /** An average of the parameters to judge and keep in their place (`swapAverage`). Default: none. */
  readonly average?: AveragingOptions;
}

/** The keys of OptimizerOptions. */
export const OPTIMIZER_KEYS = ['groups', 'clip', 'lookahead', 'average'] as const;

/** Names of what followers keep, in states. */
const SLOW = 'slow';
const AVERAGE = 'average';

/** Variables an optimizer changes, by the names gradients come under. */
export type NamedVariables = Readonly<Record<string, tf.Variable>>;
export type NamedGradients = Readonly<Record<string, tf.Tensor>>;

/** What is known of gradients before a step. */
export interface ApplyOptions {
  /**
   * One bool on the device: false leaves parameters, state and step count as they are, without the host waiting for it. For
   * gradients that may not be finite. Default: the step is done.
   */
  readonly active?: tf.Tensor | undefined;
  /** Norm of all gradients together, for clipping by it, where the caller has it already. */
  readonly norm?: tf.Tensor | undefined;
}

interface Bound<Scalar extends string> {
  readonly names: readonly string[];
  readonly parameters: readonly tf.Variable[];
  readonly slots: Readonly<Record<string, readonly tf.Variable[]>>;
  /** int32 [1], on the device so that replays count on. */
  readonly step: tf.Variable;
  /** float32 [1] each. */
  readonly products: Readonly<Record<string, tf.Variable>>;
  /** The hyper-parameters of these parameters. */
  readonly scalars: DeviceScalars<Scalar>;
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
  /** Values kept for all parameters together, with what they begin with. */
  protected readonly productStarts: Readonly<Record<string, number>> = {};
  readonly #groups: readonly ParameterGroup[];
  readonly #clip: Clipping | undefined;
  readonly #lookahead: Required<LookaheadOptions> | undefined;
  readonly #average: Required<AveragingOptions> | undefined;
  /** By the name their copies have in states; the order in which they follow. */
  #followers: Readonly<Record<string, Follower>> = {};
  #isSwapped = false;
  #isTorn = false;
  /** One part per group of parameters that share their hyper-parameters. */
  #parts: readonly Bound<Scalar>[] | undefined;
  #variables: { readonly names: readonly string[]; readonly parameters: readonly tf.Variable[] } | undefined;
  #isDisposed = false;

  constructor(options: OptimizerOptions = {}) {
    this.#groups = checkGroups('optimizer', options.groups ?? []);
    this.#clip = options.clip === undefined ? undefined : checkClipping('optimizer', options.clip);
    this.#lookahead = options.lookahead === undefined ? undefined : checkLookahead('optimizer', options.lookahead);
    this.#average = options.average === undefined ? undefined : checkAveraging('optimizer', options.average);
  }

  /** Throws E_CONFIG when a hyper-parameter is out of its range. */
  protected abstract checkScalar(name: Scalar, value: unknown): number;

  /** Called after hyper-parameters have changed; for rules that keep copies of them. */
  protected scalarsChanged(): void {
    // Most rules keep none.
  }

  /** What a slot's values begin with. */
  protected slotStart(_slot: string): number {
    return 0;
  }

  /**
   * Enqueues the update of one group.
   *
   * @param active  float32 [1]: 0 leaves everything as it is; absent: the step is done
   */
  protected abstract update(bound: Bound<Scalar>, gradients: readonly tf.Tensor[], active: tf.Tensor | undefined): void;

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
    if (this.#variables !== undefined) {
      const { names: oldNames, parameters: old } = this.#variables;
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
    this.#parts = this.#split(names).map(({ group, members }) => this.#makePart(group, members, variables));
    this.#variables = { names, parameters };
    this.#followers = {
      ...(this.#lookahead === undefined ? {} : { [SLOW]: lookahead(parameters, this.#lookahead) }),
      ...(this.#average === undefined ? {} : { [AVERAGE]: averager(parameters, this.#average) }),
    };
  }

  /** Members of each group that has any; the parameters of no group come first. */
  #split(names: readonly string[]): { group: ParameterGroup | undefined; members: readonly string[] }[] {
    const numbers = names.map((name) => groupOf(this.#groups, name));
    const unused = this.#groups.findIndex((_, index) => !numbers.includes(index));
    if (unused >= 0) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[${this.type}] wrong groups[${unused}]: expected a group of some parameters, but no name left by the groups before it matches.`,
      );
    }
    return [-1, ...this.#groups.keys()].flatMap((index) => {
      const members = names.filter((_, i) => numbers[i] === index);
      return members.length === 0 ? [] : [{ group: this.#groups[index], members }];
    });
  }

  #makePart(group: ParameterGroup | undefined, names: readonly string[], variables: NamedVariables): Bound<Scalar> {
    const parameters = names.map((name) => variables[name] as tf.Variable);
    const start = (shape: readonly number[], value: number): tf.Variable =>
      tf.variable(value === 0 ? tf.zeros([...shape]) : tf.fill([...shape], value), false);
    // In a tidy for the initial values; variables outlive it.
    let part: Bound<Scalar> | undefined;
    tf.tidy(() => {
      part = {
        names,
        parameters,
        scalars: group === undefined ? this.scalars : new DeviceScalars(this.scalarNames, this.#scalarsOf(group)),
        slots: Object.fromEntries(
          this.slotNames.map((slot) => [slot, parameters.map(({ shape }) => start(shape, this.slotStart(slot)))]),
        ),
        products: Object.fromEntries(Object.entries(this.productStarts).map(([name, value]) => [name, start([1], value)])),
        step: tf.variable(tf.zeros([1], 'int32'), false),
      };
    });
    return part as unknown as Bound<Scalar>;
  }

  /** A group's hyper-parameters, from the optimizer's own. */
  #scalarsOf({ rateFactor = 1, weightDecay }: ParameterGroup): Record<Scalar, number> {
    const values: Record<string, number> = { ...this.hyperParameters() };
    values.learningRate = (values.learningRate as number) * rateFactor;
    if (weightDecay !== undefined) {
      if (!('weightDecay' in values))
        throw new TensorkilnError('E_CONFIG', `[${this.type}] wrong groups: it has no weight decay that a group could change.`);
      values.weightDecay = checkNumber(this.type, 'groups.weightDecay', weightDecay, { min: 0 });
    }
    return values;
  }

  /** Whether `bind` has been called. */
  get isBound(): boolean {
    return this.#parts !== undefined;
  }

  /**
   * Does one step.
   *
   * @param gradients  float32, one for every bound name, of the variable's shape
   * @throws E_USAGE before `bind` or when a gradient is missing; E_SHAPE when one has another shape; E_DISPOSED
   */
  apply(gradients: NamedGradients, options: ApplyOptions = {}): void {
    const parts = this.#needBound();
    if (this.#isSwapped)
      throw new TensorkilnError(
        'E_USAGE',
        `[${this.type}] the parameters hold their average: call swapAverage() again before the next step.`,
      );
    const list = parts.flatMap(({ names }) => names.map((name) => this.#gradientOf(name, gradients)));
    tf.tidy(() => {
      const clipped = this.#clip === undefined ? list : clipGradients(list, this.#clip, options.norm);
      const active = options.active && tf.reshape(tf.cast(options.active, 'float32'), [1]);
      let start = 0;
      this.#isTorn = true;
      for (const part of parts) {
        const end = start + part.names.length;
        this.update(part, clipped.slice(start, end), active);
        start = end;
      }
      for (const follower of Object.values(this.#followers)) follower.advance(active);
      this.#isTorn = false;
    });
  }

  /** Whether an update failed half-way, for want of memory, so that some parameters have been changed and others have not. */
  get isTorn(): boolean {
    return this.#isTorn;
  }

  /** Whether an average of the parameters is kept. */
  get hasAverage(): boolean {
    return this.#average !== undefined;
  }

  /**
   * Exchanges the parameters with their average, to judge or save it; a second call takes it back, which must come before the
   * next step. Copies nothing. @throws E_USAGE without an average or before `bind`
   */
  swapAverage(): void {
    this.#follower().swap();
    this.#isSwapped = !this.#isSwapped;
  }

  /** Gives the parameters the values of their average for good. @throws E_USAGE without an average or before `bind` */
  loadAverage(): void {
    this.#follower().load();
  }

  #follower(): Follower {
    this.#needBound();
    const follower = this.#followers[AVERAGE];
    if (follower !== undefined) return follower;
    throw new TensorkilnError(
      'E_USAGE',
      `[${this.type}] no average is kept: expected the option average, such as { kind: 'exponential' }.`,
    );
  }

  #gradientOf(name: string, gradients: NamedGradients): tf.Tensor {
    const gradient = gradients[name];
    if (gradient === undefined)
      throw new TensorkilnError('E_USAGE', `[${this.type}] no gradient for '${name}': does the loss depend on it?`);
    return gradient;
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
    this.#writeScalars(values);
  }

  #writeScalars(values: Readonly<Partial<Record<Scalar, number>>>): void {
    this.scalars.set(values);
    for (const { names, scalars } of this.#parts ?? []) {
      if (scalars !== this.scalars)
        scalars.set(this.#scalarsOf(this.#groups[groupOf(this.#groups, names[0] as string)] as ParameterGroup));
    }
    this.scalarsChanged();
  }

  /**
   * Takes other parameters: those it had before keep their state, new ones begin anew. For layers that are frozen or unfrozen.
   *
   * @throws as `bind`
   */
  async rebind(variables: NamedVariables): Promise<void> {
    const state = this.isBound ? await this.getState() : undefined;
    this.#release();
    this.bind(variables);
    if (state === undefined) return;
    const fresh = await this.getState();
    const slots = Object.entries(fresh.slots).map(([slot, entries]): [string, Record<string, SlotData>] => [
      slot,
      Object.fromEntries(Object.entries(entries).map(([name, start]) => [name, state.slots[slot]?.[name] ?? start])),
    ]);
    this.setState({ ...state, slots: Object.fromEntries(slots) });
  }

  /** Begins anew: state as after `bind`, hyper-parameters as they are. @throws E_USAGE before `bind` */
  reset(): void {
    this.#needBound();
    const { names, parameters } = this.#variables as { names: readonly string[]; parameters: readonly tf.Variable[] };
    this.#release();
    this.bind(Object.fromEntries(names.map((name, i) => [name, parameters[i] as tf.Variable])));
  }

  /** Hyper-parameters, step count and slots after everything enqueued so far. @throws E_USAGE before `bind` */
  async getState(): Promise<OptimizerState> {
    const parts = this.#needBound();
    const read = async (slot: string): Promise<[string, Record<string, SlotData>]> => {
      const entries = parts.flatMap(({ names, slots }) =>
        (slots[slot] as readonly tf.Variable[]).map(async (variable, i): Promise<[string, SlotData]> => {
          const data = await variable.data<'float32'>();
          return [names[i] as string, { shape: [...variable.shape], data }];
        }),
      );
      return [slot, Object.fromEntries(await Promise.all(entries))];
    };
    // Groups step together: their counts and products are equal.
    const { step, products } = parts[0] as Bound<Scalar>;
    const [count, slots, values] = await Promise.all([
      step.data<'int32'>(),
      Promise.all(this.slotNames.map(read)),
      Promise.all(Object.values(products).map((variable) => variable.data<'float32'>())),
    ]);
    const named = Object.keys(products).map((name, i): [string, number] => [name, (values[i] as Float32Array)[0] as number]);
    for (const [slot, { copies, count: steps }] of Object.entries(this.#followers)) {
      const { names } = this.#variables as { names: readonly string[] };
      const entries = copies.map(async (variable, i): Promise<[string, SlotData]> => {
        const data = await variable.data<'float32'>();
        return [names[i] as string, { shape: [...variable.shape], data }];
      });
      slots.push([slot, Object.fromEntries(await Promise.all(entries))]);
      named.push([`${slot}Steps`, (await steps.data<'float32'>())[0] as number]);
    }
    return {
      type: this.type,
      scalars: this.hyperParameters(),
      step: count[0] as number,
      slots: Object.fromEntries(slots),
      ...(named.length === 0 ? {} : { products: Object.fromEntries(named) }),
    };
  }

  /**
   * Continues from a saved state.
   *
   * @throws E_USAGE before `bind`; E_DATA when the state belongs to another optimizer or other parameters; E_SHAPE when a
   *         slot has another shape; E_CONFIG when a hyper-parameter is out of range. Nothing changes then.
   */
  setState(state: OptimizerState): void {
    const parts = this.#needBound();
    const { names, parameters } = this.#variables as { names: readonly string[]; parameters: readonly tf.Variable[] };
    if (state.type !== this.type)
      throw new TensorkilnError('E_DATA', `[${this.type}] wrong state: expected one of ${this.type}, got ${show(state.type)}.`);
    if (!Number.isInteger(state.step) || state.step < 0 || state.step > 0x7fffffff) {
      throw new TensorkilnError('E_DATA', `[${this.type}] wrong state: expected a step count, got ${show(state.step)}.`);
    }
    for (const name of this.scalarNames) this.checkScalar(name, state.scalars[name]);
    const followers = Object.entries(this.#followers);
    for (const name of [...Object.keys(this.productStarts), ...followers.map(([slot]) => `${slot}Steps`)]) {
      if (!Number.isFinite(state.products?.[name]))
        throw new TensorkilnError(
          'E_DATA',
          `[${this.type}] wrong state: expected a number for '${name}', got ${show(state.products?.[name])}.`,
        );
    }
    for (const slot of [...this.slotNames, ...followers.map(([name]) => name)]) {
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
    this.#writeScalars(state.scalars as Record<Scalar, number>);
    for (const part of parts) {
      overwriteVariable(part.step, Int32Array.of(state.step));
      for (const [name, variable] of Object.entries(part.products))
        overwriteVariable(variable, Float32Array.of(state.products?.[name] as number));
      for (const slot of this.slotNames) {
        const saved = state.slots[slot] as Record<string, SlotData>;
        (part.slots[slot] as readonly tf.Variable[]).forEach((variable, i) => {
          overwriteVariable(variable, (saved[part.names[i] as string] as SlotData).data);
        });
      }
    }
    for (const [slot, { copies, count }] of followers) {
      overwriteVariable(count, Float32Array.of(state.products?.[`${slot}Steps`] as number));
      copies.forEach((copy, i) =>
        overwriteVariable(copy, ((state.slots[slot] as Record<string, SlotData>)[names[i] as string] as SlotData).data),
      );
    }
  }

  /** Frees the state and the hyper-parameters; the parameters stay. Repeated calls do nothing. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#release();
    this.#isDisposed = true;
    this.scalars.dispose();
  }

  /** Frees what `bind` has made. */
  #release(): void {
    for (const { scalars, step, products, slots } of this.#parts ?? []) {
      if (scalars !== this.scalars) scalars.dispose();
      tf.dispose([step, ...Object.values(products), ...Object.values(slots).flat()]);
    }
    for (const follower of Object.values(this.#followers)) follower.dispose();
    this.#followers = {};
    this.#parts = undefined;
    this.#variables = undefined;
  }

  #needBound(): readonly Bound<Scalar>[] {
    this.#checkAlive();
    if (this.#parts === undefined)
      throw new TensorkilnError('E_USAGE', `[${this.type}] is not bound: call bind(variables) first.`);
    return this.#parts;
  }

  #checkAlive(): void {
    if (this.#isDisposed) throw new TensorkilnError('E_DISPOSED', `[${this.type}] has been disposed.`);
  }
}

/** What `update` gets. */
export type BoundParameters<Scalar extends string = string> = Bound<Scalar>;
