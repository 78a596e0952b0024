/** An optimizer's state as plain data, for checkpoints: its form, its checks, and how a state grows with the parameters. */
import { show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';

/** One tensor of an optimizer's state. */
export interface SlotData {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** How far a parameter has come. */
export interface StepProgress {
  /** Steps done. */
  readonly step: number;
  /** What the rule keeps for all parameters with that count together. */
  readonly products: Readonly<Record<string, number>>;
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
  /** Parameters that came later, by name, with what stands for `step` and `products` with them; absent when there are none. */
  readonly late?: Readonly<Record<string, StepProgress>>;
}

/** What a state has to hold. */
export interface StateContract {
  readonly type: string;
  /** By parameter name. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly slots: readonly string[];
  /** Numbers kept per step count. */
  readonly products: readonly string[];
  /** Numbers kept once. */
  readonly counts: readonly string[];
}

/** The count and the numbers that belong to a parameter. */
export function progressIn(state: OptimizerState, name: string): StepProgress {
  return state.late?.[name] ?? { step: state.step, products: state.products ?? {} };
}

/** @throws E_DATA when the state belongs to another optimizer or other parameters; E_SHAPE when a slot has another shape */
export function checkOptimizerState(state: OptimizerState, contract: StateContract): void {
  const { type, shapes } = contract;
  const fail = (what: string): never => {
    throw new TensorkilnError('E_DATA', `[${type}] wrong state: ${what}.`);
  };
  if (state.type !== type) fail(`expected one of ${type}, got ${show(state.type)}`);
  const names = Object.keys(shapes);
  const unknown = Object.keys(state.late ?? {}).find((name) => !Object.hasOwn(shapes, name));
  if (unknown !== undefined) fail(`it counts steps of ${show(unknown)}, which is no parameter of this optimizer`);
  for (const progress of [progressIn(state, ''), ...Object.values(state.late ?? {})]) {
    const { step, products } = progress;
    if (!Number.isInteger(step) || step < 0 || step > 0x7fffffff) fail(`expected a step count, got ${show(step)}`);
    for (const name of contract.products)
      if (!Number.isFinite(products[name])) fail(`expected a number for '${name}', got ${show(products[name])}`);
  }
  for (const name of contract.counts)
    if (!Number.isFinite(state.products?.[name])) fail(`expected a number for '${name}', got ${show(state.products?.[name])}`);
  for (const slot of contract.slots) {
    const saved = state.slots[slot] ?? {};
    if (Object.keys(saved).length !== names.length)
      fail(`expected ${names.length} tensors in slot '${slot}', got ${Object.keys(saved).length}`);
    for (const name of names) {
      const entry = saved[name];
      const shape = shapes[name] as readonly number[];
      if (entry === undefined) return fail(`slot '${slot}' has nothing for '${name}'`);
      if (entry.shape.join() !== shape.join() || entry.data.length !== shape.reduce((size, dim) => size * dim, 1)) {
        throw new TensorkilnError(
          'E_SHAPE',
          `[${type}] wrong state of '${name}': expected [${shape.join(', ')}], got [${entry.shape.join(', ')}].`,
        );
      }
    }
  }
}

/**
 * A state of some parameters as one of others.
 *
 * @param state  what is known
 * @param fresh  what all parameters begin with
 * @param known  names of the parameters that `state` is of
 */
export function completeState(state: OptimizerState, fresh: OptimizerState, known: ReadonlySet<string>): OptimizerState {
  const slots = Object.entries(fresh.slots).map(([slot, entries]) => [
    slot,
    Object.fromEntries(Object.entries(entries).map(([name, start]) => [name, state.slots[slot]?.[name] ?? start])),
  ]);
  const names = new Set(Object.values(fresh.slots).flatMap((entries) => Object.keys(entries)));
  const beginning: StepProgress = { step: fresh.step, products: fresh.products ?? {} };
  const late = [...names].flatMap((name): [string, StepProgress][] => {
    if (!known.has(name)) return state.step === beginning.step ? [] : [[name, beginning]];
    const own = state.late?.[name];
    return own === undefined ? [] : [[name, own]];
  });
  return { ...state, slots: Object.fromEntries(slots) as OptimizerState['slots'], late: Object.fromEntries(late) };
}
