// Softmax over the last axis and the cross-entropy losses built on it. Operands are read as rows of cols = last dim (rank >=
// 1); rows are independent, any size, 0 included. f32; sums in blocks of 1024, these in double. The order is fixed.
//
//   softmax       x -> y same shape     e^(x - max) / sum e^(x - max); y may alias x
//   log_softmax   x -> y same shape     (x - max) - ln sum e^(x - max); y may alias x
//     A row with NaN or +inf, or of -inf only, gives NaN, as in tfjs. Shares below e^-87 of the largest one are 0.
//   softmax_grad  dy, y -> dx           y (dy - sum dy y), y being softmax's result; dx may alias dy or y
//
//   softmax_cross_entropy       logits [rows, cols], labels, class_weight -> loss [rows], row_weight [rows]
//   softmax_cross_entropy_grad  logits, labels, class_weight, dloss [rows] -> dlogits [rows, cols]; dlogits may alias logits
//     loss = -sum_c q_c log_softmax(logits)_c with q_c = w_c ((1 - smoothing) t_c + smoothing / cols), where q = 0 counts 0
//       even beside a logit of -inf; gradient dloss (softmax sum q - q)
//     labels i32 [rows]: t is 1 at the class of the row. A label outside [0, cols) is reported (E_INDEX at the next
//       synchronisation) and taken as the nearest valid class. With ignore = 1 a row whose label is ignored_class, valid or
//       not, has loss, row_weight and gradient 0.
//     labels f32 [rows, cols]: t itself; need not add up to 1.
//     class_weight: w f32 [cols], or none for 1.
//     row_weight: w of the row's class; 1 for labels given as f32. The mean that PyTorch takes is sum loss / sum row_weight.
//     cols = 0: loss 0.
#pragma once

#include "core/op_call.h"
