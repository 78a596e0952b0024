#include "ops/conv/conv.h"

#include "ops/conv/conv_geometry.h"
#include "ops/conv/gather_product.h"

TK_BEGIN_LEVEL
namespace {

GemmArgs pointwise(const ConvGeometry& g, const float* dy, const float* filter, float* dx) {
  GemmArgs args;
  args.m = pixels(g), args.n = g.c, args.k = g.cout;
  args.a = {dy, g.cout, 1};
  args.b = {filter, 1, g.cout};
  args.c = dx;
  return args;
}

// The taps of one axis that reach the pixels first, first + stride, ...: every tap_step-th one from first_tap on.
struct AxisTaps {
  int64_t count, first_tap, tap_step;
};

int64_t greatest_common_divisor(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

AxisTaps taps_of_class(int64_t first, int64_t stride, int64_t dilation, int64_t pad, int64_t kernel) {
  const int64_t step = stride / greatest_common_divisor(stride, dilation);
  for (int64_t tap = 0; tap < min64(step, kernel); ++tap) {
    if ((first + pad - tap * dilation) % stride == 0) return {ceil_div(kernel - tap, step), tap, step};
  }
  return {0, 0, step};
}

// dx pixel first + i*stride meets dy position i + (first + pad - tap*dilation) / stride, a whole number for the taps of its
// class.
GatherAxis gather_axis(const AxisTaps& taps, int64_t first, int64_t size, int64_t stride, int64_t dilation, int64_t pad,
                       int64_t source) {
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

// The matrices filter[kh,kw]^T of the taps of one class, stacked.
struct ClassFilter {
  const float* filter;
  int64_t kw, c, cout;
  AxisTaps h, w;

  static void pack(const void* self, int64_t k0, int64_t k1, int64_t n0, int cols, float* dst) {
    const ClassFilter& f = *static_cast<const ClassFilter*>(self);
    for (int64_t k = k0; k < k1;) {
      const int64_t q = k / f.cout, end = min64((q + 1) * f.cout, k1);
      const int64_t tap = (f.h.first_tap + q / f.w.count * f.h.tap_step) * f.kw + f.w.first_tap + q % f.w.count * f.w.tap_step;
      const StridedMatrix matrix = {f.filter + tap * f.c * f.cout, 1, f.cout};
      pack_b_panel(matrix, k - q * f.cout, end - k, n0, cols, dst + (k - k0) * round_up(cols, kVecWidth));
      k = end;
    }
  }
};

// With stride s only every s-th pixel meets a given tap: dx is cut into s_h * s_w classes of pixels, each with its own taps.
struct Class {
  ClassFilter filter;
  GatherProduct product;
};

void make_class(const ConvGeometry& g, int64_t h, int64_t w, const float* dy, const float* filter, float* dx, Class* out) {
  ClassFilter& f = out->filter;
  f = {filter,
       g.kw,
       g.c,
       g.cout,
       taps_of_class(h, g.stride_h, g.dilation_h, g.pad_top, g.kh),
       taps_of_class(w, g.stride_w, g.dilation_w, g.pad_left, g.kw)};
  GatherProduct& p = out->product;
  p.images = g.n;
  p.n = g.c;
  p.h = gather_axis(f.h, h, g.h, g.stride_h, g.dilation_h, g.pad_top, g.oh);
  p.w = gather_axis(f.w, w, g.w, g.stride_w, g.dilation_w, g.pad_left, g.ow);
  p.length = g.cout;
  p.source = dy;
  p.source_image = g.oh * g.ow * g.cout, p.source_row = g.ow * g.cout, p.source_pixel = g.cout;
  p.result = dx;
  p.result_image = g.h * g.w * g.c, p.result_row = g.w * g.c, p.result_pixel = g.c;
  p.inside = false;
  p.filter_self = &f;
  p.pack_b = ClassFilter::pack;
}

// With few channels the product above would fill a fraction of a vector. Then all products dy * filter are formed first,
// columns [pixel of dy][tap, c], for as many images at a time as fit a part of the cache; each dx collects its own.
constexpr int64_t kColumnFloats = 1 << 20;
bool uses_columns(const ConvGeometry& g) { return g.c < kVecWidth && g.taps() > 1; }

int64_t column_images(const ConvGeometry& g) {
  return max64(1, min64(g.n, kColumnFloats / max64(1, g.oh * g.ow * g.taps() * g.c)));
}

GemmArgs column_product(const ConvGeometry& g, int64_t images, const float* dy, const float* filter, float* columns) {
  GemmArgs args;
  args.m = images * g.oh * g.ow, args.n = g.taps() * g.c, args.k = g.cout;
  args.a = {dy, g.cout, 1};
  args.b = {filter, 1, g.cout};
  args.c = columns;
  return args;
}

// One row of dx: for each tap, in rising order, the columns of the dy row that it meets.
void collect_row(const ConvGeometry& g, const float* columns, int64_t h, float* dx) {
  std::memset(dx, 0, size_t(g.w * g.c) * sizeof(float));
  const int64_t width = g.taps() * g.c;
  for (int64_t kh = 0; kh < g.kh; ++kh) {
    const int64_t at = h + g.pad_top - kh * g.dilation_h;
    if (at < 0 || at % g.stride_h != 0 || at / g.stride_h >= g.oh) continue;
    const float* line = columns + at / g.stride_h * g.ow * width;
    for (int64_t kw = 0; kw < g.kw; ++kw) {
      const int64_t shift = kw * g.dilation_w - g.pad_left;  // w = ow * stride_w + shift
      const int64_t first = shift < 0 ? ceil_div(-shift, g.stride_w) : 0;
      const int64_t last = g.w <= shift ? 0 : min64(g.ow, ceil_div(g.w - shift, g.stride_w));
      const float* src = line + (kh * g.kw + kw) * g.c;
      for (int64_t ow = first; ow < last; ++ow) {
        float* dst = dx + (ow * g.stride_w + shift) * g.c;
        for (int64_t c = 0; c < g.c; ++c) dst[c] += src[ow * width + c];
      }
    }
  }
}

void run_columns(const ConvGeometry& g, const float* dy, const float* filter, float* dx, float* workspace,
                 CpuContext& context) {
  const int64_t step = column_images(g), image_floats = g.oh * g.ow * g.taps() * g.c;
  float* scratch = workspace + round_up(step * image_floats, 16);
  for (int64_t first = 0; first < g.n; first += step) {
    const int64_t images = min64(step, g.n - first);
    gemm(column_product(g, images, dy + first * g.oh * g.ow * g.cout, filter, workspace), scratch, context);
    const int64_t grain = max64(1, 16 * 1024 / max64(1, g.w * g.c * g.taps()));
    context.parallel_for(images * g.h, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        collect_row(g, workspace + row / g.h * image_floats, row % g.h, dx + (first * g.h + row) * g.w * g.c);
      }
    });
  }
}

}  // namespace

