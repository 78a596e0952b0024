/** An optimizer's state on its way from the device to plain data and back. */
import type * as tf from '@tensorflow/tfjs-core';
import { overwriteVariable } from '../backend/custom/overwrite.js';
import type { Follower } from './averaging.js';
import { progressIn, type OptimizerState, type SlotData, type StepProgress } from './optimizer-state.js';
import { firstOf, progressOf, type Part } from './parameter-parts.js';

/** Where a state lies on the device. */
export interface DeviceState {
  /** All parameters, in the order of the followers' copies. */
  readonly names: readonly string[];
  readonly parts: readonly Part<string>[];
  /** Names of the tensors kept per parameter. */
  readonly slotNames: readonly string[];
  /** By the name their copies have in states. */
  readonly followers: Readonly<Record<string, Follower>>;
}

/** The name of a follower's count among a state's products. */
export const countOf = (follower: string): string => `${follower}Steps`;

async function readSlots(names: readonly string[], variables: readonly tf.Variable[]): Promise<[string, SlotData][]> {
  return Promise.all(
    variables.map(async (variable, i): Promise<[string, SlotData]> => {
      const data = await variable.data<'float32'>();
      return [names[i] as string, { shape: [...variable.shape], data }];
    }),
  );
}

/** Step counts, slots, averages and slow copies after everything enqueued so far; the rest of a state is the optimizer's own. */
export async function readDeviceState({
  names,
  parts,
  slotNames,
  followers,
}: DeviceState): Promise<Omit<OptimizerState, 'type' | 'scalars'>> {
  const readSlot = async (slot: string): Promise<[string, Record<string, SlotData>]> => {
    const entries = await Promise.all(parts.map((part) => readSlots(part.names, part.slots[slot] as readonly tf.Variable[])));
    return [slot, Object.fromEntries(entries.flat())];
  };
  const following = Object.entries(followers);
  const [slots, followed, counts, progress] = await Promise.all([
    Promise.all(slotNames.map(readSlot)),
    Promise.all(
      following.map(async ([slot, { copies }]) => [slot, Object.fromEntries(await readSlots(names, copies))] as const),
    ),
    Promise.all(following.map(async ([slot, { count }]) => [countOf(slot), await firstOf(count)] as const)),
    Promise.all(parts.map((part) => progressOf(part))),
  ]);
  // Parameters that were there from the beginning have made the most steps.
  const most = progress.reduce((best, one) => (one.step > best.step ? one : best));
  const late = parts.flatMap((part, i): [string, StepProgress][] => {
    const own = progress[i] as StepProgress;
    return own.step === most.step ? [] : part.names.map((name) => [name, own]);
  });
  const products = { ...most.products, ...Object.fromEntries(counts) };
  return {
    step: most.step,
    slots: Object.fromEntries([...slots, ...followed]),
    ...(Object.keys(products).length === 0 ? {} : { products }),
    ...(late.length === 0 ? {} : { late: Object.fromEntries(late) }),
  };
}

/** Overwrites what lies on the device with a state that has been checked; parameters of a part have the same step count in it. */
export function writeDeviceState(state: OptimizerState, { names, parts, slotNames, followers }: DeviceState): void {
  const dataOf = (slot: string, name: string): Float32Array => (state.slots[slot]?.[name] as SlotData).data;
  for (const part of parts) {
    const { step, products } = progressIn(state, part.names[0] as string);
    overwriteVariable(part.step, Int32Array.of(step));
    for (const [name, variable] of Object.entries(part.products))
      overwriteVariable(variable, Float32Array.of(products[name] as number));
    for (const slot of slotNames)
      (part.slots[slot] as readonly tf.Variable[]).forEach((variable, i) =>
        overwriteVariable(variable, dataOf(slot, part.names[i] as string)),
      );
  }
  for (const [slot, { copies, count }] of Object.entries(followers)) {
    overwriteVariable(count, Float32Array.of(state.products?.[countOf(slot)] as number));
    copies.forEach((copy, i) => overwriteVariable(copy, dataOf(slot, names[i] as string)));
  }
}
