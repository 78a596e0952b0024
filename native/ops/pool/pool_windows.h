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
static_assert(same_attributes(attrs::max_pool3d_ints, attrs::avg_pool3d_ints) &&
                  same_attributes(attrs::max_pool3d_ints, attrs::max_pool3d_grad_ints) &&
                  same_attributes(attrs::max_pool3d_ints, attrs::avg_pool3d_grad_ints),
              "the four ops are read by one function");

// One spatial axis: sizes of image and result, and how windows lie on it.
struct PoolAxis {
  int64_t in, out, window, stride, dilation, pad;
};

// An image without depth is one plane deep.
struct PoolGeometry {
  int64_t n, c;
  PoolAxis d, h, w;

  TK_INLINE int64_t window() const { return d.window * h.window * w.window; }
  // Elements of one image of x.
  TK_INLINE int64_t x_image() const { return d.in * h.in * w.in * c; }
};

TK_INLINE void check_axis(const PoolAxis& a) { TK_CHECK(a.window >= 1 && a.stride >= 1 && a.dilation >= 1); }

// For max_pool2d and every op with its attributes.
TK_INLINE PoolGeometry read_pool2d(const OpCall& call, const Operand& x, const Operand& y) {
  TK_CHECK(x.rank == 4 && y.rank == 4);
  TK_CHECK_EQ(x.dims[0], y.dims[0]);
  TK_CHECK_EQ(x.dims[3], y.dims[3]);
  PoolGeometry g;
  g.n = x.dims[0], g.c = x.dims[3];
  g.d = {1, 1, 1, 1, 1, 0};
  g.h = {x.dims[1],
         y.dims[1],
         TK_INT(call, max_pool2d, window_h),
         TK_INT(call, max_pool2d, stride_h),
         TK_INT(call, max_pool2d, dilation_h),
         TK_INT(call, max_pool2d, pad_top)};
  g.w = {x.dims[2],
         y.dims[2],
         TK_INT(call, max_pool2d, window_w),
         TK_INT(call, max_pool2d, stride_w),
         TK_INT(call, max_pool2d, dilation_w),
         TK_INT(call, max_pool2d, pad_left)};
  check_axis(g.h), check_axis(g.w);
  return g;
}

TK_INLINE PoolGeometry read_pool3d(const OpCall& call, const Operand& x, const Operand& y) {
  TK_CHECK(x.rank == 5 && y.rank == 5);
  TK_CHECK_EQ(x.dims[0], y.dims[0]);
  TK_CHECK_EQ(x.dims[4], y.dims[4]);
  PoolGeometry g;
  g.n = x.dims[0], g.c = x.dims[4];
  g.d = {x.dims[1],
         y.dims[1],
         TK_INT(call, max_pool3d, window_d),
         TK_INT(call, max_pool3d, stride_d),
         TK_INT(call, max_pool3d, dilation_d),
         TK_INT(call, max_pool3d, pad_front)};
  g.h = {x.dims[2],
         y.dims[2],
         TK_INT(call, max_pool3d, window_h),
         TK_INT(call, max_pool3d, stride_h),
         TK_INT(call, max_pool3d, dilation_h),
         TK_INT(call, max_pool3d, pad_top)};
  g.w = {x.dims[3],
         y.dims[3],
         TK_INT(call, max_pool3d, window_w),
         TK_INT(call, max_pool3d, stride_w),
         TK_INT(call, max_pool3d, dilation_w),
         TK_INT(call, max_pool3d, pad_left)};
  check_axis(g.d), check_axis(g.h), check_axis(g.w);
  return g;
}

// The taps of one axis inside the image: tap t lies at start + t * dilation; those in [first, last) are inside.
struct TapRange {
  int64_t start, first, last;
  TK_INLINE int64_t count() const { return last - first; }
};
TK_INLINE TapRange tap_range(const PoolAxis& axis, int64_t position) {
  TapRange r;
  r.start = position * axis.stride - axis.pad;
  r.first = r.start < 0 ? (-r.start + axis.dilation - 1) / axis.dilation : 0;
  r.last = r.start < axis.in ? (axis.in - r.start + axis.dilation - 1) / axis.dilation : 0;
  if (r.last > axis.window) r.last = axis.window;
  if (r.last < r.first) r.last = r.first;
  return r;
}

// The taps of one window that lie in the image.
struct Window {
  TapRange d, h, w;
  TK_INLINE int64_t count() const { return d.count() * h.count() * w.count(); }
};

// tap(offset of the tap in the image at channel 0, number of the tap in the window), rising.
template <class Tap>
TK_INLINE void for_each_tap(const PoolGeometry& g, const Window& window, const Tap& tap) {
  for (int64_t kd = window.d.first; kd < window.d.last; ++kd) {
    const int64_t plane = (window.d.start + kd * g.d.dilation) * g.h.in;
    for (int64_t kh = window.h.first; kh < window.h.last; ++kh) {
      const int64_t row = (plane + window.h.start + kh * g.h.dilation) * g.w.in;
      const int64_t number = (kd * g.h.window + kh) * g.w.window;
      for (int64_t kw = window.w.first; kw < window.w.last; ++kw) {
        tap((row + window.w.start + kw * g.w.dilation) * g.c, number + kw);
      }
    }
  }
}

