#include "cuda/gemm/gemm.h"
#include "cuda/gemm/gemm_choice.h"
// context.h first.
#include "ops/conv/conv.h"
#include "ops/conv/conv_geometry.h"
#include "ops/conv/depthwise.h"
#include "ops/conv/depthwise_geometry.h"
#include "ops/conv/implicit_gemm_cuda.cuh"

// Large convolutions are products on the tensor cores (implicit_gemm_cuda.cuh); a filter of one tap is a plain product. The
// others are direct, a thread per element of the result: right for every shape. The sum of one tap is formed apart and added to
// the total, so that the error grows with taps and channels and not with their product.
TK_BEGIN_CUDA
namespace {

// Position in the image that output position o meets through a tap; may lie outside.
__device__ inline int64_t image_position(int64_t o, int64_t stride, int64_t pad, int64_t tap, int64_t dilation) {
  return o * stride - pad + tap * dilation;
}

// Output position that meets image position i through a tap; -1 when there is none.
__device__ inline int64_t output_position(int64_t i, int64_t stride, int64_t pad, int64_t tap, int64_t dilation,
                                          int64_t outputs) {
  const int64_t shifted = i + pad - tap * dilation;
  if (shifted < 0 || shifted % stride != 0) return -1;
  return shifted / stride < outputs ? shifted / stride : -1;
}

void conv_forward_of(const CudaContext& context, const ConvGeometry& g, const float* x, const float* filter, float* y) {
  for_each(
      context, g.n * g.output_floats(),
      [=] __device__(int64_t i) {
        const int64_t co = i % g.cout, pixel = i / g.cout;
        const int64_t ow = pixel % g.ow, oh = pixel / g.ow % g.oh, od = pixel / (g.ow * g.oh) % g.od;
        const float* image = x + pixel / (g.ow * g.oh * g.od) * g.image_floats();
        float total = 0;
        for (int64_t kd = 0; kd < g.kd; ++kd) {
          const int64_t d = image_position(od, g.stride_d, g.pad_front, kd, g.dilation_d);
          if (d < 0 || d >= g.d) continue;
          for (int64_t kh = 0; kh < g.kh; ++kh) {
            const int64_t h = image_position(oh, g.stride_h, g.pad_top, kh, g.dilation_h);
            if (h < 0 || h >= g.h) continue;
            for (int64_t kw = 0; kw < g.kw; ++kw) {
              const int64_t w = image_position(ow, g.stride_w, g.pad_left, kw, g.dilation_w);
              if (w < 0 || w >= g.w) continue;
              const float* from = image + ((d * g.h + h) * g.w + w) * g.c;
              const float* weights = filter + ((kd * g.kh + kh) * g.kw + kw) * g.c * g.cout + co;
              float sum = 0;
              for (int64_t c = 0; c < g.c; ++c) sum = fmaf(from[c], weights[c * g.cout], sum);
              total += sum;
            }
          }
        }
        y[i] = total;
      },
      1);
}

void conv_input_grad_of(const CudaContext& context, const ConvGeometry& g, const float* dy, const float* filter, float* dx) {
  for_each(
      context, g.n * g.image_floats(),
      [=] __device__(int64_t i) {
        const int64_t c = i % g.c, pixel = i / g.c;
        const int64_t w = pixel % g.w, h = pixel / g.w % g.h, d = pixel / (g.w * g.h) % g.d;
        const float* image = dy + pixel / (g.w * g.h * g.d) * g.output_floats();
        float total = 0;
        for (int64_t kd = 0; kd < g.kd; ++kd) {
          const int64_t od = output_position(d, g.stride_d, g.pad_front, kd, g.dilation_d, g.od);
          if (od < 0) continue;
          for (int64_t kh = 0; kh < g.kh; ++kh) {
            const int64_t oh = output_position(h, g.stride_h, g.pad_top, kh, g.dilation_h, g.oh);
            if (oh < 0) continue;
            for (int64_t kw = 0; kw < g.kw; ++kw) {
              const int64_t ow = output_position(w, g.stride_w, g.pad_left, kw, g.dilation_w, g.ow);
              if (ow < 0) continue;
              const float* from = image + ((od * g.oh + oh) * g.ow + ow) * g.cout;
              const float* weights = filter + (((kd * g.kh + kh) * g.kw + kw) * g.c + c) * g.cout;
              float sum = 0;
              for (int64_t co = 0; co < g.cout; ++co) sum = fmaf(from[co], weights[co], sum);
              total += sum;
            }
          }
        }
        dx[i] = total;
      },
      1);
}

// The sum over all pixels of one row of the output is formed in f32, that over the rows in double: there may be millions.
void conv_filter_grad_of(const CudaContext& context, const ConvGeometry& g, const float* x, const float* dy, float* dfilter) {
  for_each(
      context, g.taps() * g.c * g.cout,
      [=] __device__(int64_t i) {
        const int64_t co = i % g.cout, c = i / g.cout % g.c, tap = i / (g.cout * g.c);
        const int64_t kw = tap % g.kw, kh = tap / g.kw % g.kh, kd = tap / (g.kw * g.kh);
        double total = 0;
        for (int64_t row = 0; row < g.n * g.od * g.oh; ++row) {
          const int64_t oh = row % g.oh, od = row / g.oh % g.od, image = row / (g.oh * g.od);
          const int64_t h = image_position(oh, g.stride_h, g.pad_top, kh, g.dilation_h);
          const int64_t d = image_position(od, g.stride_d, g.pad_front, kd, g.dilation_d);
          if (h < 0 || h >= g.h || d < 0 || d >= g.d) continue;
          const float* from = x + (((image * g.d + d) * g.h + h) * g.w) * g.c + c;
          const float* gradient = dy + row * g.ow * g.cout + co;
          float sum = 0;
          for (int64_t ow = 0; ow < g.ow; ++ow) {
            const int64_t w = image_position(ow, g.stride_w, g.pad_left, kw, g.dilation_w);
            if (w >= 0 && w < g.w) sum = fmaf(from[w * g.c], gradient[ow * g.cout], sum);
          }
          total += double(sum);
        }
        dfilter[i] = float(total);
      },
      1);
}

enum class ConvPass { forward, input_grad, filter_grad };

// The pass as a product.
struct ConvProduct {
  int64_t m, n, k;
  ConvProduct(const ConvGeometry& g, ConvPass pass) {
    const int64_t image = g.n * g.d * g.h * g.w, output = g.n * g.od * g.oh * g.ow;
    m = pass == ConvPass::forward ? output : pass == ConvPass::input_grad ? image : g.taps() * g.c;
    n = pass == ConvPass::input_grad ? g.c : g.cout;
    k = pass == ConvPass::forward ? g.taps() * g.c : pass == ConvPass::input_grad ? g.taps() * g.cout : output;
  }
};

enum class ConvKernel { direct, product, tiles_64, tiles_128 };
struct ConvChoice {
  ConvKernel kernel;
  int splits;
};

// A pure function of the geometry, as choose_gemm is.
ConvChoice choose_conv(const ConvGeometry& g, ConvPass pass) {
  const ConvProduct p(g, pass);
  if (g.is_pointwise()) return {ConvKernel::product, 1};
  const bool small_numbers = p.m < INT32_MAX && p.k < INT32_MAX && g.n * g.image_floats() < INT32_MAX &&
                             g.n * g.output_floats() < INT32_MAX && g.h < 32768 && g.w < 32768 && g.d < 32768;
  if (!small_numbers || p.n < 8 || p.m < 32 || p.m * p.n * p.k < int64_t(1) << 22) return {ConvKernel::direct, 1};
  const GemmShape shape = {p.m, p.n, p.k, 1, false, true, true, false};
  if (tiles_of(shape, 128) >= kEnoughTiles) return {ConvKernel::tiles_128, 1};
  return {ConvKernel::tiles_64, splits_for(tiles_of(shape, 64), p.k, 512)};
}

Gemm pointwise_product(const ConvGeometry& g, ConvPass pass, const float* left, const float* right, float* out) {
  const ConvProduct p(g, pass);
  Gemm product;
  product.m = p.m, product.n = p.n, product.k = p.k;
  // left and right: x, filter; dy, filter; x, dy.
  product.a = pass == ConvPass::filter_grad ? GemmOperand{left, 1, g.c} : GemmOperand{left, p.k, 1};
  product.b = pass == ConvPass::input_grad ? GemmOperand{right, 1, g.cout} : GemmOperand{right, g.cout, 1};
  product.y = out, product.y_row = p.n;
  return product;
}

int64_t conv_workspace(const ConvGeometry& g, ConvPass pass) {
  const ConvProduct p(g, pass);
  if (p.m == 0 || p.n == 0) return 0;
  const ConvChoice choice = choose_conv(g, pass);
  if (choice.kernel == ConvKernel::product) return gemm_workspace(pointwise_product(g, pass, nullptr, nullptr, nullptr));
  return choice.splits > 1 ? choice.splits * p.m * p.n * int64_t(sizeof(float)) : 0;
}

ConvLoadShape load_shape(const ConvGeometry& g, bool backward) {
  const auto axis = [](int64_t image, int64_t output, int64_t stride, int64_t dilation, int64_t pad) {
    return ConvAxis{int32_t(image), int32_t(output), int32_t(stride), int32_t(dilation), int32_t(pad)};
  };
  ConvLoadShape s;
  s.d = axis(g.d, g.od, g.stride_d, g.dilation_d, g.pad_front);
  s.h = axis(g.h, g.oh, g.stride_h, g.dilation_h, g.pad_top);
  s.w = axis(g.w, g.ow, g.stride_w, g.dilation_w, g.pad_left);
  const int64_t channels = backward ? g.cout : g.c;
  s.channels = int32_t(channels);
  s.by_channels = FastDivide(channels), s.by_kh = FastDivide(g.kh), s.by_kw = FastDivide(g.kw);
  s.by_d = FastDivide(backward ? g.d : g.od), s.by_h = FastDivide(backward ? g.h : g.oh);
  s.by_w = FastDivide(backward ? g.w : g.ow);
  s.pixels = uint32_t(backward ? g.n * g.d * g.h * g.w : g.n * g.od * g.oh * g.ow);
  s.depth = uint32_t(g.taps() * channels);
  return s;
}

bool in_vectors(const float* data, int64_t channels) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && channels % 4 == 0;
}

