#include "ops/conv/conv.h"

#include "ops/conv/conv_geometry.h"
#include "ops/conv/tap_axes.h"

TK_BEGIN_LEVEL
namespace {

GemmArgs pointwise_input_grad(const ConvGeometry& g, const float* dy, const float* filter, float* dx) {
  GemmArgs args;
  args.m = pixels(g), args.n = g.c, args.k = g.cout;
  args.a = {dy, g.cout, 1};
  args.b = {filter, 1, g.cout};
  args.c = dx;
  return args;
}

// The matrices filter[kd,kh,kw]^T of the taps of one class, stacked.
struct ClassFilter {
  const float* filter;
  int64_t kh, kw, c, cout;
  AxisTaps d, h, w;

  static void pack(const void* self, int64_t k0, int64_t k1, int64_t n0, int cols, float* dst) {
    const ClassFilter& f = *static_cast<const ClassFilter*>(self);
    for (int64_t k = k0; k < k1;) {
      const int64_t q = k / f.cout, end = min64((q + 1) * f.cout, k1);
      const int64_t kd = f.d.first_tap + q / (f.w.count * f.h.count) * f.d.tap_step;
      const int64_t kh = f.h.first_tap + q / f.w.count % f.h.count * f.h.tap_step;
      const int64_t tap = (kd * f.kh + kh) * f.kw + f.w.first_tap + q % f.w.count * f.w.tap_step;
      const StridedMatrix matrix = {f.filter + tap * f.c * f.cout, 1, f.cout};
      pack_b_panel(matrix, k - q * f.cout, end - k, n0, cols, dst + (k - k0) * round_up(cols, kVecWidth));
      k = end;
    }
  }
};

// With stride s only every s-th pixel meets a given tap: dx is cut into s_d * s_h * s_w classes of pixels, each with its own
// taps.
struct Class {
  ClassFilter filter;
  GatherProduct product;
};

void make_class(const ConvGeometry& g, int64_t d, int64_t h, int64_t w, const float* dy, const float* filter, float* dx,
                Class* out) {
  ClassFilter& f = out->filter;
  f = {filter,
       g.kh,
       g.kw,
       g.c,
       g.cout,
       taps_of_class(d, g.stride_d, g.dilation_d, g.pad_front, g.kd),
       taps_of_class(h, g.stride_h, g.dilation_h, g.pad_top, g.kh),
       taps_of_class(w, g.stride_w, g.dilation_w, g.pad_left, g.kw)};
  GatherProduct& p = out->product;
  p.images = g.n;
  p.n = g.c;
  p.d = gather_axis(f.d, d, g.d, g.stride_d, g.dilation_d, g.pad_front, g.od);
  p.h = gather_axis(f.h, h, g.h, g.stride_h, g.dilation_h, g.pad_top, g.oh);
  p.w = gather_axis(f.w, w, g.w, g.stride_w, g.dilation_w, g.pad_left, g.ow);
  p.length = g.cout;
  p.source = dy;
  p.source_image = g.output_floats(), p.source_plane = g.oh * g.ow * g.cout, p.source_row = g.ow * g.cout,
  p.source_pixel = g.cout;
  p.result = dx;
  p.result_image = g.image_floats(), p.result_plane = g.h * g.w * g.c, p.result_row = g.w * g.c, p.result_pixel = g.c;
  p.inside = false;
  p.filter_self = &f;
  p.pack_b = ClassFilter::pack;
}

// With few channels the product above would fill a fraction of a vector. Then all products dy * filter are formed first,
// columns [pixel of dy][tap, c], for as many images at a time as fit a part of the cache; each dx collects its own.
constexpr int64_t kColumnFloats = 1 << 20;
bool uses_columns(const ConvGeometry& g) { return g.c < kVecWidth && g.taps() > 1; }

int64_t column_images(const ConvGeometry& g) {
  return max64(1, min64(g.n, kColumnFloats / max64(1, g.od * g.oh * g.ow * g.taps() * g.c)));
}

GemmArgs column_product(const ConvGeometry& g, int64_t images, const float* dy, const float* filter, float* columns) {
  GemmArgs args;
  args.m = images * g.od * g.oh * g.ow, args.n = g.taps() * g.c, args.k = g.cout;
  args.a = {dy, g.cout, 1};
  args.b = {filter, 1, g.cout};
  args.c = columns;
  return args;
}

// The output position that meets position `at` of the image through tap k, or -1.
TK_INLINE int64_t output_of(int64_t at, int64_t k, int64_t dilation, int64_t pad, int64_t stride, int64_t outputs) {
  const int64_t start = at + pad - k * dilation;
  return start >= 0 && start % stride == 0 && start / stride < outputs ? start / stride : -1;
}

// One row of dx: for each tap, in rising order, the columns of the dy row that it meets.
void collect_row(const ConvGeometry& g, const float* columns, int64_t d, int64_t h, float* dx) {
  std::memset(dx, 0, size_t(g.w * g.c) * sizeof(float));
  const int64_t width = g.taps() * g.c;
  for (int64_t k = 0; k < g.kd * g.kh; ++k) {
    const int64_t od = output_of(d, k / g.kh, g.dilation_d, g.pad_front, g.stride_d, g.od);
    const int64_t oh = output_of(h, k % g.kh, g.dilation_h, g.pad_top, g.stride_h, g.oh);
    if (od < 0 || oh < 0) continue;
    const float* line = columns + (od * g.oh + oh) * g.ow * width;
    for (int64_t kw = 0; kw < g.kw; ++kw) {
      const int64_t shift = kw * g.dilation_w - g.pad_left;  // w = ow * stride_w + shift
      const int64_t first = shift < 0 ? ceil_div(-shift, g.stride_w) : 0;
      const int64_t last = g.w <= shift ? 0 : min64(g.ow, ceil_div(g.w - shift, g.stride_w));
      const float* src = line + (k * g.kw + kw) * g.c;
      for (int64_t ow = first; ow < last; ++ow) {
        float* dst = dx + (ow * g.stride_w + shift) * g.c;
        for (int64_t c = 0; c < g.c; ++c) dst[c] += src[ow * width + c];
      }
    }
  }
}

void run_columns(const ConvGeometry& g, const float* dy, const float* filter, float* dx, float* workspace,
                 CpuContext& context) {
  const int64_t step = column_images(g), image_floats = g.od * g.oh * g.ow * g.taps() * g.c;
  float* scratch = workspace + round_up(step * image_floats, 16);
  for (int64_t first = 0; first < g.n; first += step) {
    const int64_t images = min64(step, g.n - first);
    gemm(column_product(g, images, dy + first * g.output_floats(), filter, workspace), scratch, context);
    const int64_t grain = max64(1, 16 * 1024 / max64(1, g.w * g.c * g.taps()));
    context.parallel_for(images * g.d * g.h, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t plane = row / g.h;
        collect_row(g, workspace + plane / g.d * image_floats, plane % g.d, row % g.h,
                    dx + first * g.image_floats() + row * g.w * g.c);
      }
    });
  }
}

