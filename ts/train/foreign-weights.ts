/** Names and layouts of other tools, brought into ours. */
import type { WeightDescription } from '../nn/description.js';

export type Weights = Readonly<Record<string, WeightDescription>>;

/** What the source calls a parameter's role, and what it may be called here. */
const ROLES: Readonly<Record<string, readonly string[]>> = {
  // PyTorch
  weight: ['kernel', 'scale', 'table', 'alpha', 'depthwise_kernel'],
  bias: ['bias', 'offset'],
  running_mean: ['running_mean'],
  running_var: ['running_variance'],
  // Keras and tfjs-layers
  kernel: ['kernel'],
  recurrent_kernel: ['recurrent'],
  gamma: ['scale'],
  beta: ['offset'],
  moving_mean: ['running_mean'],
  moving_variance: ['running_variance'],
  embeddings: ['table'],
};

/** Parts of PyTorch's blocks, and what they may be called here. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  self_attn: ['attention'],
  multihead_attn: ['cross_attention'],
  out_proj: ['output'],
  linear1: ['hidden'],
  linear2: ['output'],
  norm1: ['attention_norm'],
  // The second of a decoder stands behind the attention to the context.
  norm2: ['cross_norm', 'output_norm'],
  norm3: ['output_norm'],
};

/** Counts that only PyTorch keeps. */
const NOT_NEEDED = /(^|[./])num_batches_tracked$/;

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/**
 * A tensor with its axes in another order.
 *
 * @param order  axis of the source for each axis of the result
 */
