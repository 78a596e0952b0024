/** Whole models as JSON files. */
import { show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import type { LayerJSON, UnaryLayer } from './layer.js';

/** A whole model as JSON, without weights; schemas/model-architecture.schema.json describes it. */
export interface ModelJSON extends LayerJSON {
  readonly format: 'tensorkiln-model';
  readonly version: 1;
  /** Present when a sequential model was built; a graph declares its inputs itself. */
  readonly inputShape?: readonly number[];
}

/** The JSON form of a model at the top. */
export function modelJSON(model: UnaryLayer): ModelJSON {
  const shape = model.type === 'sequential' && model.isBuilt ? { inputShape: model.inputShape } : {};
  return { format: 'tensorkiln-model', version: 1, ...model.layerJSON(), ...shape };
}

/** Checks that parsed JSON is a model of a version we read. @throws E_CONFIG */
export function checkModelJSON(json: unknown): Partial<Record<keyof ModelJSON, unknown>> {
  const form = (typeof json === 'object' && json !== null ? json : {}) as Partial<Record<keyof ModelJSON, unknown>>;
  if (form.format === 'tensorkiln-model' && form.version === 1) return form;
  throw new TensorkilnError(
    'E_CONFIG',
    `[modelFromJSON] not a model: expected format 'tensorkiln-model' version 1, got ${show(form.format)} version ${show(form.version)}.`,
  );
}
