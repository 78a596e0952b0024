// Elementwise ops of one operand: y[i] = f(x[i]), y of x's shape; y may alias x where the dtypes have the same size.
// Any rank and size, 0 included. i32 wraps; u8 holds 0 or 1.
//
//   the TK_UNARY rows of ops.def    formulas in ops/common/unary_math.h, meaning of tfjs
//   leaky_relu  alpha               x < 0 ? alpha x : x
//   step        alpha               x > 0 ? 1 : alpha; NaN gives NaN
//   clip        min max             into [min, max], NaN stays; on i32 a bound with a fraction is compared as it is and loses
//   the
//                                   fraction in the result, as when tfjs stores it
//   cast                            all pairs of f32, i32, u8, f16, bf16:
//                                   to u8: x != 0 (NaN gives 1); to i32: towards zero, modulo 2^32, NaN and infinities 0 (the
//                                   ToInt32 of ECMAScript); to f16 and bf16: nearest, halves to even, overflow gives infinity;
//                                   i32 to f16 and bf16 goes through f32
//   copy                            the same bytes
#pragma once

#include "core/op_call.h"
