/** What a trainer trains: our layers, a tfjs LayersModel or functions of the user's own, behind one face. */
import * as tf from '@tensorflow/tfjs-core';
import type { RandomState } from '../backend/custom/random.js';
import { TensorkilnError } from '../errors.js';
import type { Optimizer } from '../optim/optimizer.js';
import { checkHome } from '../nn/home.js';
import { Layer, UnaryLayer, type LayerDType, type Parameter } from '../nn/layer.js';
import type { Shape } from '../nn/shape.js';

/** What the trainer uses of a `tf.LayersModel`; the package tfjs-layers itself is not needed. */
export interface TfjsModel {
  readonly name: string;
  readonly inputs: readonly { readonly shape: readonly (number | null)[] }[];
  readonly outputs: readonly { readonly shape: readonly (number | null)[] }[];
  readonly weights: readonly { readonly name: string; readonly shape: readonly (number | null)[] }[];
  readonly trainableWeights: readonly { readonly name: string }[];
  apply(inputs: unknown, options?: { training?: boolean }): unknown;
  calculateLosses(): tf.Scalar[];
  toJSON(unused?: unknown, returnString?: boolean): unknown;
}

/** One model, whatever made it. */
export interface Trainable {
  readonly isBuilt: boolean;
  /** Shapes of one row. @throws E_USAGE before `build` */
  readonly inputShapes: readonly Shape[];
  readonly outputShapes: readonly Shape[];
  /** What the inputs must be; undefined where they are taken as they come. */
  readonly inputDTypes: readonly LayerDType[] | undefined;
  /** Shapes of the outputs before or after `build`. @throws E_SHAPE when the inputs do not fit */
  outputShapesFor(inputShapes: readonly Shape[]): readonly Shape[];
  build(inputShapes: readonly Shape[]): void;
  call(inputs: readonly tf.Tensor[], training: boolean): readonly tf.Tensor[];
  /** Whether a row's result in training depends on the other rows of its batch. */
  readonly usesBatchStatistics: boolean;
  /** What is added to the loss besides the rows' own: weight penalties. */
  penalties(): readonly tf.Scalar[];
  /** Brings weights back to their constraints, in place; after each step that `active`, one bool, says was made. */
  applyConstraints(active: tf.Tensor): void;
  parameters(): readonly Parameter[];
  randomStates(): Readonly<Record<string, RandomState>>;
  /** The architecture as plain data. */
  describe(): unknown;
}

/** Checks that parameters live on the current backend. @throws E_DEVICE, E_DISPOSED */
export function checkParameters(place: string, model: Trainable): void {
  for (const { name, variable } of model.parameters()) checkHome(place, `parameter '${name}'`, variable);
}

/** Trainable variables by name, as optimizers take them. */
export function trainableVariables(model: Trainable): Readonly<Record<string, tf.Variable>> {
  return Object.fromEntries(
    model.parameters().flatMap(({ name, variable, trainable }) => (trainable ? [[name, variable]] : [])),
  );
}

/**
 * Binds an optimizer to what is trained of a model. Where it belongs to other parameters of the same model, because layers have
 * been frozen or thawed since, it keeps what it knows of those that stay.
 *
 * @returns whether the parameters are others than before, so that what was recorded with them must be recorded again
 * @throws as `bind`
 */
export async function bindOptimizer(optimizer: Optimizer, model: Trainable): Promise<boolean> {
  const parameters = model.parameters();
  const frozen = parameters.flatMap(({ name, trainable }) => (trainable ? [] : [name]));
  const variables = trainableVariables(model);
  const own = new Set(parameters.map(({ variable }) => variable));
  const isSameModel = optimizer.isBound && optimizer.parameters.every((variable) => own.has(variable));
  if (!isSameModel || optimizer.isBoundTo(variables)) {
    optimizer.bind(variables, { frozen });
    return false;
  }
  await optimizer.rebind(variables, { frozen });
  return true;
}

export function toTrainable(model: Layer | TfjsModel): Trainable {
  return model instanceof Layer ? new LayerTrainable(model) : new TfjsTrainable(model);
}

class LayerTrainable implements Trainable {
  readonly #layer: Layer;

  constructor(layer: Layer) {
    this.#layer = layer;
  }

