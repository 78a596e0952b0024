#include "ops/conv/conv.h"

#include "ops/conv/conv_geometry.h"
#include "ops/conv/gather_product.h"

TK_BEGIN_LEVEL
namespace {

GemmArgs pointwise_forward(const ConvGeometry& g, const float* x, const float* filter, float* y) {
  GemmArgs args;
  args.m = pixels(g), args.n = g.cout, args.k = g.c;
  args.a = {x, g.c, 1};
  args.b = {filter, g.cout, 1};
  args.c = y;
  return args;
}

// The filter seen as one [KD*KH*KW*C, Cout] matrix.
void pack_filter(const void* self, int64_t k0, int64_t k1, int64_t n0, int cols, float* dst) {
  pack_b_panel(*static_cast<const StridedMatrix*>(self), k0, k1 - k0, n0, cols, dst);
}

// source: x, or its padded copy when taps are joined.
GatherProduct gather(const ConvGeometry& g, const StridedMatrix* filter, const float* source, float* y) {
  GatherProduct p;
  p.images = g.n;
  p.n = g.cout;
  p.d = {g.od, 0, 1, g.d, g.kd, g.stride_d, -g.pad_front, g.dilation_d};
  p.h = {g.oh, 0, 1, g.h, g.kh, g.stride_h, -g.pad_top, g.dilation_h};
  p.w = {g.ow, 0, 1, g.w, g.kw, g.stride_w, -g.pad_left, g.dilation_w};
  p.source = source;
  p.source_image = g.image_floats(), p.source_plane = g.h * g.w * g.c, p.source_row = g.w * g.c, p.source_pixel = g.c;
  p.length = g.c;
  const PaddedImage image = padded_image(g);
  p.inside = !image.copied;
  if (joins_taps(g)) {
    p.inside = true;
    p.length = g.kw * g.c;
    p.w.taps = 1;
    p.d.offset = p.h.offset = p.w.offset = 0;
    p.source = source == nullptr ? nullptr : source + image.origin;
    p.source_image = image.image, p.source_plane = image.plane, p.source_row = image.row;
  }
  p.result = y;
  p.result_image = g.output_floats(), p.result_plane = g.oh * g.ow * g.cout, p.result_row = g.ow * g.cout,
  p.result_pixel = g.cout;
  p.filter_self = filter;
  p.pack_b = pack_filter;
  return p;
}

int64_t forward_workspace(const OpCall& call, const ConvGeometry& g, int num_threads) {
  if (call[2].size == 0 || call[1].size == 0) return 0;
  if (g.is_pointwise()) return gemm_workspace(pointwise_forward(g, nullptr, nullptr, nullptr), num_threads);
  const int64_t copy = joins_taps(g) ? padded_floats(g) * int64_t(sizeof(float)) : 0;
  return copy + gather_workspace(gather(g, nullptr, nullptr, nullptr), num_threads);
}

void convolve(const OpCall& call, const ConvGeometry& g, CpuContext& context) {
  const Operand &x = call[0], &filter = call[1], &y = call[2];
  if (y.size == 0) return;
  if (filter.size == 0) {
    std::memset(y.data, 0, size_t(y.bytes()));
    return;
  }
  const RowsOver over = {context, g.cout};
  if (g.is_pointwise()) {
    GemmArgs args = pointwise_forward(g, x.f32(), filter.f32(), y.f32());
    args.done = over.done();
    return gemm(args, call.workspace, context);
  }
  float* scratch = static_cast<float*>(call.workspace);
  const float* source = x.f32();
  if (joins_taps(g) && padded_floats(g) > 0) {
    copy_padded(g, x.f32(), scratch, context);
    source = scratch;
    scratch += padded_floats(g);
  }
  const StridedMatrix matrix = {filter.f32(), g.cout, 1};
  GatherProduct product = gather(g, &matrix, source, y.f32());
  product.done = over.done();
  run_gather(product, scratch, context);
}

}  // namespace

int64_t conv2d_workspace(const OpCall& call, int num_threads) {
  return forward_workspace(call, read_conv2d(call, call[0], call[1], call[2]), num_threads);
}
int64_t conv3d_workspace(const OpCall& call, int num_threads) {
  return forward_workspace(call, read_conv3d(call, call[0], call[1], call[2]), num_threads);
}
void conv2d_cpu(const OpCall& call, CpuContext& context) {
  convolve(call, read_conv2d(call, call[0], call[1], call[2]), context);
}
void conv3d_cpu(const OpCall& call, CpuContext& context) {
  convolve(call, read_conv3d(call, call[0], call[1], call[2]), context);
}

TK_END_LEVEL