int64_t conv2d_input_grad_workspace(const OpCall& call, int num_threads) {
  const ConvGeometry g = read_conv(call, call[2], call[1], call[0]);
  if (call[2].size == 0 || call[1].size == 0 || call[0].size == 0) return 0;
  if (g.is_pointwise()) return gemm_workspace(pointwise(g, nullptr, nullptr, nullptr), num_threads);
  if (uses_columns(g)) {
    const int64_t step = column_images(g), columns = round_up(step * g.oh * g.ow * g.taps() * g.c, 16);
    int64_t bytes = gemm_workspace(column_product(g, step, nullptr, nullptr, nullptr), num_threads);
    if (g.n % step != 0) {
      bytes = max64(bytes, gemm_workspace(column_product(g, g.n % step, nullptr, nullptr, nullptr), num_threads));
    }
    return columns * int64_t(sizeof(float)) + bytes;
  }
  int64_t bytes = 0;
  for (int64_t h = 0; h < min64(g.stride_h, g.h); ++h) {
    for (int64_t w = 0; w < min64(g.stride_w, g.w); ++w) {
      Class part;
      make_class(g, h, w, nullptr, nullptr, nullptr, &part);
      if (part.product.segments() > 0) bytes = max64(bytes, gather_workspace(part.product, num_threads));
    }
  }
  return bytes;
}

void conv2d_input_grad_cpu(const OpCall& call, CpuContext& context) {
  const Operand &dy = call[0], &filter = call[1], &dx = call[2];
  const ConvGeometry g = read_conv(call, dx, filter, dy);
  if (dx.size == 0) return;
  if (filter.size == 0 || dy.size == 0) {
    std::memset(dx.data, 0, size_t(dx.bytes()));
    return;
  }
  if (g.is_pointwise()) return gemm(pointwise(g, dy.f32(), filter.f32(), dx.f32()), call.workspace, context);
  float* scratch = static_cast<float*>(call.workspace);
  if (uses_columns(g)) return run_columns(g, dy.f32(), filter.f32(), dx.f32(), scratch, context);
  bool untouched = false;
  for (int64_t h = 0; h < g.stride_h; ++h) {
    untouched |= taps_of_class(h, g.stride_h, g.dilation_h, g.pad_top, g.kh).count == 0;
  }
  for (int64_t w = 0; w < g.stride_w; ++w) {
    untouched |= taps_of_class(w, g.stride_w, g.dilation_w, g.pad_left, g.kw).count == 0;
  }
  // Pixels that no tap reaches stay zero.
  if (untouched) std::memset(dx.data, 0, size_t(dx.bytes()));
  for (int64_t h = 0; h < min64(g.stride_h, g.h); ++h) {
    for (int64_t w = 0; w < min64(g.stride_w, g.w); ++w) {
      Class part;
      make_class(g, h, w, dy.f32(), filter.f32(), dx.f32(), &part);
      if (part.product.segments() > 0) run_gather(part.product, scratch, context);
    }
  }
}

TK_END_LEVEL
