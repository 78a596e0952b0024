import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys, checkNumber, show } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { currentBackend, tensorFromInfo } from '../tensors.js';
import { checkDType, checkFloats, checkRank, checkShape } from './checks.js';
import { differentiable, fusedTensors, present, runFused } from './fused.js';
import { randomOperand, RandomState } from './random.js';

const FORWARD = declareOp('attention');
const GRADIENT = declareOp('attention_grad');
const RESERVE = declareOp('random_reserve');

/** Random words come in blocks of so many; a row of weights takes whole blocks. */
const BLOCK_WORDS = 4;
/** Most blocks that one call claims: attributes of ops are 32-bit integers. */
const MAX_BLOCKS = 2 ** 31 - 1;

export interface AttentionDropout {
  /** Probability that a weight is dropped, in [0, 1); the others are divided by 1 - rate. 0 draws nothing. */
  readonly rate: number;
  /** State to draw from; moves on. A recorded step draws a new mask at each replay. */
  readonly random: RandomState;
}

export interface AttentionOptions {
  /**
   * Rank 4, each dimension that of [B, NH, Tq, Tk] or 1. bool: true where a query may see a key. float32: added to the scores;
   * -Infinity hides. Gets no gradient. Default none.
   */
  readonly mask?: tf.Tensor | undefined;
  /** Padding: [B, Tk] bool, true where a key exists. Default none. */
  readonly keyMask?: tf.Tensor | undefined;
  /** Whether query i sees the keys up to i + causalShift only; default false. */
  readonly isCausal?: boolean | undefined;
  /** Default Tk - Tq: the last query sees all keys, as with a cache of earlier keys. 0 for PyTorch's `is_causal`. */
  readonly causalShift?: number | undefined;
  /** Factor of the scores; default 1 / sqrt(HD). */
  readonly scale?: number | undefined;
  /** Drops weights at random, after the softmax: for training. Default none. */
  readonly dropout?: AttentionDropout | undefined;
}

function checkHeads(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): void {
  checkFloats('attention', { q: [q], k: [k], v: [v] });
  checkRank('attention', 'q', q, '[B, Tq, NH, HD]', 4);
  checkRank('attention', 'k', k, '[B, Tk, NK, HD]', 4);
  checkRank('attention', 'v', v, '[B, Tk, NK, HV]', 4);
  const [batch, , heads, size] = q.shape as [number, number, number, number];
  const [, keys, keyHeads] = k.shape as [number, number, number, number];
  checkShape('attention', 'k', k, [batch, keys, keyHeads, size]);
  checkShape('attention', 'v', v, [batch, keys, keyHeads, v.shape[3] as number]);
  if (keyHeads === 0 || heads % keyHeads !== 0) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[attention] the heads of q must be a multiple of those of k and v: got q [${q.shape.join(', ')}] and k [${k.shape.join(', ')}].`,
    );
  }
}

function checkDropout({ dropout }: AttentionOptions): AttentionDropout | undefined {
  if (dropout === undefined) return undefined;
  if (typeof (dropout as unknown) !== 'object' || (dropout as unknown) === null) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[attention] wrong dropout: expected an object with rate and random, got ${show(dropout)}.`,
    );
  }
  checkKeys('attention', dropout, ['rate', 'random']);
  checkNumber('attention', 'dropout.rate', dropout.rate, { min: 0, below: 1 });
  if (!((dropout.random as unknown) instanceof RandomState)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[attention] wrong dropout.random: expected a RandomState to draw from, got ${show(dropout.random)}.`,
    );
  }
  return dropout.rate === 0 ? undefined : dropout;
}

/** Claims the random words of all weights; the state they begin at. */
function reserveWeights({ random }: AttentionDropout, [batch, queries, heads, keys]: readonly number[]): tf.Tensor {
  const backend = currentBackend();
  const rows = (batch as number) * (queries as number) * (heads as number);
  const reserve = (blocks: number): tf.Tensor =>
    tensorFromInfo(backend.run(RESERVE, [randomOperand(random)], { shape: [4], dtype: 'int32' }, [blocks]), backend);
  let blocks = rows * Math.ceil((keys as number) / BLOCK_WORDS);
  const start = reserve(Math.min(blocks, MAX_BLOCKS));
  while ((blocks -= MAX_BLOCKS) > 0) reserve(Math.min(blocks, MAX_BLOCKS)).dispose();
  return start;
}

/** The one mask of rank 4 that the op takes. */
function joinMasks(
  full: readonly number[],
  mask: tf.Tensor | undefined,
  keyMask: tf.Tensor | undefined,
): tf.Tensor | undefined {
  if (mask !== undefined) {
    checkDType('attention', 'mask', mask, ['bool', 'float32']);
    if (mask.rank !== 4 || mask.shape.some((dim, axis) => dim !== 1 && dim !== full[axis])) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[attention] wrong shape of mask: expected [B, NH, Tq, Tk] = [${full.join(', ')}] with 1 where it repeats, got [${mask.shape.join(', ')}].`,
      );
    }
  }
  if (keyMask === undefined) return mask;
  const [batch, , , keys] = full as [number, number, number, number];
  checkDType('attention', 'keyMask', keyMask, ['bool']);
  checkShape('attention', 'keyMask', keyMask, [batch, keys]);
  // Nothing to hide; tf.where does not broadcast to empty tensors.
  if (keyMask.size === 0 || mask?.size === 0) return mask;
  const padding = keyMask.reshape([batch, 1, 1, keys]);
  if (mask === undefined) return padding;
  return mask.dtype === 'bool' ? tf.logicalAnd(mask, padding) : tf.where(padding, mask, tf.scalar(-Infinity));
}

