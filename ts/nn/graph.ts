/** Free composition: layers joined into a graph with any number of inputs and outputs. */
import type * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkOneOf, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
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
import { checkShape, formatBatchShape, isSameShape, type Shape } from './shape.js';
import { renderSummary } from './summary.js';

/** A value in a graph: an input, or an output of a layer applied to other values. Made by `input` and `connect`. */
export class GraphNode {
  /** @param index  which of the layer's outputs it is */
  constructor(
    readonly layer: Layer | undefined,
    readonly inputs: readonly GraphNode[],
    readonly index: number,
    readonly declared: { readonly name: string; readonly shape: Shape; readonly dtype: LayerDType } | undefined,
  ) {}

  /** Another output of the same call, for layers with several. */
  output(index: number): GraphNode {
    checkInteger('graph', 'output', index, { min: 0 });
    const others = siblings.get(this) ?? new Map<number, GraphNode>([[this.index, this]]);
    let node = others.get(index);
    if (node === undefined) others.set(index, (node = new GraphNode(this.layer, this.inputs, index, this.declared)));
    siblings.set(this, others);
    siblings.set(node, others);
    return node;
  }
}

/** Nodes of one call, by the number of the output. */
const siblings = new WeakMap<GraphNode, Map<number, GraphNode>>();

const callOf = (node: GraphNode): object => siblings.get(node) ?? node;

/**
 * An input of a graph.
 *
 * @param shape    of one row, without the batch
 * @param options  `name`: default input, input_1, ...; `dtype`: default float32
 * @throws E_SHAPE for a wrong shape; E_CONFIG
 */
export function input(shape: Shape, options: { readonly name?: string; readonly dtype?: LayerDType } = {}): GraphNode {
  const dtype = checkOneOf('input', 'dtype', options.dtype ?? 'float32', ['float32', 'int32', 'bool']);
  return new GraphNode(undefined, [], 0, { name: options.name ?? '', shape: checkShape('input', shape), dtype });
}

/** Applies a layer to values of a graph; the same layer applied twice shares its weights. @throws E_CONFIG */
export function connect(layer: Layer, ...inputs: readonly GraphNode[]): GraphNode {
  if (!(layer instanceof Layer) || inputs.length === 0 || !inputs.every((node) => node instanceof GraphNode))
    throw new TensorkilnError(
      'E_CONFIG',
      `[connect] wrong arguments: expected a layer and one or more values of a graph, got ${show(layer)}.`,
    );
  return new GraphNode(layer, inputs, 0, undefined);
}

export interface GraphOptions extends LayerOptions {
  readonly inputs: readonly GraphNode[];
  readonly outputs: readonly GraphNode[];
  /** Seed of initial values and dropout masks, an integer in [0, 2^53). Default 0. */
  readonly seed?: number;
}

/** One call of a layer, in the order they run. Values are numbered: the inputs first, then the outputs of the calls. */
interface GraphCall {
  readonly layer: Layer;
  readonly name: string;
  readonly inputs: readonly string[];
}

/**
 * A model of layers joined freely; itself a layer.
 *
 * @example
 * const image = input([28, 28, 1]);
 * const features = connect(new Flatten(), image);
 * const model = new Graph({ inputs: [image], outputs: [connect(new Dense({ units: 10 }), features)], seed: 7 });
 * model.build();
 *
 * @throws E_CONFIG for wrong options, values that no input leads to, or inputs that lead nowhere; E_USAGE for a layer that is
 *         already part of another model; E_SHAPE at build when shapes do not fit, or a layer is used again with other shapes
 */
export class Graph extends UnaryLayer {
  readonly type = 'graph';
  readonly #inputs: readonly { readonly name: string; readonly shape: Shape; readonly dtype: LayerDType }[];
  readonly #calls: readonly GraphCall[];
  readonly #outputs: readonly string[];
  readonly #seed: number;

