// Ops that write or add where indices say. Indices come from device data: a wrong one is reported and does no harm. Where
// several indices name one place, they act in their order, however many threads work.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// Index tuples as row numbers: ids[i] = sum over d of indices[i, d] * strides[d].
//   indices i32 [k, r] (r may be 0: all ids are 0); ids i32 [k]; strides one per component, in rows; limit <= 2^31 - 1
//   As in tfjs only the sum is checked: outside [0, limit) it is reported and the id is -1.
void flat_index_cpu(const OpCall& call, CpuContext& context);

// y = x, then y[ids[i], :] = updates[i, :] for i = 0, 1, ...
//   x [rows, inner] or one element, which stands everywhere; ids i32 [k]; updates [k, inner] or one element, written to each
//   row; y [rows, inner]; x, updates and y f32, i32 or u8
//   Negative ids are left out; ids >= rows are left out and reported.
void scatter_update_cpu(const OpCall& call, CpuContext& context);

// y[r, v] = number of times v stands in x[r, :], or the sum of weights[r, i] over all i with x[r, i] = v, added in order of i;
// with binary = 1 it is 1 where v occurs at all, else 0. Values >= size are left out; negative ones are left out and reported.
//   x i32 [rows, n]; weights [rows, n] or empty (each counts 1), f32 or i32 (wraps); y [rows, size], dtype of weights
void bincount_cpu(const OpCall& call, CpuContext& context);

// y[s, :] = sum (mean = 0) or mean (mean = 1) of x[indices[i], :] over all i with segment_ids[i] = s, added in order of i; 0
// for an empty segment. i32 sums wrap and their mean is cut towards 0.
//   x [n, inner] f32 or i32; indices i32 [k]; segment_ids i32 [k], ascending; y [s, inner], dtype of x
//   An index outside [0, n) is reported and left out of the sum.
void sparse_segment_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
