// The sizes of a depthwise convolution, read from any of its three ops.
#pragma once
#include "ops/common/gemm.h"

TK_BEGIN_LEVEL

struct DepthwiseGeometry {
  int64_t n, h, w, c, m, kh, kw, oh, ow;
  int64_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;

  TK_INLINE int64_t channels() const { return c * m; }
  TK_INLINE int64_t x_pixels() const { return n * h * w; }
};

TK_INLINE DepthwiseGeometry read_depthwise(const OpCall& call, const Operand& x, const Operand& filter, const Operand& y) {
  TK_CHECK(x.rank == 4 && filter.rank == 4 && y.rank == 4);
  DepthwiseGeometry g;
  g.n = x.dims[0], g.h = x.dims[1], g.w = x.dims[2], g.c = x.dims[3];
  g.kh = filter.dims[0], g.kw = filter.dims[1], g.m = filter.dims[3];
  g.oh = y.dims[1], g.ow = y.dims[2];
  TK_CHECK_EQ(filter.dims[2], g.c);
  TK_CHECK_EQ(y.dims[0], g.n);
  TK_CHECK_EQ(y.dims[3], g.channels());
  g.stride_h = TK_INT(call, depthwise_conv2d, stride_h), g.stride_w = TK_INT(call, depthwise_conv2d, stride_w);
  g.dilation_h = TK_INT(call, depthwise_conv2d, dilation_h), g.dilation_w = TK_INT(call, depthwise_conv2d, dilation_w);
  g.pad_top = TK_INT(call, depthwise_conv2d, pad_top), g.pad_left = TK_INT(call, depthwise_conv2d, pad_left);
  TK_CHECK(g.stride_h >= 1 && g.stride_w >= 1 && g.dilation_h >= 1 && g.dilation_w >= 1);
  return g;
}

constexpr int64_t kDepthwiseUnit = 64 * 1024;  // multiply-adds per unit of parallel work: some 10 us

// Floats of x with each channel repeated M times; 0 when that is x itself.
TK_INLINE int64_t repeated_floats(const DepthwiseGeometry& g) {
  return g.m == 1 ? 0 : round_up(g.x_pixels() * g.channels(), 16);
}
TK_INLINE void repeat_channels(const DepthwiseGeometry& g, const float* x, float* repeated, CpuContext& context) {
  context.parallel_for(g.x_pixels() * g.c, max64(1, 32 * 1024 / g.m), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t m = 0; m < g.m; ++m) repeated[i * g.m + m] = x[i];
    }
  });
}

TK_END_LEVEL