  get isBuilt(): boolean {
    return this.#layer.isBuilt;
  }

  get inputShapes(): readonly Shape[] {
    return this.#layer.inputShapes;
  }

  get outputShapes(): readonly Shape[] {
    return this.#layer.outputShapes;
  }

  get inputDTypes(): readonly LayerDType[] {
    return this.#layer.inputShapes.map((_, index) => this.#layer.inputDTypeAt(index));
  }

  outputShapesFor(inputShapes: readonly Shape[]): readonly Shape[] {
    return this.#layer.isBuilt ? this.#layer.outputShapes : this.#layer.inferOutputShapes(inputShapes);
  }

  build(inputShapes: readonly Shape[]): void {
    // A model's own `build` brings in its seed.
    if (this.#layer instanceof UnaryLayer && inputShapes[0] !== undefined) this.#layer.build(inputShapes[0]);
    else this.#layer.buildAll(inputShapes);
  }

  call(inputs: readonly tf.Tensor[], training: boolean): readonly tf.Tensor[] {
    return this.#layer.apply(inputs, { training });
  }

  get usesBatchStatistics(): boolean {
    return this.#layer.usesBatchStatistics;
  }

  penalties(): readonly tf.Scalar[] {
    return this.#layer.penalties();
  }

  applyConstraints(active: tf.Tensor): void {
    this.#layer.applyConstraints(active);
  }

  parameters(): readonly Parameter[] {
    return this.#layer.parameters();
  }

  randomStates(): Readonly<Record<string, RandomState>> {
    return this.#layer.randomStates();
  }

  describe(): unknown {
    return this.#layer.toJSON();
  }
}

class TfjsTrainable implements Trainable {
  readonly #model: TfjsModel;
  readonly isBuilt = true;
  // A LayersModel's inputs say their dtype, but an embedding of it takes floats as well.
  readonly inputDTypes = undefined;

  constructor(model: TfjsModel) {
    this.#model = model;
  }

  get inputShapes(): readonly Shape[] {
    return this.#model.inputs.map(({ shape }) => rowShape(shape));
  }

  get outputShapes(): readonly Shape[] {
    return this.#model.outputs.map(({ shape }) => rowShape(shape));
  }

  outputShapesFor(): readonly Shape[] {
    return this.outputShapes;
  }

  build(): void {
    // A LayersModel is built when it is made.
  }

  call(inputs: readonly tf.Tensor[], training: boolean): readonly tf.Tensor[] {
    const outputs = this.#model.apply(inputs.length === 1 ? inputs[0] : inputs, { training });
    return (Array.isArray(outputs) ? outputs : [outputs]) as tf.Tensor[];
  }

  applyConstraints(): void {
    // A LayersModel's constraints belong to its own fit.
  }

  get usesBatchStatistics(): boolean {
    return JSON.stringify(this.#model.toJSON(null, false)).includes('"BatchNormalization"');
  }

  penalties(): readonly tf.Scalar[] {
    return this.#model.calculateLosses();
  }

  parameters(): readonly Parameter[] {
    const trainable = new Set<unknown>(this.#model.trainableWeights);
    return this.#model.weights.map((weight) => {
      const variable = (weight as { readonly val?: unknown }).val;
      if (!(variable instanceof tf.Variable)) {
        throw new TensorkilnError(
          'E_USAGE',
          `[trainer] weight '${weight.name}' of the LayersModel is no variable of the tfjs-core that Tensorkiln uses: expected one copy of tfjs-core.`,
        );
      }
      return { name: weight.name, variable, trainable: trainable.has(weight) };
    });
  }

  randomStates(): Readonly<Record<string, RandomState>> {
    return {};
  }

  describe(): unknown {
    return this.#model.toJSON(null, false);
  }
}

/** Without the batch dimension. @throws E_SHAPE when a dimension is open */
function rowShape(shape: readonly (number | null)[]): Shape {
  return shape.slice(1).map((dim) => {
    if (dim === null)
      throw new TensorkilnError(
        'E_SHAPE',
        `[trainer] the LayersModel has an open dimension in [${shape.join(', ')}]: expected only the first to be open.`,
      );
    return dim;
  });
}
