/** A model as a flat list of calls: nested chains and graphs, blocks and residual branches laid open, as formats want it. */
import {
  Graph,
  Sequential,
  type Layer,
  type LayerDType,
  type Model,
  type ModelDescription,
  type WeightDescription,
} from '../nn/index.js';

/** A value: an input's name, or a call's number and which of its outputs. */
export type ValueSource = { readonly input: string } | { readonly call: number; readonly output: number };

/** A layer as formats see it. */
export interface LayerSpec {
  /**
   * Registered type, or 'add' and 'activation' for the ends of residual branches, and 'time_in' and 'time_out' round the layer of a
   * time_distributed: the first makes rows of the places, the second (inputs: rows, what the first was given) brings them back.
   */
  readonly type: string;
  /** Path of the layer in the model; a layer that is used twice has it twice. */
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly inputShapes: readonly (readonly number[])[];
  readonly outputShapes: readonly (readonly number[])[];
  /** Its own weights by their names within the layer; for tied_dense the embedding's table. */
  readonly weights: Readonly<Record<string, WeightDescription>>;
}

/** One use of a layer. */
export interface LayerCall extends LayerSpec {
  readonly inputs: readonly ValueSource[];
  /** The layer itself, where it is one of a model. */
  readonly layer?: Layer;
  /** Numbers of places of the time_distributed layers it stands in, from outside in. */
  readonly within?: readonly number[];
}

export interface GraphInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: LayerDType;
}

export interface ModelGraph {
  readonly inputs: readonly GraphInput[];
  readonly calls: readonly LayerCall[];
  readonly outputs: readonly ValueSource[];
}

interface GraphConfig {
  readonly inputs: readonly GraphInput[];
  readonly calls: readonly { readonly name: string; readonly layer: string; readonly inputs: readonly string[] }[];
  readonly outputs: readonly string[];
}

/** @throws E_USAGE before the model is built */
export async function modelGraph(model: Model): Promise<ModelGraph> {
  const weights = await model.getWeights();
  const inputs =
    model instanceof Graph
      ? (model.getConfig() as unknown as GraphConfig).inputs
      : [{ name: 'input', shape: model.inputShape, dtype: model.inputDType }];
  const flattener = new Flattener(weights);
  const outputs = flattener.run(
    model,
    inputs.map(({ name }) => ({ input: name })),
  );
  return { inputs, calls: flattener.calls, outputs };
}

/** A chain of layers that is given as plain data. */
export function chainGraph({ inputShape, layers }: ModelDescription): ModelGraph {
  const source = (index: number): ValueSource => (index < 0 ? { input: 'input' } : { call: index, output: 0 });
  const [first] = layers;
  return {
    inputs: [{ name: 'input', shape: inputShape, dtype: first?.type === 'embedding' ? 'int32' : 'float32' }],
    calls: layers.map(({ inputShape: from, outputShape: to, ...layer }, index) => ({
      ...layer,
      inputShapes: [from],
      outputShapes: [to],
      inputs: [source(index - 1)],
    })),
    outputs: [source(layers.length - 1)],
  };
}

/** Shape of a value. */
export function shapeOf(graph: ModelGraph, source: ValueSource): readonly number[] {
  return 'input' in source
    ? (graph.inputs.find(({ name }) => name === source.input)?.shape ?? [])
    : (graph.calls[source.call]?.outputShapes[source.output] ?? []);
}

/** Whether two shapes are equal. */
export function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

class Flattener {
  readonly calls: LayerCall[] = [];
  readonly #weights: Readonly<Record<string, WeightDescription>>;
  #within: readonly number[] = [];

  constructor(weights: Readonly<Record<string, WeightDescription>>) {
    this.#weights = weights;
  }

