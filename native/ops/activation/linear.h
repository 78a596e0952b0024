// A dense layer in one op: y = f(x w + b), and its gradients. f32, or 16-bit operands as in linear_half.h.
//   x [M,K], w [K,N], bias [N] or none, y [M,N]; f by number `kind`: ops/common/activation_math.h
//   linear       saved [M,N]: the argument of f for functions whose derivative is taken from it, or none when no gradient will
//                be asked for. Functions that save their result need none: y itself is the `saved` of linear_grad. kind 0 none.
//   linear_grad  with dz = dy f'(saved): dx = dz w^T, dw = x^T dz, dbias = column sums of dz; each of its shape or none
// Products as in ops/common/gemm.h: the order of summation does not depend on the threads. Outputs alias no input.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// Workspace: of the product; for the gradient also dz and sums of chunks.
int64_t linear_workspace(const OpCall& call, int num_threads);
void linear_cpu(const OpCall& call, CpuContext& context);
int64_t linear_grad_workspace(const OpCall& call, int num_threads);
void linear_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
