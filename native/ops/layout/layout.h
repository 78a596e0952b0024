// Layout ops: they move elements and never compute with them, so every dtype of the same size takes the same path.
// All outputs are dense and never alias an input. Rank at most 8. An empty output is valid and does nothing.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// y.dims[i] = x.dims[perm[i]]; perm is a permutation of 0..rank-1.
void transpose_cpu(const OpCall& call, CpuContext& context);

// y[i...] = x[begin + i...]; x and y have the same rank and begin[d] + y.dims[d] <= x.dims[d].
void slice_cpu(const OpCall& call, CpuContext& context);

// y[i...] = x[begin[d] + i*stride[d]...]; begin_stride holds begin[rank], then stride[rank]. Strides may be negative, not
// zero; begin is an index into x (already normalised), and all indices reached lie inside x.
void strided_slice_cpu(const OpCall& call, CpuContext& context);

// x_i [outer, n_i, inner] -> y [outer, sum of n_i, inner]; members with n_i = 0 are allowed.
void concat_cpu(const OpCall& call, CpuContext& context);

// y[i...] = x[i - before...] where that lies inside x, else value (converted to the dtype: f32 rounds, i32 and u8 truncate).
// Padding after the end follows from y's shape.
void pad_cpu(const OpCall& call, CpuContext& context);

// Like pad, but outside x the values are mirrored at the border: symmetric = 1 repeats the border element,
// symmetric = 0 (reflect) does not. Per axis, padding is at most x.dims[d] (symmetric) or x.dims[d] - 1 (reflect).
void mirror_pad_cpu(const OpCall& call, CpuContext& context);

// Repeats x along each axis y.dims[d] / x.dims[d] times (a whole number); with x.dims[d] = 1 this is broadcast_to.
// x and y have the same rank.
void tile_cpu(const OpCall& call, CpuContext& context);

// Reverses each axis d whose bit (1 << d) is set in axes_mask. x and y have the same shape.
void reverse_cpu(const OpCall& call, CpuContext& context);

// x [n] -> y [n,n]: x on the diagonal, 0 elsewhere.
void diag_cpu(const OpCall& call, CpuContext& context);

// y = value everywhere (converted as in pad).
void fill_cpu(const OpCall& call, CpuContext& context);

// f32: y[i] = start + i*step, computed in double and rounded once. i32: start and step are truncated first; wraps.
void range_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
