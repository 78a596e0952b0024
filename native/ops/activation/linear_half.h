// linear and linear_grad on 16-bit operands; see linear.h. x, w, y, saved, dy and dx have one dtype, f16 or bf16; bias has it
// too or is f32; dw and dbias are f32. Products as in ops/common/gemm_half.h, everything else in f32. dz is rounded to the
// dtype of dy before it is multiplied, as an elementwise op of mixed precision would store it.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t half_linear_workspace(const OpCall& call, int num_threads);
void half_linear(const OpCall& call, CpuContext& context);
int64_t half_linear_grad_workspace(const OpCall& call, int num_threads);
void half_linear_grad(const OpCall& call, CpuContext& context);

TK_END_LEVEL
