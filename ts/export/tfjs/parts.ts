/** What the writers of tfjs layers have in common. */
import { TensorkilnError } from '../../errors.js';
import type { WeightDescription } from '../../nn/index.js';
import type { LayerCall } from '../model-graph.js';

/** Where a part takes its input from: an input of the call, or a part so many before it (-1: the one before; what lies before the first part is the call's first input). */
export type PartSource = number | { readonly input: number };

/** A layer of tfjs-layers with its weights under the names that it gives them. */
export interface TfjsLayer {
  readonly className: string;
  /** Without a name; keys in snake_case. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: readonly (readonly [name: string, weight: WeightDescription, trainable: boolean])[];
  /** Default: the part before, for the first one all inputs of the call. */
  readonly from?: readonly PartSource[];
}

export type Writer = (call: LayerCall) => readonly TfjsLayer[];

export function layerError(call: { readonly name: string; readonly type: string }, problem: string): TensorkilnError {
  return new TensorkilnError('E_EXPORT', `[tfjs] layer '${call.name}' (${call.type}): ${problem}.`);
}

export function plain(className: string, config: Readonly<Record<string, unknown>> = {}): TfjsLayer {
  return { className, config, weights: [] };
}

export function weightOf(call: LayerCall, name: string): WeightDescription {
  const weight = call.weights[name];
  if (weight === undefined) throw layerError(call, `weight '${name}' is missing`);
  return weight;
}

export function hasBias(call: LayerCall): boolean {
  return call.weights['bias'] !== undefined;
}

export function kernelAndBias(call: LayerCall): TfjsLayer['weights'] {
  return [
    ['kernel', weightOf(call, 'kernel'), true],
    ...(hasBias(call) ? [['bias', weightOf(call, 'bias'), true] as const] : []),
  ];
}
