// 2-D pooling and its gradients, NHWC, f32.
//   x [N,H,W,C], y and dy [N,OH,OW,C]; dx as x. Window position (oh, ow) covers the taps
//   h = oh*stride_h - pad_top + kh*dilation_h, w = ow*stride_w - pad_left + kw*dilation_w that lie in the image
//   window_*, stride_*, dilation_* >= 1; what is padded after the image follows from OH and OW
//   max_pool2d: the largest tap; NaN is ignored as in tfjs; a window without numbers gives -infinity
//   avg_pool2d: sum of the taps in the image divided by how many there are; NaN propagates; no tap in the image gives NaN
//   max_pool2d_grad: dy goes to the first largest tap in window order (kh, then kw); nowhere when all are NaN or -infinity
//   avg_pool2d_grad: each tap in the image gets dy / their number: the exact adjoint of avg_pool2d. tfjs's own backends divide
//   by window_h*window_w here, also where the window leaves the image; TensorFlow does as we do. Outputs must not overlap
//   inputs. workspace: none. Sums run over windows in rising (oh, ow), whatever the number of threads. With dilation and
//   padding the taps keep their grid, as in TensorFlow; tfjs's cpu backend starts it anew at the border.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

void max_pool2d_cpu(const OpCall& call, CpuContext& context);
void max_pool2d_grad_cpu(const OpCall& call, CpuContext& context);
void avg_pool2d_cpu(const OpCall& call, CpuContext& context);
void avg_pool2d_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