  constructor(options: GraphOptions) {
    checkLayerOptions('graph', options, ['inputs', 'outputs', 'seed']);
    super(options);
    const { inputs, outputs } = options;
    for (const [key, nodes] of [
      ['inputs', inputs],
      ['outputs', outputs],
    ] as const) {
      if (!Array.isArray(nodes) || nodes.length === 0 || !nodes.every((node) => node instanceof GraphNode))
        throw new TensorkilnError(
          'E_CONFIG',
          `[graph] wrong ${key}: expected a non-empty list of values of a graph, got ${show(nodes)}.`,
        );
    }
    this.#seed = checkInteger('graph', 'seed', options.seed ?? 0, { min: 0 });
    const order = orderCalls(inputs, outputs);
    const names = nameAll(inputs, order);
    const nameOf = (node: GraphNode): string => {
      const name = names.get(callOf(node)) as string;
      return node.index === 0 ? name : `${name}:${node.index}`;
    };
    this.#inputs = inputs.map((node) => ({ ...(node.declared as NonNullable<GraphNode['declared']>), name: nameOf(node) }));
    this.#calls = order.map((node) => ({
      layer: node.layer as Layer,
      name: names.get(callOf(node)) as string,
      inputs: node.inputs.map(nameOf),
    }));
    this.#outputs = outputs.map(nameOf);
    for (const layer of new Set(this.#calls.map((call) => call.layer))) {
      const call = this.#calls.find((one) => one.layer === layer) as GraphCall;
      this.addSublayer(layer, call.name);
    }
  }

  /** Builds for the declared inputs; shapes that are given must be equal to them. */
  override build(inputShape?: Shape, options: BuildOptions = {}): void {
    const declared = this.#inputs.map(({ shape }) => shape);
    this.buildAll(inputShape === undefined ? declared : [inputShape], options);
  }

  override buildAll(inputShapes: readonly Shape[], options: BuildOptions = {}): void {
    super.buildAll(inputShapes, { seed: this.#seed, ...options });
  }

  override inputDTypeAt(index: number): LayerDType {
    return this.#inputs[index]?.dtype ?? 'float32';
  }

  override get inputDType(): LayerDType {
    return this.inputDTypeAt(0);
  }

  /** An input's axis is as flexible as it is to every layer that takes it. */
  override isFlexible(axis: number, rank: number): boolean {
    const names = this.#inputs.filter(({ shape }) => shape.length === rank).map(({ name }) => name);
    return this.#calls.every(
      ({ layer, inputs }) => !inputs.some((name) => names.includes(name)) || layer.isFlexible(axis, rank),
    );
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return this.computeOutputShapes([inputShape])[0] as Shape;
  }

  protected override computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    if (inputShapes.length !== this.#inputs.length)
      throw this.shapeError('wrong number of inputs', String(this.#inputs.length), String(inputShapes.length));
    inputShapes.forEach((shape, i) => {
      const { name, shape: declared } = this.#inputs[i] as { name: string; shape: Shape };
      if (!isSameShape(shape, declared))
        throw this.shapeError(`wrong shape of '${name}'`, formatBatchShape(declared), formatBatchShape(shape));
    });
    this.nameSublayers();
    return this.#run(inputShapes, (layer, shapes) => layer.inferOutputShapes(shapes));
  }

  /** Each layer checks what reaches it; the declared shapes are those of building. */
  protected override checkFlexed(): void {
    // Nothing of its own.
  }

  protected override createParameters(inputShapes: readonly Shape[]): void {
    this.#run(inputShapes, (layer, shapes) => {
      this.buildSublayer(layer, shapes);
      return layer.outputShapes;
    });
  }

  protected override forward(inputs: readonly tf.Tensor[], options: CallOptions): readonly tf.Tensor[] {
    return this.#run(inputs, (layer, values) => layer.apply(values, options));
  }

  protected override transform(x: tf.Tensor, options: CallOptions): tf.Tensor {
    return this.forward([x], options)[0] as tf.Tensor;
  }

  /** Runs something over the calls in their order. */
  #run<T>(inputs: readonly T[], step: (layer: Layer, values: readonly T[]) => readonly T[]): readonly T[] {
    const values = new Map<string, T>(this.#inputs.map(({ name }, i) => [name, inputs[i] as T]));
    const read = (name: string): T => {
      const value = values.get(name);
      if (value !== undefined) return value;
      const [call, index] = name.split(':');
      throw new TensorkilnError('E_CONFIG', `[${this.place}] no such output: layer '${call}' has no output ${index ?? 0}.`);
    };
    for (const { layer, name, inputs: sources } of this.#calls) {
      step(layer, sources.map(read)).forEach((value, index) => values.set(index === 0 ? name : `${name}:${index}`, value));
    }
    return this.#outputs.map(read);
  }

  protected override get defaultPath(): string {
    return '';
  }

  protected override get listsSublayers(): boolean {
    return true;
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    const layers = this.sublayers;
    return {
      seed: this.#seed,
      inputs: this.#inputs,
      layers: layers.map((layer) => layer.layerJSON()),
      calls: this.#calls.map(({ layer, name, inputs }) => ({ name, layer: layer.name, inputs })),
      outputs: this.#outputs,
    };
  }

  /** The whole model as JSON: read back by `modelFromJSON`. Weights are not part of it. */
  override toJSON(): ModelJSON {
    return modelJSON(this);
  }

  /** A table of layers with output shapes, parameter counts and FLOPs. @throws E_USAGE before `build` */
  summary(): string {
    return renderSummary(this);
  }
}

