// Element-wise choice by a condition.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// y = condition != 0 ? a : b
//   condition u8, a and b f32, i32 or u8 broadcast to y by numpy's rules (aligned at the last axis); y has a's dtype and may
//   alias an a or b of its own shape. Values pass through unchanged, NaN included.
void select_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
