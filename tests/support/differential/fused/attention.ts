/** Attention. */
import fc from 'fast-check';
import { attention } from '../../../../ts/backend/custom/index.js';
import { randomSource } from '../../describe-model.js';
import { at, broadcastIndex, build, sizeOf, type Dense } from '../../reference64/dense.js';
import { bool, float, seed } from '../arbitraries.js';
import type { TensorSpec } from '../cases.js';
import { fusedSpec, given, inputOf, type FusedSpec } from './spec.js';

interface AttentionAttrs {
  readonly isCausal: boolean;
  readonly causalShift?: number;
  readonly scale?: number;
}

interface AttentionInputs<Tensor> {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly mask?: Tensor;
  readonly keyMask?: Tensor;
}

/** The score of a query and a key, or -Infinity where the query may not see the key. */
function scoreOf(
  { q, k, mask, keyMask }: AttentionInputs<Dense>,
  { isCausal, causalShift, scale }: AttentionAttrs,
  [b, head, i, j]: readonly [number, number, number, number],
): number {
  const [queries, heads, size] = q.shape.slice(1) as [number, number, number];
  const [keys, keyHeads] = k.shape.slice(1) as [number, number];
  if (isCausal && j > i + (causalShift ?? keys - queries)) return -Infinity;
  if (keyMask !== undefined && at(keyMask, b, j) === 0) return -Infinity;
  const added = mask?.values[broadcastIndex(mask.shape, [b, head, i, j])];
  if (mask?.dtype === 'bool' && added === 0) return -Infinity;
  let sum = 0;
  const query = ((b * queries + i) * heads + head) * size;
  const key = ((b * keys + j) * keyHeads + Math.floor((head * keyHeads) / heads)) * size;
  for (let c = 0; c < size; ++c) sum += q.values[query + c]! * k.values[key + c]!;
  return sum * (scale ?? 1 / Math.sqrt(size)) + (mask?.dtype === 'float32' ? added! : 0);
}

function judgeAttention(inputs: AttentionInputs<Dense>, attrs: AttentionAttrs): Dense {
  const { q, v } = inputs;
  const [batch, queries, heads] = q.shape as [number, number, number];
  const [, keys, keyHeads, width] = v.shape as [number, number, number, number];
  const shares = build([batch, queries, heads, keys], 'float32', () => 0);
  const row = new Float64Array(keys);
  for (let b = 0, next = 0; b < batch; ++b) {
    for (let i = 0; i < queries; ++i) {
      for (let head = 0; head < heads; ++head, next += keys) {
        row.forEach((_, j) => (row[j] = Math.exp(scoreOf(inputs, attrs, [b, head, i, j]))));
        const sum = row.reduce((all, value) => all + value, 0);
        row.forEach((value, j) => (shares.values[next + j] = sum === 0 ? 0 : value / sum));
      }
    }
  }
  return build([batch, queries, heads, width], 'float32', ([b, i, head, c]) => {
    const share = ((b! * queries + i!) * heads + head!) * keys;
    const value = (b! * keys * keyHeads + Math.floor((head! * keyHeads) / heads)) * width + c!;
    let sum = 0;
    for (let j = 0; j < keys; ++j) sum += shares.values[share + j]! * v.values[value + j * keyHeads * width]!;
    return sum;
  });
}

/** Added to scores: small numbers, and now and then one that hides. */
function additiveMask(shape: readonly number[], valueSeed: number): TensorSpec {
  const random = randomSource(valueSeed);
  const values = Array.from({ length: sizeOf(shape) }, () => (random() < 0.25 ? -Infinity : 2 * random() - 1));
  return float(shape, 0, { values });
}

const length: fc.Arbitrary<number> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(1, 2, 3, 5, 7, 11, 17) },
  // Beside a block of keys.
  { weight: 1, arbitrary: fc.constantFrom(33, 65, 130) },
  { weight: 1, arbitrary: fc.constant(0) },
);

const attentionSpec = fusedSpec<'q' | 'k' | 'v', 'mask' | 'keyMask', AttentionAttrs>({
  name: 'attention',
  cases: fc
    .record({
      batch: fc.constantFrom(1, 2, 3),
      queries: fc.constantFrom(1, 2, 3, 5, 7, 17),
      keys: length,
      keyHeads: fc.constantFrom(1, 2, 3),
      perHead: fc.constantFrom(1, 1, 2, 3),
      size: fc.constantFrom(1, 3, 4, 8, 13, 17),
      width: fc.constantFrom(1, 3, 8, 9, 16),
      mask: fc.constantFrom('none', 'none', 'bool', 'float32'),
      repeats: fc.nat(15),
      hasKeyMask: fc.boolean(),
      isCausal: fc.boolean(),
      causalShift: fc.constantFrom(undefined, 0, 1, -2),
      scale: fc.constantFrom(undefined, 0.5),
      seed,
    })
    // Many keys are for few queries.
    .map((drawn) => (drawn.keys > 17 ? { ...drawn, batch: 1, queries: Math.min(drawn.queries, 3), perHead: 1 } : drawn))
    .map(({ batch, queries, keys, keyHeads, perHead, size, width, mask, repeats, hasKeyMask, seed: valueSeed, ...options }) => {
      const heads = keyHeads * perHead;
      const maskShape = [batch, heads, queries, keys].map((dimension, axis) => ((repeats >> axis) & 1 ? 1 : dimension));
      return {
        inputs: given({
          q: float([batch, queries, heads, size], valueSeed, 'unit'),
          k: float([batch, keys, keyHeads, size], valueSeed + 1, 'unit'),
          v: float([batch, keys, keyHeads, width], valueSeed + 2, 'unit'),
          mask:
            mask === 'none'
              ? undefined
              : mask === 'bool'
                ? bool(maskShape, valueSeed + 3)
                : additiveMask(maskShape, valueSeed + 3),
          keyMask: hasKeyMask ? bool([batch, keys], valueSeed + 4) : undefined,
        }),
        attrs: Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
      };
    }),
  run: ({ q, k, v, ...masks }, attrs) => [attention(q, k, v, { ...masks, ...attrs })],
  judge: (inputs, attrs) => [judgeAttention(inputs, attrs)],
  // A score is a sum of `size` products below 1 times at most 1 (0.5 with 17 of them), so it is off by (size + 2) roundings of
  // numbers up to 8.5, and each share of a row by twice that and 16 more of exponentials; then a mean of `keys` values below 1.
  bound: (kernelCase) => {
    const size = inputOf(kernelCase, 'q')!.shape[3]!;
    return { roundings: 2 * 8.5 * (size + 2) + 16 + inputOf(kernelCase, 'k')!.shape[1]! };
  },
  of: ['q', 'k', 'v'],
});

export const attentionSpecs: readonly FusedSpec[] = [attentionSpec];
