/** The base of every layer: building, checked calls, named parameters, configuration, disposal. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys, show } from '../arguments.js';
import { replaceVariable } from '../backend/custom/move-towards.js';
import { RandomState } from '../backend/custom/random.js';
import { TensorkilnError } from '../errors.js';
import { LAYER_SCOPE } from '../backend/custom/watch.js';
import { fixedList } from './fixed-list.js';
import type { LayerDescription, WeightDescription } from './description.js';
import { checkBackend, checkHome } from './home.js';
import type { KeyValueCache } from './key-value-cache.js';
import { initialValues, type InitializerName } from './initializers.js';
import { listNames, loadFitting, readWeights, replaceWeights, type LoadReport } from './layer-weights.js';
import { constrained, penaltyOf, type ParameterOptions } from './parameter-options.js';
import { checkShape, formatBatchShape, formatShape, isSameShape, type Shape } from './shape.js';

/** Options every layer takes. */
export interface LayerOptions {
  /** Part of the parameters' paths; without one the container names the layer after its type. No slash. */
  readonly name?: string;
  /** Whether training changes the layer's parameters, those of layers inside it included. Default true. */
  readonly trainable?: boolean;
}

export interface BuildOptions {
  /** Path of the layer; parameters are named `path/parameter`. Default: the layer's name, nothing for a model. */
  readonly path?: string;
  /** Seed of initial values and dropout masks, an integer in [0, 2^53). Default 0. */
  readonly seed?: number;
}

export interface CallOptions {
  /** Whether the call is part of training: dropout drops only then. Default false. */
  readonly training?: boolean;
  /** Keys and values of earlier calls: the inputs continue the sequence the cache holds. Not while training. */
  readonly cache?: KeyValueCache;
}

/** A tensor a layer owns. `name` is unique in the model: the layer's path and the parameter's own name. */
export interface Parameter {
  readonly name: string;
  readonly variable: tf.Variable;
  /** Whether gradients change it; others are state that is only saved and restored. */
  readonly trainable: boolean;
}

/** dtypes inputs of layers may have. */
export type LayerDType = 'float32' | 'int32' | 'bool';

/** A layer as JSON: registered type, name and constructor options. */
export interface LayerJSON {
  readonly type: string;
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Present when the layer is frozen. */
  readonly trainable?: false;
  /** Paths of frozen layers inside the layer, for those whose configuration does not list what is inside. */
  readonly frozen?: readonly string[];
}

/** A parameter with what it was made with. */
interface OwnParameter extends Parameter {
  readonly options: ParameterOptions;
}

/** Names taken by living variables may not repeat in tfjs-core, but two models may have equal paths. */
function freeVariableName(path: string): string {
  const taken = tf.engine().registeredVariables;
  if (!(path in taken)) return path;
  let suffix = 1;
  while (`${path}_${suffix}` in taken) ++suffix;
  return `${path}_${suffix}`;
}

/**
 * A layer: constructor options are stored and validated, `build` creates parameters for given input shapes, `apply` computes.
 *
 * Shapes are those of one row, without the batch dimension. A layer may have any number of inputs and outputs; those with
 * one of each derive from UnaryLayer. Layers inside a layer are declared by `addSublayer` and built, listed, saved and
 * disposed with it.
 *
 * State saved in checkpoints: every parameter (trainable or not) and every random state.
 */
export abstract class Layer {
  /** Registered name, as in descriptions and JSON files. */
  abstract readonly type: string;

  #name: string | undefined;
  readonly #own = new Map<string, OwnParameter>();
  readonly #randomStates = new Map<string, RandomState>();
  readonly #sublayers: Layer[] = [];
  readonly #sublayerView = fixedList(this.#sublayers, () => `the layers inside ${this.place}`);
  #path: string | undefined;
  #seed = 0;
  #inputShapes: readonly Shape[] | undefined;
  #outputShapes: readonly Shape[] | undefined;
  #parent: Layer | undefined;
  #trainable: boolean;
  /** Paths of layers inside that are to be frozen as soon as they are made. */
  readonly #toFreeze = new Set<string>();
  #isDisposed = false;

