// Depthwise 2-D convolution and its two gradients, NHWC, f32: each channel has M filters of its own.
//   x [N,H,W,C], filter [KH,KW,C,M], y and dy [N,OH,OW,C*M]; dx as x, dfilter as filter
//   y[n,oh,ow,c*M+m] = sum over kh,kw of
//       x[n, oh*stride_h - pad_top + kh*dilation_h, ow*stride_w - pad_left + kw*dilation_w, c] * filter[kh,kw,c,m];
//   taps outside the image are left out
//   attributes as for conv2d; the gradients are the exact adjoints
//   Outputs must not overlap inputs. Nothing to sum gives zeros; NaN and infinities propagate.
//   workspace: for M > 1 a copy of x with each channel M times (forward, filter gradient) or the sums before they are added
//   over m (input gradient); for the filter gradient also partial sums over at most 16 groups of output rows
//   Taps are summed in rising order (kh, then kw); pixels of the filter gradient in a fixed order within a group of rows (rows
//   of an image by fours, from pixel to pixel), then the groups in order; groups depend on shapes only. No atomics.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t depthwise_conv2d_workspace(const OpCall& call, int num_threads);
void depthwise_conv2d_cpu(const OpCall& call, CpuContext& context);
int64_t depthwise_conv2d_input_grad_workspace(const OpCall& call, int num_threads);
void depthwise_conv2d_input_grad_cpu(const OpCall& call, CpuContext& context);
int64_t depthwise_conv2d_filter_grad_workspace(const OpCall& call, int num_threads);
void depthwise_conv2d_filter_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
