// Ops that rank, search and compare elements. Every result is a function of the input alone: ties have a fixed order.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// The k largest of each row, largest first: values[r, i] = x[r, indices[r, i]].
//   x [rows, n] f32, i32, u8; values [rows, k], dtype of x; indices [rows, k] i32; 0 <= k <= n <= 2^31 - 1
//   Equal values stand in the order of their indices, -0 and 0 being equal. NaN counts as less than -infinity.
//   workspace: k, or for large k 2 n keys of 8 bytes per thread
void top_k_cpu(const OpCall& call, CpuContext& context);
int64_t top_k_workspace(const OpCall& call, int num_threads);

// y[b, i] = how many elements of the ascending row sorted[b] are < values[b, i] (right = 0) or <= values[b, i] (right = 1),
// found by bisection; a NaN on either side compares false, as in tfjs.
//   sorted [batch, n], values [batch, m], both f32, i32 or u8; y [batch, m] i32
void search_sorted_cpu(const OpCall& call, CpuContext& context);

// Which of the n columns x[:, j, :] are equal, numbered in the order of their first appearance.
//   x [outer, n, inner] f32, i32, u8; ids [n] i32: number of column j; first [n] i32: where number i appears first, 0 from
//   count on; count [1] i32. NaNs are equal to each other, -0 to 0. Columns without elements are all equal.
//   workspace: a hash per column and a table of twice to four times n places
void unique_cpu(const OpCall& call, CpuContext& context);
int64_t unique_workspace(const OpCall& call, int num_threads);

TK_END_LEVEL
