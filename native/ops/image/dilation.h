// Greyscale dilation by a filter with values, NHWC, and its gradients. f32.
//   x [N,H,W,C], filter [FH,FW,C], y and dy [N,OH,OW,C], dx as x, dfilter as filter. Position (oh, ow) sees the taps
//   h = oh*stride_h - pad_top + fh*dilation_h, w = ow*stride_w - pad_left + fw*dilation_w that lie in the image
//   dilation2d: y = the largest of x[h,w,c] + filter[fh,fw,c]; NaN is never the largest. Where no tap is above -2^53, y is
//     -2^53, as in tfjs
//   dilation2d_input_grad: dy goes to the x of the first largest tap in (fh, fw) order; where there is none, to the position's
//     first pixel moved to row and column 0 at least, nowhere if that is outside too
//   dilation2d_filter_grad: dy goes to the filter value of the first largest tap; where there is none, to filter[0,0]
//   stride_*, dilation_* >= 1; H*W < 2^31. Outputs must not overlap inputs.
// workspace: the filter gradient's partial sums; their number depends on shapes only, so that the sums have one order.
// Source: Serra 1982, "Image analysis and mathematical morphology"; in detail as tfjs's Dilation2D, after TensorFlow's.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

void dilation2d_cpu(const OpCall& call, CpuContext& context);
void dilation2d_input_grad_cpu(const OpCall& call, CpuContext& context);
int64_t dilation2d_filter_grad_workspace(const OpCall& call, int num_threads);
void dilation2d_filter_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