  /** Adds the calls of a layer and says where its outputs come from. */
  run(layer: Layer, inputs: readonly ValueSource[]): readonly ValueSource[] {
    if (layer instanceof Sequential) {
      return layer.layers.reduce<readonly ValueSource[]>((values, one) => this.run(one, values), inputs);
    }
    if (layer instanceof Graph) return this.#runGraph(layer, inputs);
    if (layer.type === 'residual') return this.#runResidual(layer, inputs);
    if (layer.type === 'checkpoint') return this.run(layer.sublayers[0] as Layer, inputs);
    if (layer.type === 'time_distributed') return this.#runPlaces(layer, inputs);
    return this.#add({
      type: layer.type,
      name: layer.path,
      config: layer.getConfig(),
      inputShapes: layer.inputShapes,
      outputShapes: layer.outputShapes,
      weights: this.#weightsOf(layer),
      inputs,
      layer,
    });
  }

  #weightsOf(layer: Layer): Readonly<Record<string, WeightDescription>> {
    if (layer.type === 'tied_dense') {
      const container = layer.path.slice(0, layer.path.length - layer.name.length);
      const table = this.#weights[`${container}${String(layer.getConfig()['to'])}/table`];
      return table === undefined ? {} : { table };
    }
    const prefix = `${layer.path}/`;
    const own = Object.entries(this.#weights).filter(([name]) => name.startsWith(prefix));
    return Object.fromEntries(own.map(([name, weight]) => [name.slice(prefix.length), weight]));
  }

  #runGraph(graph: Graph, inputs: readonly ValueSource[]): readonly ValueSource[] {
    const config = graph.getConfig() as unknown as GraphConfig;
    const layers = new Map(graph.sublayers.map((layer) => [layer.name, layer]));
    const values = new Map(config.inputs.map(({ name }, index) => [name, inputs[index] as ValueSource]));
    for (const call of config.calls) {
      const sources = call.inputs.map((name) => values.get(name) as ValueSource);
      this.run(layers.get(call.layer) as Layer, sources).forEach((value, index) => {
        values.set(index === 0 ? call.name : `${call.name}:${index}`, value);
      });
    }
    return config.outputs.map((name) => values.get(name) as ValueSource);
  }

  #runResidual(layer: Layer, inputs: readonly ValueSource[]): readonly ValueSource[] {
    const [branch, shortcut] = layer.sublayers;
    const shape = layer.outputShapes;
    const [through] = this.run(branch as Layer, inputs);
    const [past] = shortcut === undefined ? inputs : this.run(shortcut, inputs);
    const nothing = { weights: {}, outputShapes: shape };
    const sum = this.#add({
      ...nothing,
      type: 'add',
      name: `${layer.path}/add`,
      config: {},
      inputShapes: [...shape, ...shape],
      inputs: [through as ValueSource, past as ValueSource],
    });
    const { activation } = layer.getConfig();
    if (activation === 'linear') return sum;
    return this.#add({
      ...nothing,
      type: 'activation',
      name: `${layer.path}/activation`,
      config: { activation },
      inputShapes: shape,
      inputs: sum,
    });
  }

  #runPlaces(layer: Layer, inputs: readonly ValueSource[]): readonly ValueSource[] {
    const [shape] = layer.inputShapes as readonly [readonly [number, ...number[]]];
    const [inner] = layer.sublayers as readonly [Layer];
    const [places, ...row] = shape;
    const nothing = { weights: {}, config: {} };
    const name = layer.path;
    const outer = this.#within;
    const rows = this.#add({
      ...nothing,
      type: 'time_in',
      name: `${name}/rows`,
      inputShapes: [shape],
      outputShapes: [row],
      inputs,
    });
    this.#within = [...outer, places];
    const results = this.run(inner, rows);
    this.#within = outer;
    const inputShapes = [inner.outputShapes[0] as readonly number[], shape];
    const sources = [results[0] as ValueSource, inputs[0] as ValueSource];
    const { outputShapes } = layer;
    return this.#add({ ...nothing, type: 'time_out', name: `${name}/places`, inputShapes, outputShapes, inputs: sources });
  }

  #add(call: LayerCall): readonly ValueSource[] {
    const within = this.#within.length === 0 ? {} : { within: this.#within };
    const index = this.calls.push({ ...call, ...within }) - 1;
    return call.outputShapes.map((_, output) => ({ call: index, output }));
  }
}
