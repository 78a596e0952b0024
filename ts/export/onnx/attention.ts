/** Attention and the blocks of transformers. */
import type { LayerSpec } from '../model-graph.js';
import { writeDense } from './dense.js';
import type { GraphValue, OnnxGraphBuilder } from './graph-builder.js';
import { partOf, readNumber } from './layer-config.js';
import { writeNorm } from './norms.js';
import { writeRotary } from './positions.js';
import { rows, type LayerWriter } from './writer.js';

/** The lowest float32: its exponential is 0 beside any other score, and a row of nothing else is no NaN. */
const LOWEST = -3.4028234663852886e38;

interface AttentionInputs {
  /** [T, C] */
  readonly x: GraphValue;
  /** [S, C'] */
  readonly context: GraphValue;
  /** [S], true for keys that count. */
  readonly mask: GraphValue | undefined;
  /** [heads or 1, T, S], added to the scores. */
  readonly scores: GraphValue | undefined;
}

/** Inputs after the first are told apart by their rank, as the layer does. */
export const writeMultiHeadAttention: LayerWriter = (graph, [x, ...others], layer) => {
  const find = (rank: number): GraphValue | undefined => others.find(({ shape }) => shape.length === rank);
  const own = { x: graph.toRows(x as GraphValue, layer.name), mask: find(1), scores: find(3) };
  return [attend(graph, { ...own, context: find(2) ?? own.x }, layer)];
};

function attend(graph: OnnxGraphBuilder, { x, context, mask, scores }: AttentionInputs, layer: LayerSpec): GraphValue {
  const { name, config } = layer;
  const heads = readNumber(layer, 'heads', 1);
  const keyHeads = readNumber(layer, 'keyHeads', heads);
  const [queries, channels] = x.shape as readonly [number, number];
  const [keys] = context.shape as readonly [number, number];
  const size = readNumber(layer, 'headSize', channels / heads);
  const dense = (part: string, value: GraphValue, units: number): string => {
    const outputShapes = [[...value.shape.slice(0, -1), units]];
    return writeDense(
      graph,
      value,
      partOf(layer, part, { type: 'dense', config: {}, inputShapes: [value.shape], outputShapes }),
    ).name;
  };
  const split = (part: string, value: string, count: number, length: number): string => {
    const apart = graph.reshape(`${name}/${part}/heads`, value, [0, 0, count, size]);
    if (config['rotary'] !== true || part === 'value') return apart;
    return writeRotary(graph, apart, { name: `${name}/${part}/rotary`, length, size });
  };
  const query = split('query', dense('query', x, heads * size), heads, queries);
  const key = split('key', dense('key', context, keyHeads * size), keyHeads, keys);
  const value = split('value', dense('value', context, keyHeads * size), keyHeads, keys);
  // Heads that share keys see copies of them.
  const shared = (part: string, own: string): string => {
    if (keyHeads === heads) return own;
    const owners = Array.from({ length: heads }, (_, head) => Math.floor((head * keyHeads) / heads));
    return graph.addNode(`${name}/${part}/share`, 'Gather', [own, graph.addInts(owners)], { axis: { int: 2 } });
  };
  const scaled = graph.addNode(`${name}/scale`, 'Mul', [query, graph.addScalar(`${name}/factor`, 1 / Math.sqrt(size))]);
  const left = graph.transpose(`${name}/queries`, scaled, [0, 2, 1, 3]);
  const right = graph.transpose(`${name}/keys`, shared('key', key), [0, 2, 3, 1]);
  const values = graph.transpose(`${name}/values`, shared('value', value), [0, 2, 1, 3]);
  const products = graph.addNode(`${name}/scores`, 'MatMul', [left, right]);
  const weights = writeWeights(graph, { products, mask, scores, isCausal: config['causal'] === true, queries, keys, name });
  const heard = graph.addNode(`${name}/attend`, 'MatMul', [weights, values]);
  const together = graph.transpose(`${name}/by_place`, heard, [0, 2, 1, 3]);
  const joined = graph.reshape(`${name}/join`, together, [0, 0, heads * size]);
  return rows(dense('output', rows(joined, [queries, heads * size]), channels), x.shape);
}

interface ScoreParts {
  /** [N, heads, T, S] */
  readonly products: string;
  readonly mask: GraphValue | undefined;
  readonly scores: GraphValue | undefined;
  readonly isCausal: boolean;
  readonly queries: number;
  readonly keys: number;
  readonly name: string;
}

/** Softmax over the keys that a query sees; 0 for all keys where it sees none. */
function writeWeights(graph: OnnxGraphBuilder, parts: ScoreParts): string {
  const { products, mask, scores, name } = parts;
  const softmax = (value: string): string => graph.addNode(`${name}/softmax`, 'Softmax', [value], { axis: { int: -1 } });
  const visible: string[] = [];
  let moved = products;
  if (scores !== undefined) {
    moved = graph.addNode(`${name}/add_scores`, 'Add', [products, scores.name]);
    visible.push(graph.addNode(`${name}/shown`, 'Greater', [scores.name, graph.addScalar(`${name}/lowest`, LOWEST)]));
  }
  if (mask !== undefined) visible.push(graph.unsqueeze(`${name}/mask`, mask.name, [1, 2]));
  if (parts.isCausal) visible.push(writeCausalMask(graph, parts));
  const [first, ...others] = visible;
  if (first === undefined) return softmax(moved);
  const seen = others.reduce((a, b) => graph.addNode(`${name}/and`, 'And', [a, b]), first);
  const hidden = graph.addNode(`${name}/hide`, 'Where', [seen, moved, graph.addScalar(`${name}/lowest`, LOWEST)]);
  return graph.addNode(`${name}/weights`, 'Where', [seen, softmax(hidden), graph.addScalar(`${name}/zero`, 0)]);
}