  constructor(options: LayerOptions = {}) {
    const { name } = options;
    if (name !== undefined && (typeof name !== 'string' || name.length === 0 || name.includes('/'))) {
      throw new TensorkilnError('E_CONFIG', `[layer] wrong name: expected a non-empty text without '/', got ${show(name)}.`);
    }
    this.#name = name;
    this.#trainable = checkBoolean('layer', 'trainable', options.trainable ?? true);
  }

  /** Shapes of the outputs for checked shapes of the inputs; throws E_SHAPE (see `shapeError`) when they do not fit. */
  protected abstract computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[];

  /** Creates parameters and builds sublayers; `inputShapes` have passed computeOutputShapes. */
  protected abstract createParameters(inputShapes: readonly Shape[]): void;

  /** Computes the outputs [N, ...] from checked inputs [N, ...]. */
  protected abstract forward(inputs: readonly tf.Tensor[], options: CallOptions): readonly tf.Tensor[];

  /** Constructor options in camelCase, without the name: `new X({ name, ...getConfig() })` is the same layer, unbuilt. */
  abstract getConfig(): Readonly<Record<string, unknown>>;

  /** Name given to the constructor, or by the container, or the type. */
  get name(): string {
    return this.#name ?? this.type;
  }

  /** Whether the constructor or a container has named the layer. */
  get isNamed(): boolean {
    return this.#name !== undefined;
  }

  /** Path in the model: names from the top model, which itself is left out, joined by '/'. */
  get path(): string {
    return this.#path ?? this.name;
  }

  /** Whether `dispose` has been called: the layer cannot be used any more. */
  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  get isBuilt(): boolean {
    return this.#inputShapes !== undefined;
  }

  /** Shapes of the inputs. @throws E_USAGE before `build` */
  get inputShapes(): readonly Shape[] {
    return this.#inputShapes ?? this.#failUnbuilt();
  }

  /** Shapes of the outputs. @throws E_USAGE before `build` */
  get outputShapes(): readonly Shape[] {
    return this.#outputShapes ?? this.#failUnbuilt();
  }

  /** dtype the layer's inputs must have. */
  get inputDType(): LayerDType {
    return 'float32';
  }

  /** dtype of one of several inputs; `inputDType` unless the layer says otherwise. */
  inputDTypeAt(_index: number): LayerDType {
    return this.inputDType;
  }

  /**
   * Whether inputs may have another size along an axis than the one the layer was built for, because no parameter depends on
   * it: sequences of another length. Default: never.
   *
   * @param _axis  axis of the input's shape, without the batch dimension
   * @param _rank  length of that shape
   */
  isFlexible(_axis: number, _rank: number): boolean {
    return false;
  }

