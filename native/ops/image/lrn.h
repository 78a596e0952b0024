// Local response normalization over channels. x, y, dy, dx [...,C], f32; radius >= 0.
//   s[c] = bias + alpha * sum of x[k]^2 over |k - c| <= radius, 0 <= k < C
//   lrn:      y[c] = x[c] * s[c]^-beta
//   lrn_grad: dx[k] = dy[k] * s[k]^-beta - 2 alpha beta x[k] * sum of dy[c] y[c] / s[c] over |c - k| <= radius
// Windows are summed from the lowest channel up. y may alias x, dx any input.
// workspace: <op>_workspace; padded rows per thread.
// Source: Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks", section 3.3,
// with tfjs's parameters (alpha is not divided by the window's size).
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t lrn_workspace(const OpCall& call, int num_threads);
void lrn_cpu(const OpCall& call, CpuContext& context);
int64_t lrn_grad_workspace(const OpCall& call, int num_threads);
void lrn_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