/**
 * Scaled dot-product attention: y_i = sum_j softmax_j(scale * q_i . k_j + mask_ij) * v_j, for every batch row and head. The
 * matrix of scores never stands in memory: forward and gradient work through blocks of it, and the gradient computes the
 * scores again. Kept for the gradient: q, k, v, y, the mask, and one number per query and head. Which weights are dropped is
 * kept as the random state alone (16 bytes), and found again for the gradient.
 *
 * A query that sees no key (all masked) gives y = 0 and no gradient. Grouped queries: with NK < NH heads of k and v, query
 * head h reads head floor(h * NK / NH). Self-attention over [B, T, C] needs no transposing: reshape to [B, T, NH, C / NH].
 *
 * @param q        [B, Tq, NH, HD] float32
 * @param k        [B, Tk, NK, HD] float32, NH a multiple of NK
 * @param v        [B, Tk, NK, HV] float32
 * @param options  masks, causality, scale, dropout
 * @returns        [B, Tq, NH, HV] float32; gradients reach q, k and v
 * @throws E_SHAPE, E_DTYPE, E_CONFIG
 * @source Vaswani et al. 2017, arXiv:1706.03762, eq. 1; computed as in Dao 2023, arXiv:2307.08691
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, options: AttentionOptions = {}): tf.Tensor4D {
  checkKeys('attention', options, ['mask', 'keyMask', 'isCausal', 'causalShift', 'scale', 'dropout']);
  checkHeads(q, k, v);
  const [batch, queries, heads, size] = q.shape as [number, number, number, number];
  const keys = k.shape[1] as number;
  const shape = [batch, queries, heads, v.shape[3] as number];
  const isCausal = checkBoolean('attention', 'isCausal', options.isCausal ?? false);
  const shift = checkInteger('attention', 'causalShift', options.causalShift ?? keys - queries);
  const scale = checkNumber('attention', 'scale', options.scale ?? 1 / Math.sqrt(Math.max(1, size)));
  const dropout = checkDropout(options);
  const ints = [isCausal ? 1 : 0, shift];
  const floats = [scale, dropout?.rate ?? 0];
  return tf.tidy(() => {
    const mask = joinMasks([batch, heads, queries, keys], options.mask, options.keyMask);
    const random = dropout && reserveWeights(dropout, [batch, queries, heads, keys]);
    const [y, logSum] = runFused(
      FORWARD,
      [q, k, v, mask ?? 'float32', random ?? 'int32'],
      [[shape], [[batch, heads, queries]]],
      ints,
      floats,
    ) as [tf.TensorInfo, tf.TensorInfo];
    const [result] = differentiable({
      inputs: [q, k, v],
      outputs: [y],
      kept: present([q, k, v, currentBackend().alias(y), logSum, mask, random]),
      gradient: ([dy], kept) => {
        const [query, key, value, output, savedSum, ...rest] = kept as [
          ...[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor],
          ...tf.Tensor[],
        ];
        const savedMask = mask && rest[0];
        const savedRandom = random && rest.at(-1);
        return fusedTensors(
          GRADIENT,
          [dy as tf.Tensor, query, key, value, savedMask ?? 'float32', savedRandom ?? 'int32', output, savedSum],
          [[q.shape], [k.shape], [v.shape]],
          ints,
          floats,
        );
      },
    });
    return result as tf.Tensor4D;
  });
}
