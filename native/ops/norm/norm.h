// Batch normalisation with given statistics, f32.
//   batch_norm: y = (x - mean) * scale / sqrt(variance + epsilon) + offset
//   x any shape, y as x and may alias it
//   param* holds mean, variance, then scale if has_scale, then offset if has_offset; each has 1 element or L, the same L for
//   all, and repeats along x in memory order: L = C for statistics per channel, last axis
//   scale defaults to 1, offset to 0. scale / sqrt(variance + epsilon) is formed in double and rounded once. A variance below
//   -epsilon gives NaN; NaN and infinities propagate.
//   workspace: the three factors, repeated to a length worth a vector loop
// Source: Ioffe, Szegedy 2015, arXiv:1502.03167, algorithm 2.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t batch_norm_workspace(const OpCall& call, int num_threads);
void batch_norm_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
