// Reductions: x [outer, n, inner] -> y [outer, inner]. Any size, 0 included. y may not alias x.
//
//   reduce_sum   f32 i32   n = 0 gives 0; i32 wraps
//   reduce_mean  f32       sum / n; n = 0 gives NaN
//   reduce_prod  f32 i32   n = 0 gives 1; i32 wraps
//   reduce_max   f32 i32   n = 0 gives -inf, INT32_MIN; NaN if any is
//   reduce_min   f32 i32   n = 0 gives +inf, INT32_MAX; NaN if any is
//   reduce_all   u8        n = 0 gives 1; result 0 or 1, any byte but 0 counts as true
//   reduce_any   u8        n = 0 gives 0
//   argmax       f32 i32 u8 -> i32: index along n of the first largest. As in tfjs NaN never wins, except that a NaN in front
//   argmin                 stays, so the result is 0; n = 0 gives 0. n is at most INT32_MAX
//
// The order of additions depends on the shape and the instruction-set level only, never on threads. Sums are pairwise above
// blocks of 1024 elements in a row, of 256 rows in a column, so the error grows with the logarithm of n; rows of 65536 and more
// elements are four rows first.
#pragma once

#include "core/op_call.h"