MatrixLoad<float> rows_of(const float* data, int64_t rows, int64_t cols) {
  return {data, cols, 0, rows, cols, in_vectors(data, cols)};
}

template <Multiply kMultiply, int kTile>
void launch_conv(const CudaContext& context, const ConvGeometry& g, ConvPass pass, const TileOutput& out, const float* left,
                 const float* right) {
  constexpr int kWarpsN = kTile == 128 ? 4 : 2;
  if (pass == ConvPass::forward) {
    launch_tiles<TileConfig<kTile, kTile, 2, kWarpsN, kMultiply, true, false>>(
        context, out, ConvLoad<false>{left, load_shape(g, false), in_vectors(left, g.c)}, rows_of(right, out.k, g.cout));
  } else if (pass == ConvPass::input_grad) {
    launch_tiles<TileConfig<kTile, kTile, 2, kWarpsN, kMultiply, true, true>>(
        context, out, ConvLoad<true>{left, load_shape(g, true), in_vectors(left, g.cout)},
        FilterLoad{right, g.c, g.cout, out.k, FastDivide(g.cout), in_vectors(right, g.cout)});
  } else {
    launch_tiles<TileConfig<kTile, kTile, 2, kWarpsN, kMultiply, false, false>>(
        context, out, ConvLoad<false>{left, load_shape(g, false), in_vectors(left, g.c)}, rows_of(right, out.k, g.cout));
  }
}

