// Scaled dot-product attention without the matrix of scores in memory: blocks of queries meet blocks of keys, the softmax is
// kept as a running maximum and sum. The gradient computes the scores again from log_sum. f32.
//
//   q [B,Tq,NH,HD], k [B,Tk,NK,HD], v [B,Tk,NK,HV], y [B,Tq,NH,HV]; NH a multiple of NK: query head h reads head h / (NH / NK)
//   score_ij = scale q_i . k_j + mask_ij;   y_i = sum_j softmax(score_i)_j v_j;   log_sum [B,NH,Tq] = ln sum_j e^score_ij
//   mask       rank 4, [B or 1, NH or 1, Tq or 1, Tk or 1]: f32 is added; u8 lets query i see key j where it is not 0. Or none.
//   causal = 1 query i sees the keys j <= i + shift; shift = 0 pairs the first query with the first key, shift = Tk - Tq the
//              last with the last
//   A query that sees no key (all masked, a mask of -inf, Tk = 0) has y = 0, log_sum = -inf, and gives no gradient.
//   random     i32 [4], a state as `random_reserve` saved it, or none. Then D_ij = 1 / (1 - rate) where query i keeps its
//   weight
//              of key j, 0 where it drops it, stands before v_j in the sum, not in log_sum; kept with probability 1 - rate,
//              right to 2^-24. The word of (b, h, i, j) is the one of place j in a row of Tk rounded up to 4, row (b NH + h) Tq
//              + i: the whole call takes B NH Tq ceil(Tk / 4) blocks. No mask is stored; the gradient makes it again. rate in
//              [0, 1), 0 keeps all.
//   attention_grad  dy -> dq, dk, dv of the shapes of q, k, v; the mask gets none
//
// Order: keys in blocks of kKeyBlock, blocks in rising order; gradients of k and v over query heads, then blocks of queries in
// rising order. It does not depend on the threads. NaN in a score or in v reaches the queries whose blocks hold it. Outputs
// alias no input.
// Workspace: blocks per thread; for the gradient also [B,NH,Tq]. Memory does not grow with Tq * Tk.
// Sources: Vaswani et al. 2017, arXiv:1706.03762, eq. 1; Milakov, Gimelshein 2018, arXiv:1805.02867 (running softmax);
// Dao et al. 2022, arXiv:2205.14135, and Dao 2023, arXiv:2307.08691 (blocks, gradient by recomputation; dropout from
// the random state alone).
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t attention_workspace(const OpCall& call, int num_threads);
void attention_cpu(const OpCall& call, CpuContext& context);
int64_t attention_grad_workspace(const OpCall& call, int num_threads);
void attention_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
