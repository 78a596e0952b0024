import type * as tf from '@tensorflow/tfjs-core';
import { checkInteger, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import type { ModelDescription } from './description.js';
import { fixedList } from './fixed-list.js';
import {
  checkLayerOptions,
  Layer,
  UnaryLayer,
  type BuildOptions,
  type CallOptions,
  type LayerDType,
  type LayerOptions,
} from './layer.js';
import { modelJSON, type ModelJSON } from './model-json.js';
import { layerFromJSON, registerLayer } from './registry.js';
import type { Shape } from './shape.js';
import { renderSummary } from './summary.js';

export interface SequentialOptions extends LayerOptions {
  /** The chain, first layer first; at least one. A layer belongs to one model only. */
  readonly layers: readonly UnaryLayer[];
  /** Seed of initial values and dropout masks, an integer in [0, 2^53). Default 0. */
  readonly seed?: number;
}

/**
 * A chain of layers; itself a layer, so chains nest.
 *
 * Layers without a name are named after their type: `dense`, `dense_1`, ... Parameters are named `layer/parameter`.
 *
 * @example
 * const model = new Sequential({
 *   seed: 7,
 *   layers: [new Dense({ units: 16, activation: 'relu' }), new Dense({ units: 3 })],
 * });
 * model.build([4]);
 * const logits = model.call(tf.zeros([2, 4]));   // [2, 3]
 *
 * @throws E_CONFIG for wrong options or two layers of one name; E_USAGE for a layer that is already part of a model
 */
export class Sequential extends UnaryLayer {
  readonly type = 'sequential';
  readonly #layers: readonly UnaryLayer[];
  readonly #seed: number;

  constructor(options: SequentialOptions) {
    checkLayerOptions('sequential', options, ['layers', 'seed']);
    super(options);
    const { layers } = options;
    if (!Array.isArray(layers) || layers.length === 0) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[sequential] wrong layers: expected a non-empty list of layers, got ${show(layers)}.`,
      );
    }
    const wrong = layers.findIndex((layer) => !(layer instanceof UnaryLayer));
    if (wrong >= 0) {
      const layer: unknown = layers[wrong];
      throw new TensorkilnError(
        'E_CONFIG',
        `[sequential] wrong layers[${wrong}]: expected a layer with one input and one output, got ${layer instanceof Layer ? `a ${layer.type}; a Graph takes it` : show(layer)}.`,
      );
    }
    this.#seed = checkInteger('sequential', 'seed', options.seed ?? 0, { min: 0 });
    this.#layers = fixedList([...options.layers], () => `the layers of ${this.place}`);
    const names = this.#nameLayers();
    this.#layers.forEach((layer, index) => this.addSublayer(layer, names[index] as string));
  }

  get layers(): readonly UnaryLayer[] {
    return this.#layers;
  }

  override get inputDType(): LayerDType {
    return (this.#layers[0] as UnaryLayer).inputDType;
  }

  override isFlexible(axis: number, rank: number): boolean {
    return (this.#layers[0] as UnaryLayer).isFlexible(axis, rank);
  }

  override build(inputShape: Shape, options: BuildOptions = {}): void {
    super.build(inputShape, { seed: this.#seed, ...options });
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.nameSublayers();
    return this.#layers.reduce((shape, layer) => layer.computeOutputShape(shape), inputShape);
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    let shape = inputShape;
    for (const layer of this.#layers) {
      this.buildSublayer(layer, [shape]);
      shape = layer.outputShape;
    }
  }

  protected override transform(x: tf.Tensor, options: CallOptions): tf.Tensor {
    return this.#layers.reduce((value, layer) => layer.call(value, options), x);
  }

  /** A model at the top leaves its own name out of the paths, so that weights do not depend on it. */
  protected override get defaultPath(): string {
    return '';
  }

  protected override get listsSublayers(): boolean {
    return true;
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { seed: this.#seed, layers: this.#layers.map((layer) => layer.layerJSON()) };
  }

  /**
   * The built model as plain data, weights included, nested chains laid out flat. Waits for the engine.
   *
   * @throws E_USAGE before `build`
   */
  describe(): ModelDescription {
    const layers = this.#layers.flatMap((layer) =>
      layer instanceof Sequential ? layer.describe().layers : [layer.describeLayer()],
    );
    return { inputShape: this.inputShape, outputShape: this.outputShape, layers };
  }

  /** A table of layers with output shapes and parameter counts. @throws E_USAGE before `build` */
  summary(): string {
    return renderSummary(this);
  }

  /** The whole model as JSON: read back by `modelFromJSON`. Weights are not part of it. */
  override toJSON(): ModelJSON {
    return modelJSON(this);
  }

  #nameLayers(): string[] {
    const given = this.#layers.filter((layer) => layer.isNamed).map((layer) => layer.name);
    const repeated = given.find((name, index) => given.indexOf(name) !== index);
    if (repeated !== undefined)
      throw new TensorkilnError('E_CONFIG', `[sequential] two layers are named '${repeated}': names must differ.`);
    const taken = new Set(given);
    return this.#layers.map((layer) => {
      if (layer.isNamed) return layer.name;
      let name = layer.type;
      for (let suffix = 1; taken.has(name); ++suffix) name = `${layer.type}_${suffix}`;
      taken.add(name);
      return name;
    });
  }
}

function sequentialFromConfig(config: Readonly<Record<string, unknown>>): Sequential {
  const { layers } = config;
  if (!Array.isArray(layers)) {
    throw new TensorkilnError('E_CONFIG', `[sequential] wrong layers: expected a list of layers, got ${show(layers)}.`);
  }
  const made = layers.map((json, index) => {
    const layer = layerFromJSON(json, `layers[${index}]`);
    if (layer instanceof UnaryLayer) return layer;
    throw new TensorkilnError(
      'E_CONFIG',
      `[layers[${index}]] a chain takes layers with one input and one output, got '${layer.type}'.`,
    );
  });
  return new Sequential({ ...config, layers: made });
}

registerLayer('sequential', sequentialFromConfig);
