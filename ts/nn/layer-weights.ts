/** Values of a layer's parameters: read, replaced, and loaded as far as they fit. */
import type * as tf from '@tensorflow/tfjs-core';
import { show } from '../arguments.js';
import { overwriteVariable } from '../backend/custom/overwrite.js';
import { TensorkilnError } from '../errors.js';
import type { WeightDescription } from './description.js';
import { formatShape, isSameShape } from './shape.js';

/** What loading weights by name found. */
export interface LoadReport {
  readonly loaded: readonly string[];
  /** Parameters of the layer that were not given. */
  readonly missing: readonly string[];
  /** Given names that are no parameter of the layer. */
  readonly extra: readonly string[];
  readonly misshaped: readonly {
    readonly name: string;
    readonly expected: readonly number[];
    readonly found: readonly number[];
  }[];
}

/** What is needed of a parameter here. */
interface Named {
  readonly name: string;
  readonly variable: tf.Variable;
}
type Weights = Readonly<Record<string, WeightDescription>>;

/** Names for a message; a long list is cut. */
export function listNames(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  return names.length > 20 ? `${names.slice(0, 20).join(', ')} and ${names.length - 20} more` : names.join(', ');
}

/** Copies by name. Waits for the engine without blocking the event loop. */
export async function readWeights(parameters: readonly Named[]): Promise<Record<string, WeightDescription>> {
  const entries = parameters.map(async ({ name, variable }): Promise<[string, WeightDescription]> => {
    const data = await variable.data<'float32'>();
    return [name, { shape: [...variable.shape], data }];
  });
  return Object.fromEntries(await Promise.all(entries));
}

const fits = ({ shape, data }: WeightDescription, variable: tf.Variable): boolean =>
  isSameShape(shape, variable.shape) && data.length === variable.size;

/**
 * Replaces all values.
 *
 * @param place  names the layer in errors
 * @throws E_DATA naming parameters that are missing or unknown; E_SHAPE where a shape differs. Nothing is changed then.
 */
export function replaceWeights(place: string, parameters: readonly Named[], weights: Weights): void {
  const known = new Set(parameters.map(({ name }) => name));
  const unknown = Object.keys(weights).filter((name) => !known.has(name));
  const missing = [...known].filter((name) => !(name in weights));
  if (unknown.length > 0 || missing.length > 0) {
    throw new TensorkilnError(
      'E_DATA',
      `[${place}] weights do not belong to this model: missing ${show(missing)}, unknown ${show(unknown)}.`,
    );
  }
  for (const { name, variable } of parameters) {
    const weight = weights[name] as WeightDescription;
    if (!fits(weight, variable)) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[${place}] wrong shape of weight '${name}': expected [${variable.shape.join(', ')}] (${variable.size} values), got [${weight.shape.join(', ')}] (${weight.data.length} values).`,
      );
    }
  }
  for (const { name, variable } of parameters) overwriteVariable(variable, (weights[name] as WeightDescription).data);
}

/**
 * Replaces the values that are found by name and shape, and tells which were not.
 *
 * @param isStrict  whether anything missing, extra or of another shape is an error
 * @throws E_DATA listing all differences, then or when nothing fits. Nothing is changed then.
 */
export function loadFitting(place: string, parameters: readonly Named[], weights: Weights, isStrict: boolean): LoadReport {
  const known = new Set(parameters.map(({ name }) => name));
  const missing = [...known].filter((name) => !(name in weights));
  const extra = Object.keys(weights).filter((name) => !known.has(name));
  const found = parameters.filter(({ name }) => name in weights);
  const misshaped = found.flatMap(({ name, variable }) => {
    const weight = weights[name] as WeightDescription;
    return fits(weight, variable) ? [] : [{ name, expected: [...variable.shape], found: [...weight.shape] }];
  });
  const refused = new Set(misshaped.map(({ name }) => name));
  const fitting = found.filter(({ name }) => !refused.has(name));
  const isComplete = missing.length + extra.length + misshaped.length === 0;
  if (fitting.length === 0 || (isStrict && !isComplete)) {
    const shapes = misshaped.map(
      (one) => `'${one.name}' expected ${formatShape(one.expected)} found ${formatShape(one.found)}`,
    );
    throw new TensorkilnError(
      'E_DATA',
      `[${place}] weights do not fit: missing ${listNames(missing)}; extra ${listNames(extra)}; of another shape ${listNames(shapes)}.`,
    );
  }
  for (const { name, variable } of fitting) overwriteVariable(variable, (weights[name] as WeightDescription).data);
  return { loaded: fitting.map(({ name }) => name), missing, extra, misshaped };
}
