// Optimizer steps. One call updates all parameters of a group in a single pass over memory, in place. Hyper-parameters and the
// step count are operands in device memory, so a recorded call can be replayed while they change. Members of a starred group
// have equal shapes across groups (param[i], grad[i], ...); sizes may differ between members and may be 0.
//
// The hyper-parameters of every rule may be followed by one more f32 value: 0 leaves the whole call without effect, step count
// included; anything else, or its absence, means nothing. It comes from the device, where gradients are judged.
//
// Elements are independent: the result does not depend on threads. NaN and infinity in a gradient reach the parameter.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// Adam, or AdamW with decoupled = 1.
//   hyper f32[5] = {learning rate, beta1, beta2, epsilon, weight decay}; step i32[1], raised by one first and then used as t
//   g   = grad + weight_decay * param            (decoupled = 0)
//   param *= 1 - learning_rate * weight_decay    (decoupled = 1)
//   m   = beta1 * m + (1 - beta1) * g;   v = beta2 * v + (1 - beta2) * g^2;   both start as zeros
//   param -= learning_rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
// The betas' powers are formed in double from the f32 values.
// Sources: Kingma, Ba 2015, arXiv:1412.6980; Loshchilov, Hutter 2019, arXiv:1711.05101; the order of operations as in
// PyTorch's torch.optim.Adam and AdamW.
void adam_cpu(const OpCall& call, CpuContext& context);

// Gradient descent: param -= learning_rate * (grad + weight_decay * param).
//   hyper f32[3] = {learning rate, momentum (not used here), weight decay}
void sgd_cpu(const OpCall& call, CpuContext& context);

// Gradient descent with momentum, in PyTorch's form with dampening 0; velocity starts as zeros.
//   hyper f32[3] = {learning rate, momentum, weight decay}
//   g = grad + weight_decay * param;   velocity = momentum * velocity + g
//   param -= learning_rate * velocity                     (nesterov = 0)
//   param -= learning_rate * (g + momentum * velocity)    (nesterov = 1)
void sgd_momentum_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
