// Layer norm and RMS norm: each row of `cols` neighbouring elements is normalised by itself. f32.
//
//   x, y, residual, sum, dy, dx   any shape with cols > 0 as last dimension, rows = size / cols
//   scale, offset                 [cols] or none; they default to 1 and 0
//   mean, inverse                 [rows], saved for the gradient: inverse = 1 / sqrt(variance + epsilon); mean is 0 when not
//                                 centered
//   row_norm        centered = 1 (layer norm): y = (x - mean) inverse scale + offset, variance = mean (x - mean)^2
//                   centered = 0 (RMS norm):   y = x inverse scale + offset, inverse = 1 / sqrt(mean x^2 + epsilon)
//   residual_norm   sum = x + residual, y = row_norm(sum)
//   row_norm_grad   with h = (x - mean) inverse and g = dy scale:
//                     dx = inverse (g - mean g - h mean(g h)), without mean g when not centered
//                     dscale = sum over rows of dy h, doffset = sum over rows of dy; each [cols] or none
//   residual_norm_grad   dx = dsum + the same for x = sum; it is the gradient of x and of residual; dsum may be none
//
// Means are taken in double of blocks in f32, the variance in a second pass. Column sums go by fixed chunks of rows. NaN and
// infinities stay in their row. Outputs alias no input.
// Sources: Ba, Kiros, Hinton 2016, arXiv:1607.06450, eq. 4; Zhang, Sennrich 2019, arXiv:1910.07467, eq. 4.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

void row_norm_cpu(const OpCall& call, CpuContext& context);
void residual_norm_cpu(const OpCall& call, CpuContext& context);

// Workspace: sums of each chunk of rows.
int64_t row_norm_grad_workspace(const OpCall& call, int num_threads);
void row_norm_grad_cpu(const OpCall& call, CpuContext& context);
int64_t residual_norm_grad_workspace(const OpCall& call, int num_threads);
void residual_norm_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
