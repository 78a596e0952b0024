// Convolution as a product of matrices that are never built: loaders find the pixel that a row and a tap meet. One kernel
// (cuda/gemm/tile_kernel.cuh) then serves all three passes:
//   forward          [pixels of y, taps C] x [taps C, Cout]
//   input gradient   [pixels of x, taps Cout] x [taps Cout, C]
//   filter gradient  [taps C, pixels of y] x [pixels of y, Cout], long sums cut into parts that are added in order
#pragma once
#include "cuda/fast_divide.h"
#include "cuda/gemm/tile_kernel.cuh"
#include "ops/conv/conv_geometry.h"

namespace tk::cuda {

// How an axis of the image, of the output and of the filter meet.
struct ConvAxis {
  int32_t image, output, stride, dilation, pad;
};

struct ConvLoadShape {
  ConvAxis d, h, w;
  int32_t channels;  // of the side that is read
  FastDivide by_channels, by_kh, by_kw;
  FastDivide by_d, by_h, by_w;  // of the pixels that rows stand for
  uint32_t pixels, depth;       // rows, and taps times channels
};

// Row: pixel of the output; it meets a pixel of the image (forward, filter gradient). kBackward: row is a pixel of the image
// and meets a pixel of the output (input gradient).
template <class T, bool kBackward>
struct ConvLoad {
  const T* data;
  ConvLoadShape s;
  bool vector;

  __device__ const ConvLoad& of_batch(int64_t) const { return *this; }

  // Position along one axis; false when there is none.
  __device__ static bool meet(const ConvAxis& axis, int32_t row, int32_t tap, int32_t* at) {
    if constexpr (kBackward) {
      const int32_t shifted = row + axis.pad - tap * axis.dilation;
      if (shifted < 0) return false;
      *at = axis.stride == 1 ? shifted : shifted / axis.stride;
      return *at * axis.stride == shifted && *at < axis.output;
    } else {
      *at = row * axis.stride - axis.pad + tap * axis.dilation;
      return *at >= 0 && *at < axis.image;
    }
  }
  __device__ const T* find(int64_t row, int64_t position) const {
    if (row >= s.pixels || position >= s.depth) return nullptr;
    uint32_t channel, kw, kh, w, h, d;
    const uint32_t tap = s.by_channels(uint32_t(position), &channel);
    const uint32_t plane = s.by_kw(tap, &kw), kd = s.by_kh(plane, &kh);
    const uint32_t image = s.by_d(s.by_h(s.by_w(uint32_t(row), &w), &h), &d);
    int32_t at_d, at_h, at_w;
    if (!meet(s.d, int32_t(d), int32_t(kd), &at_d) || !meet(s.h, int32_t(h), int32_t(kh), &at_h) ||
        !meet(s.w, int32_t(w), int32_t(kw), &at_w)) {
      return nullptr;
    }
    const int32_t depth = kBackward ? s.d.output : s.d.image, height = kBackward ? s.h.output : s.h.image,
                  width = kBackward ? s.w.output : s.w.image;
    return data + (((int64_t(image) * depth + at_d) * height + at_h) * width + at_w) * s.channels + channel;
  }
  __device__ Chunk<T> chunk(int64_t row, int64_t position, int most) const {
    const T* from = find(row, position);
    return from == nullptr ? Chunk<T>{data, 0} : Chunk<T>{from, most};
  }
  __device__ T element(int64_t row, int64_t position) const {
    const T* from = find(row, position);
    return from == nullptr ? T(0) : *from;
  }
};

// The filter for the input gradient: line c, position (tap, co), in memory [tap, c, co].
template <class T>
struct FilterLoad {
  const T* data;
  int64_t channels, outputs, depth;
  FastDivide by_outputs;
  bool vector;

  __device__ const FilterLoad& of_batch(int64_t) const { return *this; }
  __device__ const T* find(int64_t line, int64_t position) const {
    if (line >= channels || position >= depth) return nullptr;
    uint32_t output;
    const uint32_t tap = by_outputs(uint32_t(position), &output);
    return data + (int64_t(tap) * channels + line) * outputs + output;
  }
  __device__ Chunk<T> chunk(int64_t line, int64_t position, int most) const {
    const T* from = find(line, position);
    return from == nullptr ? Chunk<T>{data, 0} : Chunk<T>{from, most};
  }
  __device__ T element(int64_t line, int64_t position) const {
    const T* from = find(line, position);
    return from == nullptr ? T(0) : *from;
  }
};

}  // namespace tk::cuda