// visit(d, h, w): the first pixel of each class that has pixels.
template <class Visit>
void for_each_class(const ConvGeometry& g, const Visit& visit) {
  for (int64_t d = 0; d < min64(g.stride_d, g.d); ++d) {
    for (int64_t h = 0; h < min64(g.stride_h, g.h); ++h) {
      for (int64_t w = 0; w < min64(g.stride_w, g.w); ++w) visit(d, h, w);
    }
  }
}

int64_t input_grad_workspace(const OpCall& call, const ConvGeometry& g, int num_threads) {
  if (call[2].size == 0 || call[1].size == 0 || call[0].size == 0) return 0;
  if (g.is_pointwise()) return gemm_workspace(pointwise_input_grad(g, nullptr, nullptr, nullptr), num_threads);
  if (uses_columns(g)) {
    const int64_t step = column_images(g), columns = round_up(step * g.od * g.oh * g.ow * g.taps() * g.c, 16);
    int64_t bytes = gemm_workspace(column_product(g, step, nullptr, nullptr, nullptr), num_threads);
    if (g.n % step != 0) {
      bytes = max64(bytes, gemm_workspace(column_product(g, g.n % step, nullptr, nullptr, nullptr), num_threads));
    }
    return columns * int64_t(sizeof(float)) + bytes;
  }
  int64_t bytes = 0;
  for_each_class(g, [&](int64_t d, int64_t h, int64_t w) {
    Class part;
    make_class(g, d, h, w, nullptr, nullptr, nullptr, &part);
    if (part.product.segments() > 0) bytes = max64(bytes, gather_workspace(part.product, num_threads));
  });
  return bytes;
}

void input_grad(const OpCall& call, const ConvGeometry& g, CpuContext& context) {
  const Operand &dy = call[0], &filter = call[1], &dx = call[2];
  if (dx.size == 0) return;
  if (filter.size == 0 || dy.size == 0) {
    std::memset(dx.data, 0, size_t(dx.bytes()));
    return;
  }
  const RowsOver over = {context, g.c};
  if (g.is_pointwise()) {
    GemmArgs args = pointwise_input_grad(g, dy.f32(), filter.f32(), dx.f32());
    args.done = over.done();
    return gemm(args, call.workspace, context);
  }
  float* scratch = static_cast<float*>(call.workspace);
  if (uses_columns(g)) return run_columns(g, dy.f32(), filter.f32(), dx.f32(), scratch, context);
  bool untouched = false;
  for_each_class(g, [&](int64_t d, int64_t h, int64_t w) {
    Class part;
    make_class(g, d, h, w, nullptr, nullptr, nullptr, &part);
    untouched |= part.product.segments() == 0;
  });
  // Pixels that no tap reaches stay zero.
  if (untouched) std::memset(dx.data, 0, size_t(dx.bytes()));
  for_each_class(g, [&](int64_t d, int64_t h, int64_t w) {
    Class part;
    make_class(g, d, h, w, dy.f32(), filter.f32(), dx.f32(), &part);
    // With strides each class has pixels here and there.
    if (g.stride_d * g.stride_h * g.stride_w == 1 && !untouched) part.product.done = over.done();
    if (part.product.segments() > 0) run_gather(part.product, scratch, context);
  });
}

}  // namespace

int64_t conv2d_input_grad_workspace(const OpCall& call, int num_threads) {
  return input_grad_workspace(call, read_conv2d(call, call[2], call[1], call[0]), num_threads);
}
int64_t conv3d_input_grad_workspace(const OpCall& call, int num_threads) {
  return input_grad_workspace(call, read_conv3d(call, call[2], call[1], call[0]), num_threads);
}
void conv2d_input_grad_cpu(const OpCall& call, CpuContext& context) {
  input_grad(call, read_conv2d(call, call[2], call[1], call[0]), context);
}
void conv3d_input_grad_cpu(const OpCall& call, CpuContext& context) {
  input_grad(call, read_conv3d(call, call[2], call[1], call[0]), context);
}

TK_END_LEVEL
