// Normalisation over places and groups of channels: group, instance and batch norm with statistics of the data. f32.
//
//   x, y, dy, dx   [N, S, C]: C = groups * K channels; statistics are taken per n and group over S places and K channels
//   scale, offset  [C] or none; they default to 1 and 0
//   mean, inverse  [N, groups], saved for the gradient; inverse = 1 / sqrt(variance + epsilon), variance biased
//   group_norm        y = (x - mean) inverse scale + offset. Instance norm: groups = C.
//   batch_norm_train  the same for N = 1, groups = C: x [1, S, C] with S = batch * places; and running_mean, running_variance
//                     [C] move towards the statistics of the batch: r += update_rate (s - r). With unbiased = 1 the variance
//                     among them is the unbiased one, S / (S - 1) times the biased (for S = 1 the biased one).
//   group_norm_grad   h = (x - mean) inverse, g = dy scale:
//                       dx = inverse (g - mean g - h mean(g h)), means over the group; fixed = 1: dx = inverse g, the
//                       gradient when the statistics are constants
//                       dscale = sum over n and s of dy h, doffset = of dy; each [C] or none
//   N * S * C = 0: no element is touched, dscale and doffset are 0; running values stay as they are.
//
// Statistics: of chunks of places the distances, in f32, from the mean of the chunk's first eighth, put together in double
// (Chan, Golub, LeVeque 1983), so that a large mean costs no digits. Chunks depend on the shape alone. Outputs alias no input.
// Sources: Wu, He 2018, arXiv:1803.08494; Ulyanov et al. 2016, arXiv:1607.08022; Ioffe, Szegedy 2015, arXiv:1502.03167.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// Workspaces: sums per chunk and channel, factors per n and channel.
int64_t group_norm_workspace(const OpCall& call, int num_threads);
void group_norm_cpu(const OpCall& call, CpuContext& context);
int64_t batch_norm_train_workspace(const OpCall& call, int num_threads);
void batch_norm_train_cpu(const OpCall& call, CpuContext& context);
int64_t group_norm_grad_workspace(const OpCall& call, int num_threads);
void group_norm_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