// One vector of channels, or the `n` channels that are left.
TK_INLINE VecF load_channels(const float* p, int n) { return n == kVecWidth ? load(p) : load_part(p, n); }
TK_INLINE void store_channels(float* p, VecF a, int n) {
  if (n == kVecWidth) return store(p, a);
  store_part(p, a, n);
}

constexpr int64_t kPoolUnit = 16 * 1024;  // taps times elements per unit of parallel work: some 20 us

// visit(image number, offset of the pixel in y, window) for every pixel of y.
template <class Visit>
TK_INLINE void for_each_window(const PoolGeometry& g, CpuContext& context, const Visit& visit) {
  const int64_t row_work = g.w.out * g.c * g.window();
  const int64_t grain = row_work >= kPoolUnit ? 1 : kPoolUnit / row_work;
  context.parallel_for(g.n * g.d.out * g.h.out, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t plane = row / g.h.out;
      Window window;
      window.d = tap_range(g.d, plane % g.d.out);
      window.h = tap_range(g.h, row % g.h.out);
      for (int64_t ow = 0; ow < g.w.out; ++ow) {
        window.w = tap_range(g.w, ow);
        visit(plane / g.d.out, (row * g.w.out + ow) * g.c, window);
      }
    }
  });
}

// A band of an axis of dx, which one thread owns.
struct Band {
  int64_t first, last;
};

// Cuts an axis into bands that start where windows start, so that windows as large as their stride are visited once.
struct Bands {
  PoolAxis axis;
  int64_t size, shift, count;

  TK_INLINE Bands(const PoolAxis& of, int64_t position_work) : axis(of) {
    const int64_t wanted = (kPoolUnit + position_work - 1) / position_work;
    size = (wanted + axis.stride - 1) / axis.stride * axis.stride;
    shift = (axis.stride - axis.pad % axis.stride) % axis.stride % size;
    count = (axis.in - 1 + size - shift) / size + 1;
  }
  TK_INLINE Band operator[](int64_t i) const {
    const int64_t at = i * size - (size - shift) % size;
    return {at < 0 ? 0 : at, at + size < axis.in ? at + size : axis.in};
  }
  // The result positions whose first tap is before the band's end and whose last tap is not before its start.
  TK_INLINE Band positions(const Band& band) const {
    const int64_t low = band.first + axis.pad - (axis.window - 1) * axis.dilation, high = band.last + axis.pad;
    const int64_t first = low <= 0 ? 0 : (low + axis.stride - 1) / axis.stride;
    const int64_t last = high <= 0 ? 0 : (high + axis.stride - 1) / axis.stride;
    return {first, last < axis.out ? last : axis.out};
  }
};

// The taps of a range that lie in a band.
TK_INLINE TapRange taps_in_band(const PoolAxis& axis, TapRange r, const Band& band) {
  while (r.first < r.last && r.start + r.first * axis.dilation < band.first) ++r.first;
  while (r.first < r.last && r.start + (r.last - 1) * axis.dilation >= band.last) --r.last;
  return r;
}

// Zeroes dx, then calls visit(image number, offset of the pixel in dy, window, reached) for each window that meets a band, in
// rising order; `reached` are the taps of the window that lie in the band, the only places the callback adds to. So no two
// threads write to one place, and each dx sums in the same order always. Bands are cut from the outermost axis there is.
template <class Visit>
TK_INLINE void for_each_window_of_bands(const PoolGeometry& g, float* dx, CpuContext& context, const Visit& visit) {
  const bool deep = g.d.in > 1;
  const int64_t position = (deep ? g.h.in : 1) * g.w.in * g.c;  // elements of dx per position of the banded axis
  const Bands bands(deep ? g.d : g.h, position * g.window());
  context.parallel_for(g.n * bands.count, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t image = unit / bands.count;
      const Band band = bands[unit % bands.count];
      if (band.first >= band.last) continue;
      std::memset(dx + image * g.x_image() + band.first * position, 0,
                  size_t((band.last - band.first) * position) * sizeof(float));
      const Band met = bands.positions(band);
      const Band d = deep ? met : Band{0, g.d.out}, h = deep ? Band{0, g.h.out} : met;
      for (int64_t od = d.first; od < d.last; ++od) {
        for (int64_t oh = h.first; oh < h.last; ++oh) {
          Window window, reached;
          window.d = reached.d = tap_range(g.d, od);
          window.h = reached.h = tap_range(g.h, oh);
          if (deep)
            reached.d = taps_in_band(g.d, window.d, band);
          else
            reached.h = taps_in_band(g.h, window.h, band);
          for (int64_t ow = 0; ow < g.w.out; ++ow) {
            window.w = reached.w = tap_range(g.w, ow);
            visit(image, (((image * g.d.out + od) * g.h.out + oh) * g.w.out + ow) * g.c, window, reached);
          }
        }
      }
    }
  });
}

TK_END_LEVEL
