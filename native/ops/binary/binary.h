// Elementwise ops of two or three operands with broadcasting: y[i] = f(a[i], b[i]), numpy's rules over axes aligned at the
// right. Rank 0 to 8, any size, 0 included; y's dims are given, and each input's dim equals y's or is 1. y may alias an input
// of y's shape and element size. i32 wraps; u8 holds 0 or 1; comparisons and logic give u8.
//
//   the TK_BINARY rows of ops.def   formulas in ops/common/binary_math.h, meaning of tfjs
//   elu_grad  a dy, b elu's result  b >= 0 ? dy : dy (b + 1)
//   prelu     a x, b alpha          x < 0 ? alpha x : x
//   select    condition u8, a, b    condition != 0 ? a : b, all three broadcast
#pragma once

#include "core/op_call.h"
