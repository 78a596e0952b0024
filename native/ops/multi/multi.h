// One call over many f32 tensors of any sizes, as gradients are: their common norm, and scaling or clipping all of them.
// x*, y* are groups of equal sizes, member by member; y may not alias x. Scalars are operands in device memory ([1] each).
//   multi_norm       norm = sqrt(sum of all squares), summed in double by fixed chunks of each member; finite u8 = 1 where
//                    every element is finite (a norm beyond f32 is inf, with finite still 1)
//   multi_scale      y = x factor
//   multi_clip_norm  y = x min(1, limit / (norm + 1e-6)), the form of PyTorch's clip_grad_norm_; where the factor is 1 or
//                    norm is NaN, y = x bit for bit
//   multi_clip_each  the same with the norm of each member by itself, summed as in multi_norm
//   multi_clamp      y = max(-limit, min(limit, x)); NaN stays NaN
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// Workspace: the sum of each chunk.
int64_t multi_norm_workspace(const OpCall& call, int num_threads);
void multi_norm_cpu(const OpCall& call, CpuContext& context);

void multi_scale_cpu(const OpCall& call, CpuContext& context);
void multi_clip_norm_cpu(const OpCall& call, CpuContext& context);
// Workspace: as multi_norm.
int64_t multi_clip_each_workspace(const OpCall& call, int num_threads);
void multi_clip_each_cpu(const OpCall& call, CpuContext& context);
void multi_clamp_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
