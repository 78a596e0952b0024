// Further optimizer steps, under the rules of optim.h: in place, one call per group, hyper-parameters in device memory.
// g stands for grad + weight_decay * param unless stated otherwise; a weight decay of 0 leaves its arithmetic out. State begins
// as zeros. The order of operations is PyTorch's (torch.optim) where it has the rule.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// hyper f32[5] = {learning rate, alpha, epsilon, weight decay, momentum}
//   square = alpha square + (1 - alpha) g^2;   root = sqrt(square) + epsilon
//   centered = 1: average += (1 - alpha) (g - average) and root = sqrt(square - average^2) + epsilon
//   momentum > 0: velocity = momentum velocity + g / root, param -= rate velocity; else param -= rate g / root
//   average is read only if centered, velocity only if has_momentum; members of the other groups may have 0 elements.
// Source: Tieleman, Hinton 2012, lecture 6.5; centered: Graves 2013, arXiv:1308.0850.
void rmsprop_cpu(const OpCall& call, CpuContext& context);

// hyper f32[4] = {learning rate, rate decay, epsilon, weight decay}; step i32[1], raised by one first
//   sum += g^2;   param -= rate / (1 + (step - 1) rate_decay) g / (sqrt(sum) + epsilon)
// Source: Duchi, Hazan, Singer 2011, JMLR 12.
void adagrad_cpu(const OpCall& call, CpuContext& context);

// hyper f32[4] = {learning rate, rho, epsilon, weight decay}
//   square = rho square + (1 - rho) g^2;   d = sqrt(update + epsilon) / sqrt(square + epsilon) g
//   update = rho update + (1 - rho) d^2;   param -= rate d
// Source: Zeiler 2012, arXiv:1212.5701.
void adadelta_cpu(const OpCall& call, CpuContext& context);

// hyper f32[5] = {learning rate, beta1, beta2, epsilon, weight decay}; step i32[1], raised by one first and then used as t
//   m += (1 - beta1) (g - m);   u = max(beta2 u, |g| + epsilon);   param -= rate / (1 - beta1^t) m / u
// Source: Kingma, Ba 2015, arXiv:1412.6980, algorithm 2.
void adamax_cpu(const OpCall& call, CpuContext& context);

// hyper f32[6] = {learning rate, beta1, beta2, epsilon, weight decay, momentum decay}; step i32[1], raised by one first and
// then used as t; product f32[1], 1 before the first step
//   mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2);   product *= mu_t;   m and v as in Adam
//   root = sqrt(v / (1 - beta2^t)) + epsilon
//   param -= rate ((1 - mu_t) / (1 - product) g + mu_(t+1) / (1 - product mu_(t+1)) m) / root
//   decoupled = 1: g = grad and param *= 1 - rate weight_decay beforehand
// Source: Dozat 2016, Incorporating Nesterov momentum into Adam.
void nadam_cpu(const OpCall& call, CpuContext& context);

// hyper f32[4] = {learning rate, beta1, beta2, weight decay}; g = grad
//   param = param (1 - rate weight_decay) - rate sign(beta1 m + (1 - beta1) g);   m = beta2 m + (1 - beta2) g
// Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
void lion_cpu(const OpCall& call, CpuContext& context);

// hyper f32[5] = {learning rate, beta1, beta2, epsilon, weight decay}; step i32[1], raised by one first and then used as t;
// g = grad; m and v as in Adam
//   r = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay param
//   param -= rate ratio r, ratio = |param| / |r| of the member's norms before the step, 1 where either is 0
// Workspace: the two sums of squares of each chunk, in double; added up in the order of the chunks.
// Source: You et al. 2020, arXiv:1904.00962, algorithm 2, phi the identity.
int64_t lamb_workspace(const OpCall& call, int num_threads);
void lamb_cpu(const OpCall& call, CpuContext& context);

// target += weight (source - target), weight f32[1]; a weight of 1 copies, whatever the target holds; a weight of 0
// changes nothing, whatever the source holds. For moving averages of weights and statistics, look-ahead, and replacing values
// within a recorded step.
void move_towards_cpu(const OpCall& call, CpuContext& context);

// target = keep target + weight source, factors f32[2] = {keep, weight}; keep 0 begins anew, whatever the target holds. For
// sums of gradients over several batches.
void accumulate_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
