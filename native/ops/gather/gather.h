// Ops that pick rows by index, or sum rows by index. Indices come from device data: a wrong one is reported and does no harm.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// y[o, j, :] = x[o, indices[j], :]
//   x [outer, n, inner] f32, i32, u8; indices i32, any shape of k elements; y [outer, k, inner], dtype of x
//   An index outside [0, n) is reported and clamped; with n = 0 its row is filled with zeros.
void gather_cpu(const OpCall& call, CpuContext& context);

// y[s, :] = sum of x[i, :] over all i with segment_ids[i] = s, added in the order of i (so results repeat); 0 for an empty one.
//   x [k, inner...] f32, i32 (wraps); segment_ids i32, k elements; y [n, inner...], dtype of x
//   Negative ids are left out, as in tfjs; ids >= n are left out and reported.
void unsorted_segment_sum_cpu(const OpCall& call, CpuContext& context);

// y[..., d] = on where indices[...] = d, else off. An index outside [0, depth) gives a row of off and is no error, as in tfjs.
//   indices i32 [...]; y [..., depth] f32, i32, u8; on and off are converted to y's dtype (f32 rounds, others truncate)
void one_hot_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
