// Sizes of a pooling op and walks over its windows, shared by forward passes and gradients.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

constexpr bool same_attributes(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}
static_assert(same_attributes(attrs::max_pool2d_ints, attrs::avg_pool2d_ints) &&
                  same_attributes(attrs::max_pool2d_ints, attrs::max_pool2d_grad_ints) &&
                  same_attributes(attrs::max_pool2d_ints, attrs::avg_pool2d_grad_ints),
              "the four ops are read by one function");

struct PoolGeometry {
  int64_t n, h, w, c, oh, ow;
  int64_t window_h, window_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
};

TK_INLINE PoolGeometry read_pool(const OpCall& call, const Operand& x, const Operand& y) {
  TK_CHECK(x.rank == 4 && y.rank == 4);
  TK_CHECK_EQ(x.dims[0], y.dims[0]);
  TK_CHECK_EQ(x.dims[3], y.dims[3]);
  PoolGeometry g;
  g.n = x.dims[0], g.h = x.dims[1], g.w = x.dims[2], g.c = x.dims[3];
  g.oh = y.dims[1], g.ow = y.dims[2];
  g.window_h = TK_INT(call, max_pool2d, window_h), g.window_w = TK_INT(call, max_pool2d, window_w);
  g.stride_h = TK_INT(call, max_pool2d, stride_h), g.stride_w = TK_INT(call, max_pool2d, stride_w);
  g.dilation_h = TK_INT(call, max_pool2d, dilation_h), g.dilation_w = TK_INT(call, max_pool2d, dilation_w);
  g.pad_top = TK_INT(call, max_pool2d, pad_top), g.pad_left = TK_INT(call, max_pool2d, pad_left);
  TK_CHECK(g.window_h >= 1 && g.window_w >= 1 && g.stride_h >= 1 && g.stride_w >= 1 && g.dilation_h >= 1 && g.dilation_w >= 1);
  return g;
}

// The taps of one axis inside the image: tap t lies at start + t * dilation; those in [first, last) are inside.
struct TapRange {
  int64_t start, first, last;
  TK_INLINE int64_t count() const { return last - first; }
};
TK_INLINE TapRange tap_range(int64_t start, int64_t window, int64_t dilation, int64_t size) {
  TapRange r;
  r.start = start;
  r.first = start < 0 ? (-start + dilation - 1) / dilation : 0;
  r.last = start < size ? (size - start + dilation - 1) / dilation : 0;
  if (r.last > window) r.last = window;
  if (r.last < r.first) r.last = r.first;
  return r;
}

// One vector of channels, or the `n` channels that are left.
TK_INLINE VecF load_channels(const float* p, int n) { return n == kVecWidth ? load(p) : load_part(p, n); }
TK_INLINE void store_channels(float* p, VecF a, int n) {
  if (n == kVecWidth) return store(p, a);
  store_part(p, a, n);
}

constexpr int64_t kPoolUnit = 16 * 1024;  // taps times elements per unit of parallel work: some 20 us

// window(const float* x_image, float* y_pixel, const TapRange& h, const TapRange& w) for every pixel of y.
template <class Window>
TK_INLINE void for_each_window(const PoolGeometry& g, const float* x, float* y, CpuContext& context, const Window& window) {
  const int64_t row_work = g.ow * g.c * g.window_h * g.window_w;
  const int64_t grain = row_work >= kPoolUnit ? 1 : kPoolUnit / row_work;
  context.parallel_for(g.n * g.oh, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const TapRange h = tap_range(row % g.oh * g.stride_h - g.pad_top, g.window_h, g.dilation_h, g.h);
      const float* image = x + row / g.oh * g.h * g.w * g.c;
      for (int64_t ow = 0; ow < g.ow; ++ow) {
        const TapRange w = tap_range(ow * g.stride_w - g.pad_left, g.window_w, g.dilation_w, g.w);
        window(image, y + (row * g.ow + ow) * g.c, h, w);
      }
    }
  });
}

// A band of rows of dx, which one thread owns.
struct Band {
  int64_t first, last;
};

// Zeroes dx, then calls window(image, dy offset, h, w, band) for each window that meets a band, in rising order; the callback
// adds to rows of dx inside the band only. So no two threads write to one place, and each dx sums in the same order always.
template <class Window>
TK_INLINE void for_each_window_of_bands(const PoolGeometry& g, float* dx, CpuContext& context, const Window& window) {
  const int64_t row_work = g.w * g.c * g.window_h * g.window_w;
  // Bands start where windows start, so that windows as large as their stride are visited once.
  const int64_t wanted = (kPoolUnit + row_work - 1) / row_work;
  const int64_t rows = (wanted + g.stride_h - 1) / g.stride_h * g.stride_h;
  const int64_t shift = (g.stride_h - g.pad_top % g.stride_h) % g.stride_h;
  const int64_t bands = (g.h - 1 + rows - shift % rows) / rows + 1;
  context.parallel_for(g.n * bands, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t image = unit / bands, at = unit % bands * rows - (rows - shift % rows) % rows;
      const Band band = {at < 0 ? 0 : at, at + rows < g.h ? at + rows : g.h};
      if (band.first >= band.last) continue;
      float* target = dx + (image * g.h + band.first) * g.w * g.c;
      std::memset(target, 0, size_t((band.last - band.first) * g.w * g.c) * sizeof(float));
      // Windows whose first row is before the band's end and whose last row is not before its start.
      const int64_t reach = (g.window_h - 1) * g.dilation_h;
      const int64_t low = band.first + g.pad_top - reach;
      const int64_t first = low <= 0 ? 0 : (low + g.stride_h - 1) / g.stride_h;
      for (int64_t oh = first; oh < g.oh && oh * g.stride_h - g.pad_top < band.last; ++oh) {
        const TapRange h = tap_range(oh * g.stride_h - g.pad_top, g.window_h, g.dilation_h, g.h);
        for (int64_t ow = 0; ow < g.ow; ++ow) {
          const TapRange w = tap_range(ow * g.stride_w - g.pad_left, g.window_w, g.dilation_w, g.w);
          window(image, ((image * g.oh + oh) * g.ow + ow) * g.c, h, w, band);
        }
      }
    }
  });
}

TK_END_LEVEL
