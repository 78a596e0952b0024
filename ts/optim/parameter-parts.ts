/** An optimizer's parameters in parts, each updated by one native call: what shares hyper-parameters and has made the same steps. */
import * as tf from '@tensorflow/tfjs-core';
import type { DeviceScalars } from '../backend/custom/device-scalars.js';
import type { StepProgress } from './optimizer-state.js';
import { groupOf, type ParameterGroup } from './parameter-groups.js';

/** What an update works on. */
export interface BoundParameters<Scalar extends string = string> {
  /** Number of the group; -1 for none. */
  readonly group: number;
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

/** Parameters of one group that began together. */
export interface Part<Scalar extends string> extends BoundParameters<Scalar> {
  /** Places of the parameters among all. */
  readonly indices: readonly number[];
}

/** What parts are made of. */
export interface PartRecipe<Scalar extends string> {
  readonly names: readonly string[];
  readonly parameters: readonly tf.Variable[];
  readonly groups: readonly ParameterGroup[];
  /** Names of the tensors kept per parameter. */
  readonly slotNames: readonly string[];
  /** What a slot's values begin with. */
  slotStart(slot: string): number;
  /** Values kept once per part, with what they begin with. */
  readonly productStarts: Readonly<Record<string, number>>;
  /** Hyper-parameters of a group; of none: those of the optimizer. */
  scalarsOf(group: number): DeviceScalars<Scalar>;
}

/**
 * One part for each group and key that occur, those of no group first; all state is at its start.
 *
 * @param keyOf  equal for parameters that have made the same steps
 */
export function makeParts<Scalar extends string>(
  recipe: PartRecipe<Scalar>,
  keyOf: (name: string) => string,
): readonly Part<Scalar>[] {
  const members = new Map<string, { group: number; indices: number[] }>();
  recipe.names.forEach((name, index) => {
    const group = groupOf(recipe.groups, name);
    const key = `${group} ${keyOf(name)}`;
    const known = members.get(key);
    if (known === undefined) members.set(key, { group, indices: [index] });
    else known.indices.push(index);
  });
  const ordered = [...members.values()].sort((a, b) => a.group - b.group);
  return ordered.map(({ group, indices }) => makePart(recipe, group, indices));
}

function makePart<Scalar extends string>(recipe: PartRecipe<Scalar>, group: number, indices: readonly number[]): Part<Scalar> {
  const { names, slotNames, productStarts } = recipe;
  const parameters = indices.map((index) => recipe.parameters[index] as tf.Variable);
  const scalars = recipe.scalarsOf(group);
  const start = (shape: readonly number[], value: number): tf.Variable =>
    tf.variable(value === 0 ? tf.zeros([...shape]) : tf.fill([...shape], value), false);
  // In a tidy for the initial values; variables outlive it.
  let part: Part<Scalar> | undefined;
  tf.tidy(() => {
    part = {
      group,
      indices,
      names: indices.map((index) => names[index] as string),
      parameters,
      scalars,
      slots: Object.fromEntries(
        slotNames.map((slot) => [slot, parameters.map(({ shape }) => start(shape, recipe.slotStart(slot)))]),
      ),
      products: Object.fromEntries(Object.entries(productStarts).map(([name, value]) => [name, start([1], value)])),
      step: tf.variable(tf.zeros([1], 'int32'), false),
    };
  });
  return part as unknown as Part<Scalar>;
}

/** Frees the state of parts, and hyper-parameters that are not the optimizer's own. */
export function disposeParts<Scalar extends string>(parts: readonly Part<Scalar>[], own: DeviceScalars<Scalar>): void {
  for (const { scalars, step, products, slots } of parts) {
    if (scalars !== own) scalars.dispose();
    tf.dispose([step, ...Object.values(products), ...Object.values(slots).flat()]);
  }
}

/** How far a part has come, after everything enqueued so far. */
export async function progressOf({ step, products }: Part<string>): Promise<StepProgress> {
  const entries = Object.entries(products).map(async ([name, variable]) => [name, await firstOf(variable)] as const);
  return { step: await firstOf(step), products: Object.fromEntries(await Promise.all(entries)) };
}

/** The one number of a variable. */
export async function firstOf(variable: tf.Variable): Promise<number> {
  return (await variable.data())[0] as number;
}