/** Calls so that each comes after those it depends on. @throws E_CONFIG when a value hangs on no input, or an input leads nowhere */
function orderCalls(inputs: readonly GraphNode[], outputs: readonly GraphNode[]): GraphNode[] {
  const order: GraphNode[] = [];
  const seen = new Set<object>();
  const used = new Set<object>();
  const visit = (node: GraphNode): void => {
    const call = callOf(node);
    used.add(call);
    if (seen.has(call)) return;
    seen.add(call);
    if (node.layer === undefined) {
      if (!inputs.includes(node))
        throw new TensorkilnError('E_CONFIG', '[graph] an output depends on an input that is not among the inputs.');
      return;
    }
    node.inputs.forEach(visit);
    order.push(node);
  };
  outputs.forEach(visit);
  const idle = inputs.findIndex((node) => !used.has(callOf(node)));
  if (idle >= 0) throw new TensorkilnError('E_CONFIG', `[graph] wrong inputs[${idle}]: no output depends on it.`);
  return order;
}

/** Names of inputs and calls: the layer's or its type, with a number where it is taken. */
function nameAll(inputs: readonly GraphNode[], order: readonly GraphNode[]): Map<object, string> {
  const names = new Map<object, string>();
  const taken = new Set<string>();
  const add = (node: GraphNode, wanted: string, isFixed: boolean): void => {
    if (isFixed && taken.has(wanted))
      throw new TensorkilnError('E_CONFIG', `[graph] two layers or inputs are named '${wanted}': names must differ.`);
    let name = wanted;
    for (let suffix = 1; taken.has(name); ++suffix) name = `${wanted}_${suffix}`;
    taken.add(name);
    names.set(callOf(node), name);
  };
  for (const node of inputs) {
    const given = node.declared?.name ?? '';
    add(node, given === '' ? 'input' : given, given !== '');
  }
  const first = new Set<Layer>();
  for (const node of order) {
    const layer = node.layer as Layer;
    add(node, layer.name, layer.isNamed && !first.has(layer));
    first.add(layer);
  }
  return names;
}

interface CallJSON {
  readonly name: string;
  readonly layer: string;
  readonly inputs: readonly string[];
}

function graphFromConfig(config: Readonly<Record<string, unknown>>): Graph {
  const list = (key: string): readonly unknown[] => {
    const value = config[key];
    if (Array.isArray(value)) return value;
    throw new TensorkilnError('E_CONFIG', `[graph] wrong ${key}: expected a list, got ${show(value)}.`);
  };
  const layers = new Map(
    list('layers').map((json, index) => {
      const layer = layerFromJSON(json, `layers[${index}]`);
      return [layer.name, layer];
    }),
  );
  const values = new Map<string, GraphNode>();
  const inputs = list('inputs').map((json) => {
    const { name, shape, dtype } = json as { name: string; shape: Shape; dtype: LayerDType };
    const node = input(shape, { name, dtype });
    values.set(name, node);
    return node;
  });
  const calls = new Map((list('calls') as readonly CallJSON[]).map((call) => [call.name, call]));
  const open = new Set<string>();
  const resolve = (reference: string): GraphNode => {
    const [name = '', index = '0'] = reference.split(':');
    const known = values.get(name);
    if (known !== undefined) return index === '0' ? known : known.output(Number(index));
    const call = calls.get(name);
    if (call === undefined)
      throw new TensorkilnError('E_CONFIG', `[graph] unknown value '${reference}': no input and no call has this name.`);
    if (open.has(name))
      throw new TensorkilnError('E_CONFIG', `[graph] the graph is cyclic: '${[...open, name].join("' needs '")}'.`);
    const layer = layers.get(call.layer);
    if (layer === undefined)
      throw new TensorkilnError('E_CONFIG', `[graph] call '${name}' is of an unknown layer '${call.layer}'.`);
    open.add(name);
    const node = connect(layer, ...call.inputs.map(resolve));
    open.delete(name);
    values.set(name, node);
    return resolve(reference);
  };
  const outputs = (list('outputs') as readonly string[]).map(resolve);
  const { seed, name, trainable } = config as { seed?: number; name?: string; trainable?: boolean };
  return new Graph({
    inputs,
    outputs,
    ...(seed === undefined ? {} : { seed }),
    ...(name === undefined ? {} : { name }),
    ...(trainable === undefined ? {} : { trainable }),
  });
}

registerLayer('graph', graphFromConfig);