void run_conv(const OpCall& call, const CudaContext& context, const ConvGeometry& g, ConvPass pass) {
  const float *left = call[0].f32(), *right = call[1].f32();
  float* result = call[2].f32();
  const ConvProduct p(g, pass);
  if (p.m == 0 || p.n == 0) return;
  const ConvChoice choice = choose_conv(g, pass);
  if (choice.kernel == ConvKernel::product) {
    return gemm(context, pointwise_product(g, pass, left, right, result), call.workspace);
  }
  if (choice.kernel == ConvKernel::direct) {
    if (pass == ConvPass::forward) return conv_forward_of(context, g, left, right, result);
    if (pass == ConvPass::input_grad) return conv_input_grad_of(context, g, left, right, result);
    return conv_filter_grad_of(context, g, left, right, result);
  }
  constexpr int64_t kStep = 64;
  TileOutput out;
  out.m = p.m, out.n = p.n, out.k = p.k, out.batch = 1;
  out.splits = choice.splits;
  out.k_per_split = ((p.k + choice.splits - 1) / choice.splits + kStep - 1) / kStep * kStep;
  out.partial = static_cast<float*>(call.workspace);
  out.y = result, out.y_type = DType::f32, out.y_row = p.n, out.y_batch = 0;
  const bool large = choice.kernel == ConvKernel::tiles_128;
  if (context.settings().tf32) {
    if (large) return launch_conv<Multiply::tf32, 128>(context, g, pass, out, left, right);
    return launch_conv<Multiply::tf32, 64>(context, g, pass, out, left, right);
  }
  if (large) return launch_conv<Multiply::accurate, 128>(context, g, pass, out, left, right);
  launch_conv<Multiply::accurate, 64>(context, g, pass, out, left, right);
}

}  // namespace

