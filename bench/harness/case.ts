import type { Fill } from './fill.js';

/** One operand as a leg makes it. `none` as fill is a tensor of 0 elements. */
export interface OperandSpec {
  readonly role: 'in' | 'out' | 'inout';
  readonly dtype: 'f' | 'i' | 'b';
  readonly fill: Fill;
  readonly dims: readonly number[];
}

/** A call as legs understand it: ours takes the ops of ops.def, the others the names of bench/peers. */
export interface LegCall {
  readonly name: string;
  readonly ints?: readonly number[];
  readonly floats?: readonly number[];
  readonly operands: readonly OperandSpec[];
  /** Which operand is judged. */
  readonly result: number;
}

/** What limits a case and how much of it one call does. */
export interface Work {
  readonly amount: number;
  readonly unit: 'flop' | 'byte';
}

/** The right value of one element, in double precision, and the magnitude that rounding errors scale with. */
export interface Expected {
  readonly value: number;
  readonly scale: number;
}

/** What every case of both tables has. */
export interface Judged {
  readonly name: string;
  readonly op: string;
  readonly shape: string;
  readonly dtype: 'f32' | 'i32';
  readonly family: string;
  readonly work: Work;
  /** Elements of the result. */
  readonly size: number;
  /** Element `index` of the result; judged on some hundred places. */
  readonly expected: (index: number) => Expected;
  /** Largest error relative to `scale`, with its reason. */
  readonly tolerance: { readonly relative: number; readonly reason: string };
  /** Part of --quick. */
  readonly quick?: boolean;
}

/** One line of the table at the native door. */
export interface KernelCase extends Judged {
  readonly ours: LegCall;
  readonly peer: LegCall;
}

export const input = (dtype: 'f' | 'i' | 'b', fill: Fill, ...dims: number[]): OperandSpec => ({
  role: 'in',
  dtype,
  fill,
  dims,
});
export const output = (...dims: number[]): OperandSpec => ({ role: 'out', dtype: 'f', fill: 'z', dims });
export const inout = (dtype: 'f' | 'i', fill: Fill, ...dims: number[]): OperandSpec => ({ role: 'inout', dtype, fill, dims });
export const NONE: OperandSpec = { role: 'in', dtype: 'f', fill: 'none', dims: [] };

/** The line that asks a leg for the call. */
export function prepareLine(call: LegCall, at: readonly number[]): string {
  const operands = call.operands.map(({ role, dtype, fill, dims }) => `${role}:${dtype}:${fill}:${dims.join('x')}`);
  return [
    `prepare name=${call.name}`,
    `ints=${(call.ints ?? []).join(',')}`,
    `floats=${(call.floats ?? []).join(',')}`,
    `operands=${operands.join(';')}`,
    `result=${call.result}`,
    `at=${at.join(',')}`,
  ].join(' ');
}

/** Up to `count` places of a result: both ends and places in between that share no stride with any shape. */
export function sampledPlaces(size: number, count = 97): number[] {
  if (size <= count) return Array.from({ length: size }, (_, index) => index);
  const step = size * 0.6180339887498949;
  return Array.from({ length: count }, (_, index) =>
    index === 0 ? 0 : index === 1 ? size - 1 : Math.min(size - 1, Math.floor((index * step) % size)),
  );
}

export const SUMS = { relative: 2e-6, reason: 'float32 sums, relative to the sum of magnitudes' } as const;
export const ROUNDED = { relative: 1e-6, reason: 'functions within 4 ulp' } as const;
