#include "ops/conv/depthwise.h"

#include "ops/conv/depthwise_geometry.h"
#include "ops/conv/tap_axes.h"

TK_BEGIN_LEVEL
namespace {

// A sum over taps with one channel per filter column, in either direction: result pixel i meets source pixel
// i*scale + offset + q*offset_step through filter row taps.first_tap + q*taps.tap_step, along both axes.
struct DepthwiseSum {
  int64_t images, channels, filter_columns;  // filter_columns: KW
  GatherAxis h, w;
  AxisTaps h_taps, w_taps;
  const float *source, *filter;
  float* result;
  int64_t result_image, result_row;  // in floats
};

// Taps [q0, q1) of a filter row for the pixels i .. i + Pixels - 1, all inside the source; adds to sums. n < kVecWidth channels
// only with Vectors == 1.
template <int Pixels, int Vectors>
TK_INLINE void add_taps(const DepthwiseSum& s, const float* source_row, const float* filter_row, int64_t i, int64_t q0,
                        int64_t q1, int n, VecF (&sums)[Pixels][Vectors]) {
  const int64_t step = s.w.scale * s.channels;
  for (int64_t q = q0; q < q1; ++q) {
    const float* tap = filter_row + (s.w_taps.first_tap + q * s.w_taps.tap_step) * s.channels;
    const float* pixel = source_row + (i * s.w.scale + s.w.offset + q * s.w.offset_step) * s.channels;
    for (int v = 0; v < Vectors; ++v) {
      const VecF weight = n < kVecWidth ? load_part(tap, n) : load(tap + v * kVecWidth);
      for (int p = 0; p < Pixels; ++p) {
        const float* at = pixel + p * step + v * kVecWidth;
        sums[p][v] = fmadd(n < kVecWidth ? load_part(at, n) : load(at), weight, sums[p][v]);
      }
    }
  }
}

struct Inside {
  int64_t first, last;
};
// The result positions all of whose taps are in the source.
Inside inside_positions(const GatherAxis& axis) {
  const int64_t reach = max64(axis.taps - 1, 0) * axis.offset_step;
  const int64_t low = axis.offset + min64(reach, 0), high = axis.offset + max64(reach, 0);
  Inside range;
  range.first = low >= 0 ? 0 : min64(ceil_div(-low, axis.scale), axis.result);
  range.last =
      high >= axis.source ? range.first : max64(range.first, min64(axis.result, (axis.source - 1 - high) / axis.scale + 1));
  return range;
}

// One row of the result, channels [c, c + Vectors * kVecWidth) or [c, c + n).
struct RowPart {
  const DepthwiseSum* sum;
  int64_t image, i, c;
  Inside inside;

  // Calls visit(row of the source, row of the filter) for the taps of the row, from channel c on.
  template <class Visit>
  TK_INLINE void for_each_row(const Visit& visit) const {
    const DepthwiseSum& s = *sum;
    for (int64_t q = 0; q < s.h.taps; ++q) {
      const int64_t y = i * s.h.scale + s.h.offset + q * s.h.offset_step;
      if (y < 0 || y >= s.h.source) continue;
      visit(s.source + (image * s.h.source + y) * s.w.source * s.channels + c,
            s.filter + (s.h_taps.first_tap + q * s.h_taps.tap_step) * s.filter_columns * s.channels + c);
    }
  }
  template <int Pixels, int Vectors>
  TK_INLINE void store_sums(int64_t j, int n, const VecF (&sums)[Pixels][Vectors]) const {
    const DepthwiseSum& s = *sum;
    float* row = s.result + image * s.result_image + (s.h.result_first + i * s.h.result_step) * s.result_row + c;
    for (int p = 0; p < Pixels; ++p) {
      float* to = row + (s.w.result_first + (j + p) * s.w.result_step) * s.channels;
      for (int v = 0; v < Vectors; ++v) {
        if (n < kVecWidth)
          store_part(to, sums[p][v], n);
        else
          store(to + v * kVecWidth, sums[p][v]);
      }
    }
  }
  template <int Pixels, int Vectors>
  TK_INLINE void run_inside(int64_t j, int n) const {
    VecF sums[Pixels][Vectors];
    for (auto& pixel : sums) {
      for (VecF& value : pixel) value = zero();
    }
    for_each_row([&](const float* source, const float* filter) {
      add_taps<Pixels, Vectors>(*sum, source, filter, j, 0, sum->w.taps, n, sums);
    });
    store_sums<Pixels, Vectors>(j, n, sums);
  }
  template <int Vectors>
  TK_INLINE void run_border(int64_t j, int n) const {
    VecF sums[1][Vectors];
    for (VecF& value : sums[0]) value = zero();
    for_each_row([&](const float* source, const float* filter) {
      for (int64_t q = 0; q < sum->w.taps; ++q) {
        const int64_t x = j * sum->w.scale + sum->w.offset + q * sum->w.offset_step;
        if (x >= 0 && x < sum->w.source) add_taps<1, Vectors>(*sum, source, filter, j, q, q + 1, n, sums);
      }
    });
    store_sums<1, Vectors>(j, n, sums);
  }
  template <int Vectors>
  void run(int n) const {
    constexpr int kPixels = 4;
    int64_t j = 0;
    for (; j < inside.first; ++j) run_border<Vectors>(j, n);
    for (; j + kPixels <= inside.last; j += kPixels) run_inside<kPixels, Vectors>(j, n);
    for (; j < inside.last; ++j) run_inside<1, Vectors>(j, n);
    for (; j < sum->w.result; ++j) run_border<Vectors>(j, n);
  }
};

void run_sum(const DepthwiseSum& s, CpuContext& context) {
  const Inside inside = inside_positions(s.w);
  const int64_t row_work = max64(1, s.w.result * s.channels * s.h.taps * s.w.taps);
  context.parallel_for(s.images * s.h.result, max64(1, kDepthwiseUnit / row_work), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      RowPart part = {&s, row / s.h.result, row % s.h.result, 0, inside};
      for (; part.c + 2 * kVecWidth <= s.channels; part.c += 2 * kVecWidth) part.run<2>(kVecWidth);
      for (; part.c < s.channels; part.c += kVecWidth) part.run<1>(int(min64(kVecWidth, s.channels - part.c)));
    }
  });
}