function transposed({ shape, data }: WeightDescription, order: readonly number[]): WeightDescription {
  const strides = shape.map((_, axis) => product(shape.slice(axis + 1)));
  const result = order.map((axis) => shape[axis] as number);
  const values = new Float32Array(data.length);
  const index = result.map(() => 0);
  for (let i = 0; i < values.length; ++i) {
    values[i] = data[index.reduce((sum, at, axis) => sum + at * (strides[order[axis] as number] as number), 0)] as number;
    for (let axis = result.length - 1; axis >= 0; --axis) {
      if (++(index[axis] as number) < (result[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return { shape: result, data: values };
}

/** A PyTorch weight [out, in, ...space] as [...space, in, out]; one of a linear layer so as [in, out]. */
function fromPyTorch(weight: WeightDescription): WeightDescription {
  const space = weight.shape.slice(2).map((_, axis) => axis + 2);
  return weight.shape.length < 2 ? weight : transposed(weight, [...space, 1, 0]);
}

/** A PyTorch weight [channels * multiplier, 1, ...space] of a depthwise convolution as [...space, channels, multiplier]. */
function depthwiseFromPyTorch(weight: WeightDescription, multiplier: number): WeightDescription {
  const [outputs, one, ...space] = weight.shape as [number, number, ...number[]];
  if (one !== 1 || outputs % multiplier !== 0) return weight;
  const apart = { shape: [outputs / multiplier, multiplier, ...space], data: weight.data };
  return transposed(apart, [...space.map((_, axis) => axis + 2), 0, 1]);
}

/** Blocks of rows in another order. @param order  block of the source for each block of the result */
function reordered({ shape, data }: WeightDescription, order: readonly number[]): WeightDescription {
  const size = data.length / order.length;
  const values = new Float32Array(data.length);
  order.forEach((from, to) => values.set(data.subarray(from * size, (from + 1) * size), to * size));
  return { shape, data: values };
}

/** Rows [start, end) of a tensor. */
function rowsOf({ shape: [rows = 1, ...rest], data }: WeightDescription, start: number, end: number): WeightDescription {
  const size = data.length / rows;
  return { shape: [end - start, ...rest], data: data.slice(start * size, end * size) };
}

/** Gates of PyTorch's recurrent layers by their number, in our order: LSTM i, f, g, o in both; GRU r, z, n there, z, r, n here. */
const GATE_ORDERS: Readonly<Record<number, readonly number[]>> = { 1: [0], 3: [1, 0, 2], 4: [0, 1, 2, 3] };

/**
 * PyTorch's LSTM, GRU and RNN. Of several layers the first is `name`, the others are `name_l1`, `name_l2`, ...; with both
 * directions each is a bidirectional layer with `forward` and `backward`. The two biases of LSTM and RNN are added up; GRU keeps both.
 */
function takeRecurrent(weights: Map<string, WeightDescription>): void {
  const given = new Map(weights);
  for (const [name, inputs] of given) {
    const [, path, layer, reverse] = /^(?:(.*)[./])?weight_ih_l(\d+)(_reverse)?$/.exec(name) ?? [];
    if (layer === undefined) continue;
    const prefix = name.slice(0, name.length - `weight_ih_l${layer}${reverse ?? ''}`.length);
    const part = (kind: string, direction = reverse ?? ''): string => `${prefix}${kind}_l${layer}${direction}`;
    const recurrent = weights.get(part('weight_hh'));
    const order = recurrent && GATE_ORDERS[(inputs.shape[0] as number) / (recurrent.shape[1] as number)];
    if (recurrent === undefined || order === undefined) continue;
    const isBoth = reverse !== undefined || given.has(part('weight_ih', '_reverse'));
    const base = `${path ?? ''}${layer === '0' ? '' : `_l${layer}`}`;
    const home = [base, ...(isBoth ? [reverse === undefined ? 'forward' : 'backward'] : [])]
      .filter((one) => one !== '')
      .join('.');
    const own = (role: string): string => (home === '' ? role : `${home}.${role}`);
    const biases = [weights.get(part('bias_ih')), weights.get(part('bias_hh'))];
    weights.set(own('kernel'), transposed(reordered(inputs, order), [1, 0]));
    weights.set(own('recurrent_kernel'), transposed(reordered(recurrent, order), [1, 0]));
    const [first, second] = biases.map((bias) => bias && reordered(bias, order));
    if (first !== undefined && second !== undefined) {
      const isGru = order.length === 3;
      const data = isGru
        ? Float32Array.from([...first.data, ...second.data])
        : first.data.map((value, i) => value + (second.data[i] as number));
      weights.set(own('bias'), { shape: isGru ? [2, ...first.shape] : first.shape, data });
    }
    for (const kind of ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh']) weights.delete(part(kind));
  }
}

/** PyTorch's attention: the projections of queries, keys and values stand in one matrix, or apart where their sizes differ. */
function takeAttention(weights: Map<string, WeightDescription>): void {
  const names = ['query', 'key', 'value'];
  for (const [name, packed] of [...weights]) {
    const [, path, role] = /^((?:.*[./])?)in_proj_(weight|bias)$/.exec(name) ?? [];
    const rows = (packed.shape[0] ?? 0) / 3;
    // What is no pack of three stays as it is, and is told as extra.
    if (role !== undefined && rows > 0 && Number.isInteger(rows)) {
      weights.delete(name);
      names.forEach((one, i) => weights.set(`${path ?? ''}${one}.${role}`, rowsOf(packed, i * rows, (i + 1) * rows)));
    }
    const [, place, letter] = /^((?:.*[./])?)([qkv])_proj_weight$/.exec(name) ?? [];
    if (letter === undefined) continue;
    weights.delete(name);
    weights.set(`${place ?? ''}${names['qkv'.indexOf(letter)] as string}.weight`, packed);
  }
}

/** All texts with one choice for each part. */
function choices(parts: readonly (readonly string[])[]): string[] {
  return parts.reduce<string[]>(
    (paths, options) => paths.flatMap((path) => options.map((one) => (path === '' ? one : `${path}/${one}`))),
    [''],
  );
}

/**
 * Weights under our names and in our layouts. Names are paths whose parts stand between dots or slashes; the last part says the
 * role. PyTorch's `weight` becomes the kernel, scale or table that the model has under that path; parts of its transformer
 * layers (`self_attn`, `linear1`, `norm1`) are found under our names.
 *
 * @param known   shapes of the model's parameters by name
 * @param rename  replacements in names, before anything else
 */
export function mapWeights(
  source: Weights,
  known: ReadonlyMap<string, readonly number[]>,
  rename: readonly (readonly [pattern: string | RegExp, replacement: string])[] = [],
): Weights {
  const renamed = new Map<string, WeightDescription>();
  for (const [name, weight] of Object.entries(source)) {
    const plain = rename.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), name.replace(/:0$/, ''));
    if (!NOT_NEEDED.test(plain)) renamed.set(plain, weight);
  }
  takeRecurrent(renamed);
  takeAttention(renamed);
  const mapped: Record<string, WeightDescription> = {};
  for (const [name, weight] of renamed) if (known.has(name)) mapped[name] = weight;
  for (const [name, weight] of renamed) {
    if (known.has(name)) continue;
    const parts = name.split(/[./]/);
    const role = parts.pop() as string;
    const roles = ROLES[role] ?? [role];
    const found = [
      ...choices([...parts.map((part) => [part]), roles]),
      ...choices([...parts.map((part) => PARTS[part] ?? [part]), roles]),
    ].find((own) => known.has(own));
    // Of two for one parameter the first is taken; the other is told as extra.
    if (found === undefined || Object.hasOwn(mapped, found)) mapped[name] = weight;
    else if (role === 'weight' && /(^|\/)depthwise_kernel$/.test(found))
      mapped[found] = depthwiseFromPyTorch(weight, known.get(found)?.at(-1) ?? 1);
    else mapped[found] = role === 'weight' && /(^|\/)kernel$/.test(found) ? fromPyTorch(weight) : weight;
  }
  return mapped;
}
