// Random ops. Every number is a pure function of the state and its position, so results do not depend on threads, on the
// instruction set, or on the device.
//
// state, saved_state i32[4] = {key_lo, key_hi, counter_lo, counter_hi}. Element i of a call comes from Philox 4x32-10 under
// that key (Salmon et al. 2011), block counter + i/4 (64 bits, wraps), word i%4; the two upper counter words are zero. A call
// over n elements ends by adding ceil(n/4) to the counter in `state`, so that a replayed call goes on where the last one
// stopped. Formulas: ops/common/philox.h. Outputs may have any shape; none of them may alias `state`.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// f32: y in [min, max), min*(1-u) + max*u with u = k * 2^-24, k uniform; min = max gives min. Needs min <= max, both finite.
// i32: y uniform over the whole numbers of [min, max), each probability right to 2^-32; needs -2^31 <= min < max <= 2^31.
void random_uniform_cpu(const OpCall& call, CpuContext& context);

// y = mean + stddev * z, z standard normal within [-6.56, 6.56]. Words 0 and 1 of a block give its elements 0 and 1, words 2
// and 3 its elements 2 and 3 (Box and Muller 1958).
void random_normal_cpu(const OpCall& call, CpuContext& context);

// y = x / (1 - rate) where kept, 0 where dropped (also for infinite and NaN x); each element is kept with probability
// 1 - rate, right to 2^-24. rate in [0, 1). saved_state gets the state the call began with. y may alias x.
void dropout_cpu(const OpCall& call, CpuContext& context);

// probabilities [B,E], E >= 1, samples [B,S]: samples[b,s] is the first event whose cumulative probability is above u, or the
// last event. u = word * 2^-32, the word that element b*S+s gets under key {seed_low, seed_high} from counter 0: a call is a
// pure function of its seed and keeps no state. Sums are taken in double; a negative or NaN probability adds no event of its
// own. Workspace: cumulative probabilities.
int64_t multinomial_workspace(const OpCall& call, int num_threads);
void multinomial_cpu(const OpCall& call, CpuContext& context);

// saved_state gets the state the call began with; the counter in `state` moves on by `blocks` >= 0. Claims random numbers for
// an op that makes them itself, as attention does.
void random_reserve_cpu(const OpCall& call, CpuContext& context);

// dx = dy / (1 - rate) where the dropout that wrote saved_state kept its element, 0 elsewhere. dx may alias dy.
void dropout_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
