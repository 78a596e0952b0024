/** The base of every optimizer: binding to parameters, state per parameter, hyper-parameters on the device. */
import * as tf from '@tensorflow/tfjs-core';
import { checkKeys, checkNumber, checkObject } from '../arguments.js';
import { DeviceScalars } from '../backend/custom/device-scalars.js';
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
import { countOf, readDeviceState, writeDeviceState, type DeviceState } from './device-state.js';
import { checkOptimizerState, completeState, progressIn, type OptimizerState } from './optimizer-state.js';
import { checkGroups, groupOf, type ParameterGroup } from './parameter-groups.js';
import { disposeParts, makeParts, type BoundParameters, type Part, type PartRecipe } from './parameter-parts.js';

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
const OPTIMIZER_KEYS = ['groups', 'clip', 'lookahead', 'average'] as const;

/**
 * Checks the keys of an optimizer's options and the rate it begins with, which must be above 0: one that learns nothing is a
 * mistake more often than not. A schedule, or who sets `learningRate` later, may well come to 0.
 *
 * @param keys the optimizer's own, beside those of OptimizerOptions
 * @throws E_CONFIG
 */
export function checkOptimizerOptions(type: string, options: object, keys: readonly string[]): void {
  const { learningRate } = checkKeys(type, options, [...keys, ...OPTIMIZER_KEYS]) as { learningRate?: unknown };
  if (learningRate !== undefined) checkNumber(type, 'learningRate', learningRate, { above: 0 });
}

/** Names of what followers keep, in states. */
const SLOW = 'slow';
const AVERAGE = 'average';

/** Variables an optimizer changes, by the names gradients come under. */
export type NamedVariables = Readonly<Record<string, tf.Variable>>;
export type NamedGradients = Readonly<Record<string, tf.Tensor>>;

/** What an optimizer is told of the model besides the parameters it changes. */
export interface BindOptions {
  /** Names of parameters that are not trained now: a group may be made of these alone and is then left aside. Default: none. */
  readonly frozen?: readonly string[];
}

/** What is known of gradients before a step. */
export interface ApplyOptions {
  /**
   * One bool on the device: false leaves parameters, state and step count as they are, without the host waiting for it. For
   * gradients that may not be finite. Default: the step is done.
   */
  readonly active?: tf.Tensor | undefined;
  /** Norm of all gradients together, for clipping by it, where the caller has it already. */
  readonly norm?: tf.Tensor | undefined;
  /** Called once the parameters have been changed, before they are averaged: what else belongs to the update, such as constraints. */
  readonly finish?: () => void;
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
  #updates = 0;
  /** One part per group of parameters that share their hyper-parameters and have made the same steps. */
  #parts: readonly Part<Scalar>[] | undefined;
  #variables:
    | { readonly names: readonly string[]; readonly parameters: readonly tf.Variable[]; readonly options: BindOptions }
    | undefined;
  #isDisposed = false;

