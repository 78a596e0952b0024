// Which taps an axis of an input gradient meets. With stride s only every s-th pixel meets a given tap, so the pixels are taken
// in s classes, each with its own taps.
#pragma once
#include "ops/conv/gather_product.h"

TK_BEGIN_LEVEL

// The taps of one axis that reach the pixels first, first + stride, ...: every tap_step-th one from first_tap on.
struct AxisTaps {
  int64_t count, first_tap, tap_step;
};

TK_INLINE int64_t greatest_common_divisor(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

TK_INLINE AxisTaps taps_of_class(int64_t first, int64_t stride, int64_t dilation, int64_t pad, int64_t kernel) {
  const int64_t step = stride / greatest_common_divisor(stride, dilation);
  for (int64_t tap = 0; tap < min64(step, kernel); ++tap) {
    if ((first + pad - tap * dilation) % stride == 0) return {ceil_div(kernel - tap, step), tap, step};
  }
  return {0, 0, step};
}

// dx pixel first + i*stride meets dy position i + (first + pad - tap*dilation) / stride, a whole number for the taps of its
// class.
TK_INLINE GatherAxis gather_axis(const AxisTaps& taps, int64_t first, int64_t size, int64_t stride, int64_t dilation,
                                 int64_t pad, int64_t source) {
  GatherAxis axis;
  axis.result = ceil_div(size - first, stride);
  axis.result_first = first;
  axis.result_step = stride;
  axis.source = source;
  axis.taps = taps.count;
  axis.scale = 1;
  axis.offset = (first + pad - taps.first_tap * dilation) / stride;
  axis.offset_step = -(taps.tap_step * dilation / stride);
  return axis;
}

TK_END_LEVEL
