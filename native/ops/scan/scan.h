// Running sums and products along the middle axis of x [outer, n, inner]; y has x's shape. f32, i32.
//   y[j] = x[0] op .. op x[j]; exclusive: the same without x[j], beginning with 0 or 1; reverse: from the end to the start
//   y may alias x
//   f32 is accumulated in double and rounded once per element: later elements do not suffer from the rounding of earlier
//   ones, and a product may pass through values beyond f32. i32 wraps. NaN and infinities propagate to all that follow.
//   workspace: none. Lines are independent; one line is scanned in order by one thread.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

void cumsum_cpu(const OpCall& call, CpuContext& context);
void cumprod_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
