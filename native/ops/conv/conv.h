// 2-D and 3-D convolution and gradients, channels last, f32. Written for two axes; the 3-D ops have a third, d, before h, with
// x [N,D,H,W,C], filter [KD,KH,KW,C,Cout], y [N,OD,OH,OW,Cout] and stride_d, dilation_d, pad_front.
//   x [N,H,W,C], filter [KH,KW,C,Cout], y and dy [N,OH,OW,Cout]; dx as x, dfilter as filter
//   y[n,oh,ow,co] = sum over kh,kw,c of x[n, oh*stride_h - pad_top + kh*dilation_h, ow*stride_w - pad_left + kw*dilation_w, c]
//                   * filter[kh,kw,c,co]; taps outside the image count as zero
//   stride_* and dilation_* >= 1; pad_top and pad_left are the rows and columns of zeros before the image and may be negative
//   (the image is cropped); what is padded after it follows from OH and OW
//   conv2d_input_grad: dx from dy and filter; conv2d_filter_grad: dfilter from x and dy; the exact adjoints of the above
//   Outputs must not overlap inputs. Nothing to sum gives zeros. NaN and infinities propagate; padding multiplies the filter
//   by zero, so an infinite or NaN weight may make an output at the border NaN.
//   workspace: <op>_workspace; packed operands, pointer tables, for few channels a padded copy of the image
//   Order of summation depends on shapes, attributes and instruction set only, not on the number of threads. No atomics.
// Source: implicit GEMM as in Chetlur et al. 2014, arXiv:1410.0759, section 3; rows found through pointers as in Dukhan 2019,
// arXiv:1907.02129.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t conv2d_workspace(const OpCall& call, int num_threads);
void conv2d_cpu(const OpCall& call, CpuContext& context);
int64_t conv2d_input_grad_workspace(const OpCall& call, int num_threads);
void conv2d_input_grad_cpu(const OpCall& call, CpuContext& context);
int64_t conv2d_filter_grad_workspace(const OpCall& call, int num_threads);
void conv2d_filter_grad_cpu(const OpCall& call, CpuContext& context);
int64_t conv3d_workspace(const OpCall& call, int num_threads);
void conv3d_cpu(const OpCall& call, CpuContext& context);
int64_t conv3d_input_grad_workspace(const OpCall& call, int num_threads);
void conv3d_input_grad_cpu(const OpCall& call, CpuContext& context);
int64_t conv3d_filter_grad_workspace(const OpCall& call, int num_threads);
void conv3d_filter_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