  /** Shapes of the outputs for shapes of the inputs, without building. @throws E_SHAPE when they do not fit */
  inferOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    return this.computeOutputShapes(inputShapes.map((shape) => checkShape(this.place, shape)));
  }

  /**
   * Whether training changes the parameters of this layer; setting it freezes or thaws them, and all layers inside it, as in
   * Keras. A layer inside a frozen one is not trained whatever its own value is.
   */
  get trainable(): boolean {
    return this.#trainable;
  }

  set trainable(value: boolean) {
    this.#trainable = checkBoolean(this.place, 'trainable', value);
    this.#toFreeze.clear();
    for (const layer of this.#sublayers) layer.trainable = value;
  }

  /**
   * Freezes layers inside this one by their paths from here: `attention/query` of a transformer's block. Those that are only made when the
   * layer is built are frozen then.
   *
   * @throws E_CONFIG, at the latest at build, when there is no such layer
   */
  freezeParts(paths: readonly string[]): void {
    for (const path of paths) {
      const [name, ...rest] = path.split('/');
      const part = this.#sublayers.find((layer) => layer.name === name);
      if (part === undefined) {
        if (this.isBuilt) throw this.#unknownPart(path);
        this.#toFreeze.add(path);
      } else if (rest.length > 0) part.freezeParts([rest.join('/')]);
      else part.trainable = false;
    }
  }

  #unknownPart(path: string): TensorkilnError {
    return new TensorkilnError(
      'E_CONFIG',
      `[${this.place}] no layer '${path}' inside it to be frozen: expected one of ${listNames(this.#sublayers.map((layer) => layer.name))}.`,
    );
  }

  /** Paths of frozen layers inside a layer that is not frozen itself. */
  #frozenParts(): readonly string[] {
    const inside = this.#sublayers.flatMap((layer) =>
      layer.trainable ? layer.#frozenParts().map((path) => `${layer.name}/${path}`) : [layer.name],
    );
    return [...inside, ...this.#toFreeze];
  }

  /** Whether the configuration lists the layers inside, each with what it needs to be frozen again. */
  protected get listsSublayers(): boolean {
    return false;
  }

  /**
   * Fixes the input shapes and creates the parameters. Building again with the same shapes changes nothing.
   *
   * @param inputShapes  one shape per input, without the batch dimension
   * @throws E_SHAPE when the shapes do not fit the layer or differ from those it was built for
   */
  buildAll(inputShapes: readonly Shape[], options: BuildOptions = {}): void {
    this.#checkAlive();
    const shapes = inputShapes.map((shape) => checkShape(this.place, shape));
    if (this.#inputShapes !== undefined) {
      if (
        shapes.length === this.#inputShapes.length &&
        shapes.every((shape, i) => isSameShape(shape, (this.#inputShapes as Shape[])[i] as Shape))
      )
        return;
      throw this.shapeError(
        'it is already built',
        this.#inputShapes.map(formatBatchShape).join(', '),
        shapes.map(formatBatchShape).join(', '),
      );
    }
    const seed = checkInteger(this.place, 'seed', options.seed ?? 0, { min: 0 });
    this.#path ??= options.path ?? this.defaultPath;
    this.#seed = seed;
    const outputShapes = this.computeOutputShapes(shapes).map((shape) => [...shape]);
    try {
      this.createParameters(shapes);
      const [unknown] = this.#toFreeze;
      if (unknown !== undefined) throw this.#unknownPart(unknown);
    } catch (error) {
      this.#releaseParameters();
      throw error;
    }
    this.#inputShapes = shapes.map((shape) => [...shape]);
    this.#outputShapes = outputShapes;
  }

  /**
   * Computes the outputs.
   *
   * @param inputs   one tensor [N, ...inputShape] per input, of dtype `inputDType`
   * @param options  `training`: default false
   * @returns        one tensor [N, ...outputShape] per output
   * @throws E_USAGE before `build`; E_SHAPE or E_DTYPE when an input does not fit; E_DEVICE when it lives on another backend
   *         than the current one, or that is none of ours; E_DISPOSED when it or the layer has been disposed
   */
  apply(inputs: readonly tf.Tensor[], options: CallOptions = {}): readonly tf.Tensor[] {
    this.#checkAlive();
    const shapes = this.inputShapes;
    if (inputs.length !== shapes.length) {
      // Callers without types may give the one tensor itself.
      const got = Array.isArray(inputs) ? String(inputs.length) : 'no list';
      throw this.shapeError('wrong number of inputs', `a list of ${shapes.length}`, got);
    }
    inputs.forEach((input, index) => {
      checkHome(this.place, 'the input', input);
      const shape = shapes[index] as Shape;
      const row = input.shape.slice(1);
      if (
        input.rank !== shape.length + 1 ||
        !row.every((dim, axis) => dim === shape[axis] || (dim > 0 && this.isFlexible(axis, shape.length)))
      ) {
        throw this.shapeError('wrong input shape', formatBatchShape(shape), formatShape(input.shape));
      }
      if (input.shape[0] === 0) throw this.shapeError('the batch is empty', 'at least one row', formatShape(input.shape));
      const dtype = this.inputDTypeAt(index);
      if (input.dtype !== dtype) {
        throw new TensorkilnError('E_DTYPE', `[${this.place}] wrong input dtype: expected ${dtype}, got ${input.dtype}.`);
      }
    });
    checkBackend(this.place);
    const rows = inputs.map((input) => input.shape.slice(1));
    if (!rows.every((row, index) => isSameShape(row, shapes[index] as Shape))) this.checkFlexed(rows);
    // The scope carries the layer's name for whoever watches the ops.
    return tf.tidy(`${LAYER_SCOPE}${this.place}`, () => this.forward(inputs, options) as tf.Tensor[]);
  }

  /** Checks inputs of other sizes along flexible axes against each other. @throws E_SHAPE */
  protected checkFlexed(inputShapes: readonly Shape[]): void {
    this.computeOutputShapes(inputShapes);
  }

  /** Own parameters, then those of the sublayers in order. */
  parameters(): readonly Parameter[] {
    const all = [...this.#own.values(), ...this.#sublayers.flatMap((layer) => layer.parameters())];
    return this.#trainable ? all : all.map((parameter) => ({ ...parameter, trainable: false }));
  }

  /** Penalties of the trainable parameters that have a regularizer, differentiable scalars to be added to the loss. */
  penalties(): readonly tf.Scalar[] {
    if (!this.#trainable) return [];
    const own = [...this.#own.values()].flatMap(({ options: { regularizer }, variable, trainable }) =>
      trainable && regularizer !== undefined ? [penaltyOf(regularizer, variable)] : [],
    );
    return [...own, ...this.#sublayers.flatMap((layer) => layer.penalties())];
  }

  /**
   * Brings the trainable parameters that have a constraint back to it, in place; to be called after each optimizer step.
   *
   * @param active  one bool on the device: false leaves them as they are, for a step that was left out. Default: it was done
   */
  applyConstraints(active?: tf.Tensor): void {
    if (!this.#trainable) return;
    for (const { options, variable, trainable } of this.#own.values()) {
      const { constraint } = options;
      if (!trainable || constraint === undefined) continue;
      tf.tidy(() => {
        const allowed = constrained(constraint, variable);
        replaceVariable(variable, active === undefined ? allowed : tf.where(tf.reshape(active, []), allowed, variable));
      });
    }
    for (const layer of this.#sublayers) layer.applyConstraints(active);
  }

  /** Whether a row's result in training depends on the other rows of its batch, so that a batch cannot be cut into parts. */
  get usesBatchStatistics(): boolean {
    return this.#sublayers.some((layer) => layer.usesBatchStatistics);
  }

  /**
   * Floating-point operations of matrix products and convolutions for one row, two per multiply-add; elementwise work, which
   * is small beside them, is not counted. @throws E_USAGE before `build`
   */
  countFlops(): number {
    this.#checkBuilt();
    return this.ownFlops() + this.#sublayers.reduce((sum, layer) => sum + layer.countFlops(), 0);
  }

  /** The part of countFlops that sublayers do not count. */
  protected ownFlops(): number {
    return 0;
  }

  /** Trainable variables by name, as optimizers take them. */
  trainableVariables(): Readonly<Record<string, tf.Variable>> {
    return Object.fromEntries(
      this.parameters().flatMap(({ name, variable, trainable }) => (trainable ? [[name, variable]] : [])),
    );
  }

  /** Random states by name: `path/name`. */
  randomStates(): Readonly<Record<string, RandomState>> {
    const own = [...this.#randomStates].map(([name, state]): [string, RandomState] => [`${this.path}/${name}`, state]);
    return Object.fromEntries([...own, ...this.#sublayers.flatMap((layer) => Object.entries(layer.randomStates()))]);
  }

  /** Layers directly inside this one. */
  get sublayers(): readonly Layer[] {
    return this.#sublayerView;
  }

  /** Number of elements of all parameters, and of the trainable ones. */
  countParameters(): { total: number; trainable: number } {
    const count = (list: readonly Parameter[]): number => list.reduce((sum, { variable }) => sum + variable.size, 0);
    const all = this.parameters();
    return { total: count(all), trainable: count(all.filter(({ trainable }) => trainable)) };
  }

  /** Copies of all parameters by name. Waits for the engine without blocking the event loop. */
  async getWeights(): Promise<Record<string, WeightDescription>> {
    this.#checkBuilt();
    return readWeights(this.parameters());
  }

  /**
   * Replaces parameters by name; every variable stays the same object and recorded steps stay valid.
   *
   * @param weights  float32 data and shape for every parameter of the layer, no more and no fewer
   * @throws E_DATA naming parameters that are missing or unknown; E_SHAPE where a shape differs. Nothing is changed then.
   */
  setWeights(weights: Readonly<Record<string, WeightDescription>>): void {
    this.#checkBuilt();
    replaceWeights(this.place, this.parameters(), weights);
  }

  /**
   * Replaces the parameters that are found by name and shape, and tells which were not: for weights of another model, such as
   * a trained one under a new head.
   *
   * @param weights  float32 data and shape by parameter name
   * @param options  `strict`: throw when anything is missing, extra or of another shape; default false
   * @throws E_DATA with `strict`, listing all differences, or when nothing fits. Nothing is changed then.
   */
  loadWeights(weights: Readonly<Record<string, WeightDescription>>, options: { readonly strict?: boolean } = {}): LoadReport {
    this.#checkBuilt();
    return loadFitting(this.place, this.parameters(), weights, options.strict === true);
  }

  /** What `layerFromJSON` reads back; for models see their own `toJSON`. */
  toJSON(): LayerJSON {
    return this.layerJSON();
  }

  /** The layer as a part of another's JSON form. */
  layerJSON(): LayerJSON {
    const json = { type: this.type, name: this.name, config: this.getConfig() };
    if (!this.#trainable) return { ...json, trainable: false };
    const frozen = this.listsSublayers ? [] : this.#frozenParts();
    return frozen.length === 0 ? json : { ...json, frozen };
  }

  /**
   * The layer as plain data with copies of its weights; its name is the path, which no other layer of the model has.
   * Waits for the engine.
   *
   * @throws E_USAGE unless built with one input and one output
   */
  describeLayer(): LayerDescription {
    const [inputShape, ...otherInputs] = this.inputShapes;
    const [outputShape, ...otherOutputs] = this.outputShapes;
    if (inputShape === undefined || outputShape === undefined || otherInputs.length + otherOutputs.length > 0) {
      throw new TensorkilnError(
        'E_USAGE',
        `[${this.place}] cannot be described: expected one input and one output, got ${this.inputShapes.length} and ${this.outputShapes.length}.`,
      );
    }
    const prefix = `${this.path}/`;
    const weights = this.parameters().map(({ name, variable }): [string, WeightDescription] => [
      name.slice(prefix.length),
      { shape: [...variable.shape], data: variable.dataSync<'float32'>() },
    ]);
    return {
      type: this.type,
      name: this.path,
      config: this.getConfig(),
      inputShape,
      outputShape,
      weights: Object.fromEntries(weights),
    };
  }

  /** Frees parameters and random states, sublayers included. The layer cannot be used afterwards; repeated calls do nothing. */
  dispose(): void {
    this.#releaseParameters();
    this.#isDisposed = true;
    for (const layer of this.#sublayers) layer.dispose();
  }

  /** How errors name the layer: type and path, or name at the top. */
  protected get place(): string {
    // The path of a model at the top leaves its name out.
    const shown = this.path === '' ? this.name : this.path;
    return shown === this.type ? this.type : `${this.type} '${shown}'`;
  }

  protected shapeError(what: string, expected: string, got: string): TensorkilnError {
    return new TensorkilnError('E_SHAPE', `[${this.place}] ${what}: expected ${expected}, got ${got}.`);
  }

  /** Creates a float32 variable named `path/name`; `adjust` changes its initial values. To be called from createParameters. */
  protected addParameter(
    name: string,
    shape: Shape,
    how: InitializerName | ParameterOptions,
    options: { readonly trainable?: boolean; readonly adjust?: (values: Float32Array) => void } = {},
  ): tf.Variable {
    const path = `${this.path}/${name}`;
    const trainable = options.trainable ?? true;
    const made = typeof how === 'string' ? { initializer: how } : how;
    const variable = tf.tidy(() => {
      const values = initialValues(made.initializer, shape, { seed: this.#seed, stream: path });
      options.adjust?.(values);
      return tf.variable(tf.tensor(values, [...shape], 'float32'), trainable, freeVariableName(path));
    });
    this.#own.set(name, { name: path, variable, trainable, options: made });
    return variable;
  }

  /** Creates a random state of its own for this layer, seeded by the model's seed and the layer's path. To be called from createParameters. */
  protected addRandomState(name: string): RandomState {
    const state = new RandomState(this.#seed, { stream: `${this.path}/${name}` });
    this.#randomStates.set(name, state);
    return state;
  }

  /**
   * Declares a layer inside this one, under a name; to be called from the constructor. Inside a frozen layer it is frozen too.
   *
   * @throws E_USAGE when the layer already belongs to a container
   */
  protected addSublayer(layer: Layer, name: string): void {
    if (layer.#parent !== undefined)
      throw new TensorkilnError('E_USAGE', `[${this.place}] layer '${name}' is already part of a model: make a new layer.`);
    layer.#parent = this;
    layer.#name = name;
    if (!this.#trainable) layer.trainable = false;
    this.#sublayers.push(layer);
    const waiting = [...this.#toFreeze].filter((path) => path === name || path.startsWith(`${name}/`));
    for (const path of waiting) this.#toFreeze.delete(path);
    this.freezeParts(waiting);
  }

  /** A layer of the same container, by name, for tied weights. @throws E_CONFIG when there is none */
  protected sibling(name: string): Layer {
    const others = this.#parent?.sublayers ?? [];
    const found = others.find((layer) => layer.name === name && layer !== this);
    if (found !== undefined) return found;
    throw new TensorkilnError(
      'E_CONFIG',
      `[${this.place}] no layer '${name}' beside it: expected one of ${listNames(others.map((layer) => layer.name))}.`,
    );
  }

  /** Gives the sublayers their paths, so that errors name them in full; to be called before they compute shapes. */
  protected nameSublayers(): void {
    for (const layer of this.#sublayers) layer.#path = this.path === '' ? layer.name : `${this.path}/${layer.name}`;
  }

  /** Builds a declared sublayer with this layer's seed. To be called from createParameters, after nameSublayers. */
  protected buildSublayer(layer: Layer, inputShapes: readonly Shape[]): void {
    layer.buildAll(inputShapes, { seed: this.#seed });
  }

  /** Path of the layer when `build` names none. */
  protected get defaultPath(): string {
    return this.name;
  }

  #releaseParameters(): void {
    for (const layer of this.#sublayers) layer.#releaseParameters();
    for (const { variable } of this.#own.values()) variable.dispose();
    for (const state of this.#randomStates.values()) state.dispose();
    this.#own.clear();
    this.#randomStates.clear();
    this.#inputShapes = undefined;
    this.#outputShapes = undefined;
  }

  #checkAlive(): void {
    if (this.#isDisposed) throw new TensorkilnError('E_DISPOSED', `[${this.place}] has been disposed.`);
  }

  #checkBuilt(): void {
    if (this.#inputShapes === undefined) this.#failUnbuilt();
  }

  #failUnbuilt(): never {
    this.#checkAlive();
    throw new TensorkilnError('E_USAGE', `[${this.place}] is not built: call build(inputShape) first.`);
  }
}

/** A layer with one input and one output. */
export abstract class UnaryLayer extends Layer {
  /** Shape of the output for the shape of the input. @throws E_SHAPE when it does not fit */
  abstract computeOutputShape(inputShape: Shape): Shape;

  /** Computes the output [N, ...] from a checked input [N, ...]. */
  protected abstract transform(x: tf.Tensor, options: CallOptions): tf.Tensor;

  /** Creates parameters for one input shape; a layer without parameters keeps this one. */
  protected createUnaryParameters?(inputShape: Shape): void;

  get inputShape(): Shape {
    return this.inputShapes[0] as Shape;
  }

  get outputShape(): Shape {
    return this.outputShapes[0] as Shape;
  }

  /** As buildAll, for the one input. */
  build(inputShape: Shape, options: BuildOptions = {}): void {
    this.buildAll([inputShape], options);
  }

  /** As apply, for the one input and output: [N, ...inputShape] -> [N, ...outputShape]. */
  call(x: tf.Tensor, options: CallOptions = {}): tf.Tensor {
    return this.apply([x], options)[0] as tf.Tensor;
  }

  protected override computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    const [shape] = inputShapes;
    if (shape === undefined || inputShapes.length !== 1)
      throw this.shapeError('wrong number of inputs', '1', String(inputShapes.length));
    return [this.computeOutputShape(shape)];
  }

  protected override createParameters(inputShapes: readonly Shape[]): void {
    this.createUnaryParameters?.(inputShapes[0] as Shape);
  }

  protected override forward(inputs: readonly tf.Tensor[], options: CallOptions): readonly tf.Tensor[] {
    return [this.transform(inputs[0] as tf.Tensor, options)];
  }
}

/** Checks a layer's options object: no keys besides `name`, `trainable` and `keys`. @throws E_CONFIG */
export function checkLayerOptions(type: string, options: unknown, keys: readonly string[]): void {
  checkKeys(type, options, ['name', 'trainable', ...keys]);
}
