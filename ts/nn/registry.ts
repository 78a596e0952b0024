/** Layer types by name: how JSON becomes layers. */
import { show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import type { Layer, LayerJSON } from './layer.js';

/** Makes an unbuilt layer from a name and constructor options; the constructor validates them. */
export type LayerFactory = (config: Readonly<Record<string, unknown>>) => Layer;

const factories = new Map<string, LayerFactory>();

/**
 * Makes a layer type known to `layerFromJSON`.
 *
 * @param type     registered name, equal to the layer's `type`
 * @param factory  takes constructor options, `name` included
 * @throws E_USAGE when the name is taken
 */
export function registerLayer(type: string, factory: LayerFactory): void {
  if (factories.has(type)) throw new TensorkilnError('E_USAGE', `[registerLayer] layer type '${type}' is already registered.`);
  factories.set(type, factory);
}

/** Names of all registered layer types. */
export function layerTypes(): readonly string[] {
  return [...factories.keys()];
}

/**
 * An unbuilt layer from its JSON form.
 *
 * @param json   {@link LayerJSON}
 * @param place  names the layer in errors, e.g. `layers[2]`
 * @throws E_CONFIG when a key is missing or wrong or the type is unknown
 */
export function layerFromJSON(json: unknown, place = 'layer'): Layer {
  if (typeof json !== 'object' || json === null) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] wrong layer: expected an object with type, name and config, got ${show(json)}.`,
    );
  }
  const { type, name, config, trainable, frozen } = json as Partial<Record<keyof LayerJSON, unknown>>;
  const factory = typeof type === 'string' ? factories.get(type) : undefined;
  if (factory === undefined) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] unknown layer type: expected one of ${layerTypes().join(', ')}, got ${show(type)}.`,
    );
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new TensorkilnError('E_CONFIG', `[${place}] wrong config: expected an object of layer options, got ${show(config)}.`);
  }
  const isPaths =
    frozen === undefined || (Array.isArray(frozen) && frozen.every((path) => typeof path === 'string' && path !== ''));
  if (!isPaths)
    throw new TensorkilnError('E_CONFIG', `[${place}] wrong frozen: expected a list of paths of layers, got ${show(frozen)}.`);
  const layer = factory({
    ...config,
    ...(name === undefined ? {} : { name }),
    ...(trainable === undefined ? {} : { trainable }),
  });
  if (frozen !== undefined) layer.freezeParts(frozen as readonly string[]);
  return layer;
}
