import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys, checkNumber } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../native/engine.js';
import { currentBackend } from '../tensors.js';
import { checkDType, checkFloats, checkRank, checkShape } from './checks.js';
import { differentiable, fusedTensors, present, runFused } from './fused.js';

const FORWARD = declareOp('attention');
const GRADIENT = declareOp('attention_grad');

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
 * scores again. Kept for the gradient: q, k, v, y, the mask, and one number per query and head.
 *
 * A query that sees no key (all masked) gives y = 0 and no gradient. Grouped queries: with NK < NH heads of k and v, query
 * head h reads head floor(h * NK / NH). Self-attention over [B, T, C] needs no transposing: reshape to [B, T, NH, C / NH].
 *
 * @param q        [B, Tq, NH, HD] float32
 * @param k        [B, Tk, NK, HD] float32, NH a multiple of NK
 * @param v        [B, Tk, NK, HV] float32
 * @param options  masks, causality, scale
 * @returns        [B, Tq, NH, HV] float32; gradients reach q, k and v
 * @throws E_SHAPE, E_DTYPE, E_CONFIG
 * @source Vaswani et al. 2017, arXiv:1706.03762, eq. 1; computed as in Dao 2023, arXiv:2307.08691
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, options: AttentionOptions = {}): tf.Tensor4D {
  checkKeys('attention', options, ['mask', 'keyMask', 'isCausal', 'causalShift', 'scale']);
  checkHeads(q, k, v);
  const [batch, queries, heads, size] = q.shape as [number, number, number, number];
  const keys = k.shape[1] as number;
  const shape = [batch, queries, heads, v.shape[3] as number];
  const isCausal = checkBoolean('attention', 'isCausal', options.isCausal ?? false);
  const shift = checkInteger('attention', 'causalShift', options.causalShift ?? keys - queries);
  const scale = checkNumber('attention', 'scale', options.scale ?? 1 / Math.sqrt(Math.max(1, size)));
  const ints = [isCausal ? 1 : 0, shift];
  return tf.tidy(() => {
    const mask = joinMasks([batch, heads, queries, keys], options.mask, options.keyMask);
    const [y, logSum] = runFused(FORWARD, [q, k, v, mask ?? 'float32'], [[shape], [[batch, heads, queries]]], ints, [
      scale,
    ]) as [tf.TensorInfo, tf.TensorInfo];
    const [result] = differentiable({
      inputs: [q, k, v],
      outputs: [y],
      kept: present([q, k, v, currentBackend().alias(y), logSum, mask]),
      gradient: ([dy], kept) => {
        const [query, key, value, output, savedSum, savedMask] = kept as [
          ...[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor],
          tf.Tensor?,
        ];
        return fusedTensors(
          GRADIENT,
          [dy as tf.Tensor, query, key, value, savedMask ?? 'float32', output, savedSum],
          [[q.shape], [k.shape], [v.shape]],
          ints,
          [scale],
        );
      },
    });
    return result as tf.Tensor4D;
  });
}
