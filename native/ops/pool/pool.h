// 2-D and 3-D pooling and gradients, channels last, f32.
//   2-D: x [N,H,W,C], y and dy [N,OH,OW,C]; 3-D: x [N,D,H,W,C], y and dy [N,OD,OH,OW,C]; dx as x
//   Along each axis window position o covers the taps o*stride - pad + k*dilation, 0 <= k < window, that lie in the image;
//   window_*, stride_*, dilation_* >= 1; what is padded after the image follows from the size of y
//   max_pool: the largest tap; NaN is ignored as in tfjs; a window without numbers gives -infinity
//   max_pool2d_argmax: also positions i32 [N,OH,OW,C] of the first largest tap: (h*W + w)*C + c, or ((n*H + h)*W + w)*C + c
//   if with_batch; -1 where all taps are NaN or -infinity; wraps past 2^31
//   avg_pool: sum of the taps in the image divided by how many there are; NaN propagates; no tap in the image gives NaN in
//   2-D and zero in 3-D, as in tfjs
//   max_pool2d_grad: dy goes to the first largest tap in window order; nowhere when all are NaN or -infinity
//   max_pool3d_grad: to the last largest one, -infinity included, as in tfjs's cpu backend; nowhere when all are NaN
//   avg_pool_grad: each tap in the image gets dy / size of the window, as tfjs defines it and its specs demand. Where the
//   window leaves the image the adjoint of avg_pool would divide by the number of taps there, as TensorFlow does.
//   Outputs must not overlap inputs. workspace: none. Sums run over windows in rising order, whatever the number of threads.
//   With dilation and padding the taps keep their grid, as in TensorFlow; tfjs's cpu backend starts that of 2-D anew at the
//   border.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

void max_pool2d_cpu(const OpCall& call, CpuContext& context);
void max_pool2d_grad_cpu(const OpCall& call, CpuContext& context);
void max_pool2d_argmax_cpu(const OpCall& call, CpuContext& context);
void avg_pool2d_cpu(const OpCall& call, CpuContext& context);
void avg_pool2d_grad_cpu(const OpCall& call, CpuContext& context);
void max_pool3d_cpu(const OpCall& call, CpuContext& context);
void max_pool3d_grad_cpu(const OpCall& call, CpuContext& context);
void avg_pool3d_cpu(const OpCall& call, CpuContext& context);
void avg_pool3d_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
