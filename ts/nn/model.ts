/** What is common to the two kinds of models. */
import { TensorkilnError } from '../errors.js';
import { Graph } from './graph.js';
import { checkModelJSON } from './model-json.js';
import { layerFromJSON } from './registry.js';
import { Sequential } from './sequential.js';
import type { Shape } from './shape.js';

/** A chain or a graph of layers. */
export type Model = Sequential | Graph;

/**
 * A model from the JSON form its `toJSON` gives. A graph is built at once, a chain when the form carries an input shape.
 * Weights have initial values.
 *
 * @param json  parsed JSON, for example of a run's `model-architecture.json`
 * @throws E_CONFIG when the form, a layer type or an option is wrong; E_SHAPE when the input shape does not fit
 */
export function modelFromJSON(json: unknown): Model {
  const form = checkModelJSON(json);
  const model = layerFromJSON(json, 'model');
  if (model instanceof Graph) model.build();
  else if (!(model instanceof Sequential)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[modelFromJSON] wrong model: expected type 'sequential' or 'graph', got '${model.type}'.`,
    );
  } else if (form.inputShape !== undefined) model.build(form.inputShape as Shape);
  return model;
}