void add_over_multiplier(const DepthwiseGeometry& g, const float* sums, float* dx, CpuContext& context) {
  context.parallel_for(g.x_pixels() * g.c, max64(1, 32 * 1024 / g.m), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      float sum = 0.0f;
      for (int64_t m = 0; m < g.m; ++m) sum += sums[i * g.m + m];
      dx[i] = sum;
    }
  });
}

}  // namespace

int64_t depthwise_conv2d_workspace(const OpCall& call, int) {
  return repeated_floats(read_depthwise(call, call[0], call[1], call[2])) * int64_t(sizeof(float));
}

void depthwise_conv2d_cpu(const OpCall& call, CpuContext& context) {
  const DepthwiseGeometry g = read_depthwise(call, call[0], call[1], call[2]);
  if (call[2].size == 0) return;
  const float* x = call[0].f32();
  if (g.m > 1) {
    float* repeated = static_cast<float*>(call.workspace);
    repeat_channels(g, x, repeated, context);
    x = repeated;
  }
  DepthwiseSum s;
  s.images = g.n, s.channels = g.channels(), s.filter_columns = g.kw;
  s.h = {g.oh, 0, 1, g.h, g.kh, g.stride_h, -g.pad_top, g.dilation_h};
  s.w = {g.ow, 0, 1, g.w, g.kw, g.stride_w, -g.pad_left, g.dilation_w};
  s.h_taps = {g.kh, 0, 1}, s.w_taps = {g.kw, 0, 1};
  s.source = x, s.filter = call[1].f32(), s.result = call[2].f32();
  s.result_image = g.oh * g.ow * g.channels(), s.result_row = g.ow * g.channels();
  run_sum(s, context);
}

int64_t depthwise_conv2d_input_grad_workspace(const OpCall& call, int) {
  return repeated_floats(read_depthwise(call, call[2], call[1], call[0])) * int64_t(sizeof(float));
}

void depthwise_conv2d_input_grad_cpu(const OpCall& call, CpuContext& context) {
  const DepthwiseGeometry g = read_depthwise(call, call[2], call[1], call[0]);
  float* dx = call[2].f32();
  if (call[2].size == 0) return;
  if (g.channels() == 0) {
    std::memset(dx, 0, size_t(call[2].bytes()));
    return;
  }
  float* sums = g.m > 1 ? static_cast<float*>(call.workspace) : dx;
  DepthwiseSum s;
  s.images = g.n, s.channels = g.channels(), s.filter_columns = g.kw;
  s.source = call[0].f32(), s.filter = call[1].f32(), s.result = sums;
  s.result_image = g.h * g.w * g.channels(), s.result_row = g.w * g.channels();
  for (int64_t h = 0; h < min64(g.stride_h, g.h); ++h) {
    s.h_taps = taps_of_class(h, g.stride_h, g.dilation_h, g.pad_top, g.kh);
    s.h = gather_axis(s.h_taps, h, g.h, g.stride_h, g.dilation_h, g.pad_top, g.oh);
    for (int64_t w = 0; w < min64(g.stride_w, g.w); ++w) {
      s.w_taps = taps_of_class(w, g.stride_w, g.dilation_w, g.pad_left, g.kw);
      s.w = gather_axis(s.w_taps, w, g.w, g.stride_w, g.dilation_w, g.pad_left, g.ow);
      run_sum(s, context);
    }
  }
  if (g.m > 1) add_over_multiplier(g, sums, dx, context);
}

TK_END_LEVEL
