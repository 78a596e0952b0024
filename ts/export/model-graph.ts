/** A model as a flat list of calls: nested chains and graphs and residual branches laid open, as formats want it. */
import { Graph, Sequential, type Layer, type LayerDType, type Model, type WeightDescription } from '../nn/index.js';

/** A value: an input's name, or a call's number and which of its outputs. */
export type ValueSource = { readonly input: string } | { readonly call: number; readonly output: number };

/** One use of a layer. */
export interface LayerCall {
  /** Registered type, or 'add' and 'activation' for the ends of residual branches. */
  readonly type: string;
  /** Path of the layer in the model; a layer that is used twice has it twice. */
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly inputShapes: readonly (readonly number[])[];
  readonly outputShapes: readonly (readonly number[])[];
  /** Its own weights by their names within the layer. */
  readonly weights: Readonly<Record<string, WeightDescription>>;
  readonly inputs: readonly ValueSource[];
}

export interface ModelGraph {
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[]; readonly dtype: LayerDType }[];
  readonly calls: readonly LayerCall[];
  readonly outputs: readonly ValueSource[];
}

interface GraphConfig {
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[]; readonly dtype: LayerDType }[];
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

class Flattener {
  readonly calls: LayerCall[] = [];
  readonly #weights: Readonly<Record<string, WeightDescription>>;

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
    const prefix = `${layer.path}/`;
    const own = Object.entries(this.#weights).filter(([name]) => name.startsWith(prefix));
    return this.#add({
      type: layer.type,
      name: layer.path,
      config: layer.getConfig(),
      inputShapes: layer.inputShapes,
      outputShapes: layer.outputShapes,
      weights: Object.fromEntries(own.map(([name, weight]) => [name.slice(prefix.length), weight])),
      inputs,
    });
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

  #add(call: LayerCall): readonly ValueSource[] {
    const index = this.calls.push(call) - 1;
    return call.outputShapes.map((_, output) => ({ call: index, output }));
  }
}