int64_t conv2d_cuda_workspace(const OpCall& call) {
  return conv_workspace(read_conv2d(call, call[0], call[1], call[2]), ConvPass::forward);
}
void conv2d_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv2d(call, call[0], call[1], call[2]), ConvPass::forward);
}
int64_t conv2d_input_grad_cuda_workspace(const OpCall& call) {
  return conv_workspace(read_conv2d(call, call[2], call[1], call[0]), ConvPass::input_grad);
}
void conv2d_input_grad_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv2d(call, call[2], call[1], call[0]), ConvPass::input_grad);
}
int64_t conv2d_filter_grad_cuda_workspace(const OpCall& call) {
  return conv_workspace(read_conv2d(call, call[0], call[2], call[1]), ConvPass::filter_grad);
}
void conv2d_filter_grad_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv2d(call, call[0], call[2], call[1]), ConvPass::filter_grad);
}
int64_t conv3d_cuda_workspace(const OpCall& call) {
  return conv_workspace(read_conv3d(call, call[0], call[1], call[2]), ConvPass::forward);
}
void conv3d_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv3d(call, call[0], call[1], call[2]), ConvPass::forward);
}
int64_t conv3d_input_grad_cuda_workspace(const OpCall& call) {
  return conv_workspace(read_conv3d(call, call[2], call[1], call[0]), ConvPass::input_grad);
}
void conv3d_input_grad_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv3d(call, call[2], call[1], call[0]), ConvPass::input_grad);
}
int64_t conv3d_filter_grad_cuda_workspace(const OpCall& call) {
  return conv_workspace(read_conv3d(call, call[0], call[2], call[1]), ConvPass::filter_grad);
}
void conv3d_filter_grad_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv3d(call, call[0], call[2], call[1]), ConvPass::filter_grad);
}

