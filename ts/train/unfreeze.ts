/** Parameters that begin to be trained later than others. */
import { checkInteger, checkKeys, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import type { Layer } from '../nn/layer.js';

/** Layers that are trained from an epoch on; until then they are as their `trainable` says. */
export interface Unfreezing {
  /** Counted from 1. */
  readonly epoch: number;
  /** A text matches the layer of that path and all below it; an expression what it finds in the path. */
  readonly layers: readonly (string | RegExp)[];
}

/** @throws E_CONFIG naming the entry and the key */
export function checkUnfreezing(list: readonly Unfreezing[]): readonly Unfreezing[] {
  list.forEach((entry, index) => {
    const place = `fit unfreeze[${index}]`;
    checkKeys(place, entry, ['epoch', 'layers']);
    checkInteger(place, 'epoch', entry.epoch, { min: 1 });
    checkPatterns(place, entry.layers);
  });
  return list;
}

/** @throws E_CONFIG, also for a text in place of a list, whose letters would be taken for paths */
function checkPatterns(place: string, given: unknown): void {
  const isPattern = (one: unknown): boolean => (typeof one === 'string' && one !== '') || one instanceof RegExp;
  if (Array.isArray(given) && given.length > 0 && given.every(isPattern)) return;
  throw new TensorkilnError(
    'E_CONFIG',
    `[${place}] wrong layers: expected a non-empty list of paths or expressions, got ${given instanceof RegExp ? String(given) : show(given)}.`,
  );
}

/** Every layer inside one, itself included. */
function allLayers(layer: Layer): Layer[] {
  return [layer, ...layer.sublayers.flatMap(allLayers)];
}

/** Thaws layers, all inside them and all around them; the others stay trained or frozen as they were. */
function thaw(model: Layer, matched: ReadonlySet<Layer>): void {
  const wanted = new Map<Layer, boolean>();
  const decide = (layer: Layer, isInside: boolean, wasTrained: boolean): boolean => {
    const isThawed = isInside || matched.has(layer);
    const isTrained = wasTrained && layer.trainable;
    // Outer layers come first in the map, for setting one sets all inside it.
    wanted.set(layer, isTrained);
    const isAround = layer.sublayers.map((inner) => decide(inner, isThawed, isTrained)).includes(true);
    if (isThawed || isAround) wanted.set(layer, true);
    return isThawed || isAround;
  };
  decide(model, false, true);
  for (const [layer, isTrained] of wanted) layer.trainable = isTrained;
}

/**
 * Sets `trainable` of layers by path and of all inside them. Layers around thawed ones are thawed too, or they would have the
 * say; what else is inside those stays frozen.
 *
 * @param patterns  a text matches the layer of that path and all below it; an expression what it finds in the path
 * @returns         paths of the layers that match
 * @throws E_CONFIG for patterns that are no list, or naming one that matches no layer
 */
export function setTrainable(model: Layer, patterns: readonly (string | RegExp)[], trainable: boolean): readonly string[] {
  checkPatterns('setTrainable', patterns);
  const layers = allLayers(model).filter((layer) => layer !== model);
  const matched = new Set<Layer>();
  for (const pattern of patterns) {
    const found = layers.filter(({ path }) =>
      typeof pattern === 'string' ? path === pattern || path.startsWith(`${pattern}/`) : path.search(pattern) >= 0,
    );
    if (found.length === 0) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[setTrainable] no layer matches ${show(pattern instanceof RegExp ? String(pattern) : pattern)}: expected one of ${layers.map(({ path }) => path).join(', ')}.`,
      );
    }
    for (const layer of found) matched.add(layer);
  }
  if (trainable) thaw(model, matched);
  else for (const layer of matched) layer.trainable = false;
  return [...matched].map(({ path }) => path);
}
