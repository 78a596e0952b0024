// Activations with their gradients. Functions by number `kind`: ops/common/activation_math.h. f32.
//   activation       x -> y, one shape; y may alias x
//   activation_grad  dy, saved -> dx = dy f'; saved is the x or the y of the forward call, as the table of the functions says.
//                    dx may alias dy or saved
//   prelu_grad       y = x for x > 0, else alpha x, of the op prelu: x [..., C], alpha [C] or [1] ->
//                    dx = dy (x > 0 ? 1 : alpha), dalpha = sum of dy x where x <= 0, of alpha's size (or none)
// Error of f and f': 2e-6 of the value or 2e-7 absolute. NaN stays NaN; the limits at -inf and inf are taken.
// Source of PReLU: He, Zhang, Ren, Sun 2015, arXiv:1502.01852.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

void activation_cpu(const OpCall& call, CpuContext& context);
void activation_grad_cpu(const OpCall& call, CpuContext& context);

// Workspace: sums of each chunk of rows.
int64_t prelu_grad_workspace(const OpCall& call, int num_threads);
void prelu_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
