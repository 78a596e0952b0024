// Binary cross-entropy of logits, element by element, safe against overflow. f32.
//   binary_cross_entropy       logits, labels -> loss, all of one shape
//   binary_cross_entropy_grad  logits, labels, dloss -> dlogits; may alias logits or dloss
//     loss = (1 - t) x + (1 + (p - 1) t) ln(1 + e^-x), t = labels (1 - smoothing) + smoothing / 2, x the logit:
//            that is -(p t ln s + (1 - t) ln(1 - s)) for s = sigmoid(x)
//     d loss / dx = (1 - t) - (1 + (p - 1) t) sigmoid(-x)
//     positive_weight: p, [1] or [last dimension], or none for 1
//   A logit of +inf gives 0 for t = 1 (and -inf for t = 0), NaN stays NaN.
// Source: the log-sum-exp form of PyTorch's documentation of BCEWithLogitsLoss.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

void binary_cross_entropy_cpu(const OpCall& call, CpuContext& context);
void binary_cross_entropy_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