/** Query i sees the keys up to i + S - T. */
function writeCausalMask(graph: OnnxGraphBuilder, { products, queries, keys, name }: ScoreParts): string {
  if (!graph.hasFreeLength) {
    const values = Array.from({ length: queries * keys }, (_, i) => i % keys <= Math.floor(i / keys) + keys - queries);
    return graph.addBooleans(`${name}/causal`, values, [queries, keys]);
  }
  const [rowCount, columnCount] = [
    graph.sizeOf(`${name}/queries_size`, products, 2),
    graph.sizeOf(`${name}/keys_size`, products, 3),
  ];
  const [zero, one] = [graph.addInts([0], []), graph.addInts([1], [])];
  const columns = graph.addNode(`${name}/columns`, 'Range', [zero, columnCount, one]);
  const shift = graph.addNode(`${name}/shift`, 'Sub', [columnCount, rowCount]);
  const last = graph.addNode(`${name}/last_keys`, 'Add', [
    graph.addNode(`${name}/rows`, 'Range', [zero, rowCount, one]),
    shift,
  ]);
  return graph.addNode(`${name}/causal`, 'LessOrEqual', [columns, graph.unsqueeze(`${name}/last_column`, last, [1])]);
}

/** One branch: a norm, and what is computed from its result (or, norms last, before it). */
interface Branch {
  readonly norm: string;
  readonly run: (value: GraphValue) => GraphValue;
}

function runBranches(graph: OnnxGraphBuilder, x: GraphValue, layer: LayerSpec, branches: readonly Branch[]): GraphValue {
  const type = layer.config['norm'] === 'rms' ? 'rms_norm' : 'layer_norm';
  const norm = (part: string, value: GraphValue): GraphValue =>
    writeNorm(graph, value, partOf(layer, part, { type, config: {}, inputShapes: [value.shape], outputShapes: [value.shape] }));
  const sum = (a: GraphValue, b: GraphValue): GraphValue =>
    rows(graph.addNode(`${layer.name}/add`, 'Add', [a.name, b.name]), a.shape);
  const isNormFirst = layer.config['normFirst'] !== false;
  return branches.reduce(
    (value, branch) =>
      isNormFirst ? sum(value, branch.run(norm(branch.norm, value))) : norm(branch.norm, sum(value, branch.run(value))),
    x,
  );
}

function attentionPart(layer: LayerSpec, part: string, isSelf: boolean): LayerSpec {
  const { heads, keyHeads = heads, rotary, causal } = layer.config;
  const own = isSelf ? { rotary, causal } : {};
  return partOf(layer, part, { type: 'multi_head_attention', config: { heads, keyHeads, ...own } });
}

function feedForward(graph: OnnxGraphBuilder, value: GraphValue, layer: LayerSpec): GraphValue {
  const { hidden, activation } = layer.config as { hidden: number; activation: string };
  const [length, channels] = value.shape as readonly [number, number];
  const dense = (part: string, from: GraphValue, units: number, config: LayerSpec['config']): GraphValue =>
    writeDense(
      graph,
      from,
      partOf(layer, part, { type: 'dense', config, inputShapes: [from.shape], outputShapes: [[length, units]] }),
    );
  return dense('output', dense('hidden', value, hidden, { activation }), channels, {});
}

export const writeTransformerEncoder: LayerWriter = (graph, [input, mask], layer) => {
  const x = graph.toRows(input as GraphValue, layer.name);
  const attention = attentionPart(layer, 'attention', true);
  const branches: readonly Branch[] = [
    {
      norm: 'attention_norm',
      run: (value) => attend(graph, { x: value, context: value, mask, scores: undefined }, attention),
    },
    { norm: 'output_norm', run: (value) => feedForward(graph, value, layer) },
  ];
  return [runBranches(graph, x, layer, branches)];
};

export const writeTransformerDecoder: LayerWriter = (graph, [input, source, mask], layer) => {
  const x = graph.toRows(input as GraphValue, layer.name);
  const context = graph.toRows(source as GraphValue, layer.name);
  const [attention, cross] = [attentionPart(layer, 'attention', true), attentionPart(layer, 'cross_attention', false)];
  const nothing = { mask: undefined, scores: undefined };
  const branches: readonly Branch[] = [
    { norm: 'attention_norm', run: (value) => attend(graph, { ...nothing, x: value, context: value }, attention) },
    { norm: 'cross_norm', run: (value) => attend(graph, { ...nothing, x: value, context, mask }, cross) },
    { norm: 'output_norm', run: (value) => feedForward(graph, value, layer) },
  ];
  return [runBranches(graph, x, layer, branches)];
};
