// Softmax over the last axis and the cross-entropy losses built on it. Operands are read as rows of cols = last dim (rank >=
// 1); rows are independent, any size, 0 included. f32; sums in blocks of 1024, these in double. The order is fixed.
//
//   softmax       x -> y same shape     e^(x - max) / sum e^(x - max); y may alias x
//   log_softmax   x -> y same shape     (x - max) - ln sum e^(x - max); y may alias x
//     A row with NaN or +inf, or of -inf only, gives NaN, as in tfjs. Shares below e^-87 of the largest one are 0.
//   softmax_grad  dy, y -> dx           y (dy - sum dy y), y being softmax's result; dx may alias dy or y
//
//   softmax_cross_entropy       logits [rows, cols], labels -> loss [rows]
//   softmax_cross_entropy_grad  logits, labels, dloss [rows] -> dlogits [rows, cols]; dlogits may alias logits
//     labels i32 [rows]: the class of each row; loss = -log_softmax(logits)[label]. A label outside [0, cols) is reported
//       (E_INDEX at the next synchronisation) and taken as the nearest valid class.
//     labels f32 [rows, cols]: weights p of the classes; loss = -sum p log_softmax(logits), where p = 0 counts 0 even beside a
//       logit of -inf; gradient dloss (softmax sum p - p).
//     cols = 0: loss 0.
#pragma once

#include "core/op_call.h"