  /** @param groupKeys  keys a group has besides those of every optimizer's */
  constructor(options: OptimizerOptions = {}, groupKeys: readonly string[] = []) {
    checkObject('optimizer', options);
    this.#groups = checkGroups('optimizer', options.groups ?? [], groupKeys);
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
  protected abstract update(
    bound: BoundParameters<Scalar>,
    gradients: readonly tf.Tensor[],
    active: tf.Tensor | undefined,
  ): void;

  /**
   * Creates the state for these parameters, all zeros. Binding the same variables again changes nothing.
   *
   * @param variables  float32 variables by name
   * @throws E_USAGE when there are none or the optimizer belongs to others; E_DTYPE when one is not float32; E_CONFIG for a
   *         group that no parameter, trained or frozen, belongs to
   */
  bind(variables: NamedVariables, options: BindOptions = {}): void {
    this.#checkAlive();
    if (this.#variables !== undefined) {
      if (this.isBoundTo(variables)) return;
      throw new TensorkilnError(
        'E_USAGE',
        `[${this.type}] already belongs to other parameters: make a new optimizer for each model.`,
      );
    }
    const names = Object.keys(variables);
    const parameters = Object.values(variables);
    if (names.length === 0)
      throw new TensorkilnError('E_USAGE', `[${this.type}] there is nothing to train: expected at least one variable.`);
    names.forEach((name, index) => {
      const { dtype } = parameters[index] as tf.Variable;
      if (dtype !== 'float32')
        throw new TensorkilnError('E_DTYPE', `[${this.type}] wrong dtype of '${name}': expected float32, got ${dtype}.`);
    });
    this.#checkGroupsUsed([...names, ...(options.frozen ?? [])]);
    this.#variables = { names, parameters, options };
    try {
      this.#parts = this.#makeParts(() => '');
      if (this.#lookahead !== undefined) this.#followers = { [SLOW]: lookahead(parameters, this.#lookahead) };
      if (this.#average !== undefined) this.#followers = { ...this.#followers, [AVERAGE]: averager(parameters, this.#average) };
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Whether the optimizer belongs to just these variables. */
  isBoundTo(variables: NamedVariables): boolean {
    if (this.#variables === undefined) return false;
    const { names, parameters } = this.#variables;
    const [newNames, newParameters] = [Object.keys(variables), Object.values(variables)];
    return (
      names.length === newNames.length && names.every((name, i) => name === newNames[i] && parameters[i] === newParameters[i])
    );
  }

  #checkGroupsUsed(names: readonly string[]): void {
    const used = new Set(names.map((name) => groupOf(this.#groups, name)));
    const unused = this.#groups.findIndex((_, index) => !used.has(index));
    if (unused < 0) return;
    throw new TensorkilnError(
      'E_CONFIG',
      `[${this.type}] wrong groups[${unused}]: expected a group of some parameters, but no name left by the groups before it matches.`,
    );
  }

  /** @param keyOf  equal for parameters that have made the same steps */
  #makeParts(keyOf: (name: string) => string): readonly Part<Scalar>[] {
    const { names, parameters } = this.#needVariables();
    const recipe: PartRecipe<Scalar> = {
      names,
      parameters,
      groups: this.#groups,
      slotNames: this.slotNames,
      slotStart: (slot) => this.slotStart(slot),
      productStarts: this.productStarts,
      scalarsOf: (index) => {
        const group = this.#groups[index];
        return group === undefined ? this.scalars : new DeviceScalars(this.scalarNames, this.#scalarsOf(group));
      },
    };
    return makeParts(recipe, keyOf);
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

  /** The variables it changes. @throws E_USAGE before `bind` */
  get parameters(): readonly tf.Variable[] {
    return this.#needVariables().parameters;
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
    const list = this.#needVariables().names.map((name) => this.#gradientOf(name, gradients));
    tf.tidy(() => {
      const clipped = this.#clip === undefined ? list : clipGradients(list, this.#clip, options.norm);
      const active = options.active && tf.reshape(tf.cast(options.active, 'float32'), [1]);
      ++this.#updates;
      for (const part of parts) {
        const own = part.indices.map((index) => clipped[index] as tf.Tensor);
        this.update(part, own, active);
      }
      this.#followers[SLOW]?.advance(active);
      options.finish?.();
      this.#followers[AVERAGE]?.advance(active);
    });
  }

  /** Updates that have begun in calls of `apply`; replays of recorded steps do not count. */
  get updates(): number {
    return this.#updates;
  }

  /** Whether an average of the parameters is kept. */
  get hasAverage(): boolean {
    return this.#average !== undefined;
  }

  /** How the average of the parameters is formed; undefined when none is kept. */
  get averaging(): Required<AveragingOptions> | undefined {
    return this.#average;
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
    for (const { group, scalars } of this.#parts ?? [])
      if (scalars !== this.scalars) scalars.set(this.#scalarsOf(this.#groups[group] as ParameterGroup));
    this.scalarsChanged();
  }

  /**
   * Takes other parameters: those it had before keep their state, new ones begin anew, with a step count of their own. For
   * layers that are frozen or unfrozen. Steps recorded before must be recorded again.
   *
   * @throws as `bind`
   */
  async rebind(variables: NamedVariables, options: BindOptions = {}): Promise<void> {
    const known = new Set(this.#variables?.names ?? []);
    const state = this.isBound ? await this.getState() : undefined;
    this.#release();
    this.bind(variables, options);
    if (state !== undefined) this.setState(completeState(state, await this.getState(), known));
  }

  /** Begins anew: state as after `bind`, hyper-parameters as they are. @throws E_USAGE before `bind` */
  reset(): void {
    const { names, parameters, options } = this.#needVariables();
    this.#release();
    this.bind(Object.fromEntries(names.map((name, i) => [name, parameters[i] as tf.Variable])), options);
  }

  /** Hyper-parameters, step counts and slots after everything enqueued so far. @throws E_USAGE before `bind` */
  async getState(): Promise<OptimizerState> {
    const held = await readDeviceState(this.#deviceState(this.#needBound()));
    return { type: this.type, scalars: this.hyperParameters(), ...held };
  }

  /**
   * Continues from a saved state. Where it counts steps of some parameters apart that were counted together until now, steps
   * recorded before must be recorded again.
   *
   * @throws E_USAGE before `bind`; E_DATA when the state belongs to another optimizer or other parameters; E_SHAPE when a
   *         slot has another shape; E_CONFIG when a hyper-parameter is out of range. Nothing changes then.
   */
  setState(state: OptimizerState): void {
    this.#needBound();
    const { names, parameters } = this.#needVariables();
    const followers = Object.keys(this.#followers);
    checkOptimizerState(state, {
      type: this.type,
      shapes: Object.fromEntries(names.map((name, i) => [name, (parameters[i] as tf.Variable).shape])),
      slots: [...this.slotNames, ...followers],
      products: Object.keys(this.productStarts),
      counts: followers.map(countOf),
    });
    for (const name of this.scalarNames) this.checkScalar(name, state.scalars[name]);
    this.#writeScalars(state.scalars as Record<Scalar, number>);
    writeDeviceState(state, this.#deviceState(this.#partsFor(state)));
  }

  #deviceState(parts: readonly Part<Scalar>[]): DeviceState {
    return { names: this.#needVariables().names, parts, slotNames: this.slotNames, followers: this.#followers };
  }

  /**
   * Continues from a saved state of some of its parameters; those the state has nothing of begin anew. For a state from before
   * layers were unfrozen. Steps recorded before must be recorded again.
   *
   * @throws as `setState`
   */
  async adoptState(state: OptimizerState): Promise<void> {
    this.reset();
    const known = new Set(Object.values(state.slots).flatMap((slot) => Object.keys(slot)));
    this.setState(completeState(state, await this.getState(), known));
  }

  /** The parts, made anew where one of them holds parameters that differ in their step counts. */
  #partsFor(state: OptimizerState): readonly Part<Scalar>[] {
    const parts = this.#needBound();
    const keyOf = (name: string): string => String(progressIn(state, name).step);
    if (parts.every(({ names }) => new Set(names.map(keyOf)).size === 1)) return parts;
    const made = this.#makeParts(keyOf);
    this.#releaseParts();
    return (this.#parts = made);
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
    this.#releaseParts();
    for (const follower of Object.values(this.#followers)) follower.dispose();
    this.#followers = {};
    this.#variables = undefined;
  }

  #releaseParts(): void {
    disposeParts(this.#parts ?? [], this.scalars);
    this.#parts = undefined;
  }

  #needBound(): readonly Part<Scalar>[] {
    this.#needVariables();
    return this.#parts as readonly Part<Scalar>[];
  }

  #needVariables(): {
    readonly names: readonly string[];
    readonly parameters: readonly tf.Variable[];
    readonly options: BindOptions;
  } {
    this.#checkAlive();
    if (this.#variables === undefined)
      throw new TensorkilnError('E_USAGE', `[${this.type}] is not bound: call bind(variables) first.`);
    return this.#variables;
  }

  #checkAlive(): void {
    if (this.#isDisposed) throw new TensorkilnError('E_DISPOSED', `[${this.type}] has been disposed.`);
  }
}