void depthwise_conv2d_cuda(const OpCall& call, CudaContext& context) {
  const DepthwiseGeometry g = read_depthwise(call, call[0], call[1], call[2]);
  const float *x = call[0].f32(), *filter = call[1].f32();
  float* y = call[2].f32();
  for_each(
      context, call[2].size,
      [=] __device__(int64_t i) {
        const int64_t channel = i % g.channels(), pixel = i / g.channels(), c = channel / g.m;
        const int64_t ow = pixel % g.ow, oh = pixel / g.ow % g.oh, image = pixel / (g.ow * g.oh);
        float sum = 0;
        for (int64_t kh = 0; kh < g.kh; ++kh) {
          const int64_t h = image_position(oh, g.stride_h, g.pad_top, kh, g.dilation_h);
          if (h < 0 || h >= g.h) continue;
          for (int64_t kw = 0; kw < g.kw; ++kw) {
            const int64_t w = image_position(ow, g.stride_w, g.pad_left, kw, g.dilation_w);
            if (w < 0 || w >= g.w) continue;
            sum = fmaf(x[((image * g.h + h) * g.w + w) * g.c + c], filter[(kh * g.kw + kw) * g.channels() + channel], sum);
          }
        }
        y[i] = sum;
      },
      1);
}

void depthwise_conv2d_input_grad_cuda(const OpCall& call, CudaContext& context) {
  const DepthwiseGeometry g = read_depthwise(call, call[2], call[1], call[0]);
  const float *dy = call[0].f32(), *filter = call[1].f32();
  float* dx = call[2].f32();
  for_each(
      context, call[2].size,
      [=] __device__(int64_t i) {
        const int64_t c = i % g.c, pixel = i / g.c;
        const int64_t w = pixel % g.w, h = pixel / g.w % g.h, image = pixel / (g.w * g.h);
        float total = 0;
        for (int64_t kh = 0; kh < g.kh; ++kh) {
          const int64_t oh = output_position(h, g.stride_h, g.pad_top, kh, g.dilation_h, g.oh);
          if (oh < 0) continue;
          for (int64_t kw = 0; kw < g.kw; ++kw) {
            const int64_t ow = output_position(w, g.stride_w, g.pad_left, kw, g.dilation_w, g.ow);
            if (ow < 0) continue;
            const float* from = dy + ((image * g.oh + oh) * g.ow + ow) * g.channels() + c * g.m;
            const float* weights = filter + (kh * g.kw + kw) * g.channels() + c * g.m;
            for (int64_t m = 0; m < g.m; ++m) total = fmaf(from[m], weights[m], total);
          }
        }
        dx[i] = total;
      },
      1);
}

void depthwise_conv2d_filter_grad_cuda(const OpCall& call, CudaContext& context) {
  const DepthwiseGeometry g = read_depthwise(call, call[0], call[2], call[1]);
  const float *x = call[0].f32(), *dy = call[1].f32();
  float* dfilter = call[2].f32();
  for_each(
      context, call[2].size,
      [=] __device__(int64_t i) {
        const int64_t channel = i % g.channels(), tap = i / g.channels(), c = channel / g.m;
        const int64_t kw = tap % g.kw, kh = tap / g.kw;
        double total = 0;
        for (int64_t row = 0; row < g.n * g.oh; ++row) {
          const int64_t h = image_position(row % g.oh, g.stride_h, g.pad_top, kh, g.dilation_h);
          if (h < 0 || h >= g.h) continue;
          const float* from = x + ((row / g.oh * g.h + h) * g.w) * g.c + c;
          const float* gradient = dy + row * g.ow * g.channels() + channel;
          float sum = 0;
          for (int64_t ow = 0; ow < g.ow; ++ow) {
            const int64_t w = image_position(ow, g.stride_w, g.pad_left, kw, g.dilation_w);
            if (w >= 0 && w < g.w) sum = fmaf(from[w * g.c], gradient[ow * g.channels()], sum);
          }
          total += double(sum);
        }
        dfilter[i] = float(total);
      },
      1);
}

TK_END_CUDA
