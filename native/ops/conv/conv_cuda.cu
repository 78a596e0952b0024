#include "cuda/conv_setting.h"
#include "cuda/gemm/epilogue.cuh"
#include "cuda/gemm/gemm.h"
#include "cuda/gemm/gemm_choice.h"
#include "cuda/gemm/wgmma_tile_kernel.cuh"
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

template <class T>
void conv_forward_of(const CudaContext& context, const ConvGeometry& g, const T* x, const T* filter, const Operand& result) {
  void* const y = result.data;
  const DType type = result.dtype;
  for_each(
      context, g.n * g.output_floats(),
      [=] __device__(int64_t i) {
        const int64_t co = i % g.cout, pixel = i / g.cout;
        const int64_t ow = pixel % g.ow, oh = pixel / g.ow % g.oh, od = pixel / (g.ow * g.oh) % g.od;
        const T* image = x + pixel / (g.ow * g.oh * g.od) * g.image_floats();
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
              const T* from = image + ((d * g.h + h) * g.w + w) * g.c;
              const T* weights = filter + ((kd * g.kh + kh) * g.kw + kw) * g.c * g.cout + co;
              float sum = 0;
              for (int64_t c = 0; c < g.c; ++c) sum = fmaf(to_float(from[c]), to_float(weights[c * g.cout]), sum);
              total += sum;
            }
          }
        }
        store_as(type, y, i, total);
      },
      1);
}

template <class T>
void conv_input_grad_of(const CudaContext& context, const ConvGeometry& g, const T* dy, const T* filter,
                        const Operand& result) {
  void* const dx = result.data;
  const DType type = result.dtype;
  for_each(
      context, g.n * g.image_floats(),
      [=] __device__(int64_t i) {
        const int64_t c = i % g.c, pixel = i / g.c;
        const int64_t w = pixel % g.w, h = pixel / g.w % g.h, d = pixel / (g.w * g.h) % g.d;
        const T* image = dy + pixel / (g.w * g.h * g.d) * g.output_floats();
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
              const T* from = image + ((od * g.oh + oh) * g.ow + ow) * g.cout;
              const T* weights = filter + (((kd * g.kh + kh) * g.kw + kw) * g.c + c) * g.cout;
              float sum = 0;
              for (int64_t co = 0; co < g.cout; ++co) sum = fmaf(to_float(from[co]), to_float(weights[co]), sum);
              total += sum;
            }
          }
        }
        store_as(type, dx, i, total);
      },
      1);
}

// The sum over all pixels of one row of the output is formed in f32, that over the rows in double: there may be millions.
template <class T>
void conv_filter_grad_of(const CudaContext& context, const ConvGeometry& g, const T* x, const T* dy, const Operand& result) {
  void* const dfilter = result.data;
  const DType type = result.dtype;
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
          const T* from = x + (((image * g.d + d) * g.h + h) * g.w) * g.c + c;
          const T* gradient = dy + row * g.ow * g.cout + co;
          float sum = 0;
          for (int64_t ow = 0; ow < g.ow; ++ow) {
            const int64_t w = image_position(ow, g.stride_w, g.pad_left, kw, g.dilation_w);
            if (w >= 0 && w < g.w) sum = fmaf(to_float(from[w * g.c]), to_float(gradient[ow * g.cout]), sum);
          }
          total += double(sum);
        }
        store_as(type, dfilter, i, float(total));
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

struct ConvChoice {
  ConvKernel kernel;
  int splits;
};

// A pure function of the geometry, as choose_gemm is.
ConvChoice choose_conv(const ConvGeometry& g, ConvPass pass) {
  const ConvProduct p(g, pass);
  const int wanted = conv_kernel_wanted();
  if (wanted < 0 && g.is_pointwise()) return {ConvKernel::product, 1};
  const bool small_numbers = p.m < INT32_MAX && p.k < INT32_MAX && g.n * g.image_floats() < INT32_MAX &&
                             g.n * g.output_floats() < INT32_MAX && g.h < 32768 && g.w < 32768 && g.d < 32768;
  const GemmShape shape = {p.m, p.n, p.k, 1, false, true, true, false};
  if (!small_numbers || wanted == int(ConvKernel::direct)) return {ConvKernel::direct, 1};
  // Several steps to a part, so that stages are used again.
  if (wanted == int(ConvKernel::hopper)) return {ConvKernel::hopper, splits_for(tiles_of(shape, 64), p.k, 256)};
  // Parts of 64, so that small cases are split too.
  if (wanted >= 0) return {ConvKernel(wanted), splits_for(tiles_of(shape, 64), p.k, 64)};
  if (p.n < 8 || p.m < 32 || p.m * p.n * p.k < int64_t(1) << 22) return {ConvKernel::direct, 1};
  if (tiles_of(shape, 128) >= kEnoughTiles) return {ConvKernel::tiles_128, 1};
  return {ConvKernel::tiles_64, splits_for(tiles_of(shape, 64), p.k, 512)};
}

Gemm pointwise_product(const ConvGeometry& g, ConvPass pass, const OpCall& call) {
  const void *left = call[0].data, *right = call[1].data;
  const ConvProduct p(g, pass);
  Gemm product;
  product.m = p.m, product.n = p.n, product.k = p.k;
  // left and right: x, filter; dy, filter; x, dy.
  product.a = pass == ConvPass::filter_grad ? GemmOperand{left, 1, g.c} : GemmOperand{left, p.k, 1};
  product.b = pass == ConvPass::input_grad ? GemmOperand{right, 1, g.cout} : GemmOperand{right, g.cout, 1};
  product.type = call[0].dtype, product.y_type = call[2].dtype;
  product.y = call[2].data, product.y_row = p.n;
  return product;
}

int64_t conv_workspace(const OpCall& call, const ConvGeometry& g, ConvPass pass) {
  const ConvProduct p(g, pass);
  if (p.m == 0 || p.n == 0) return 0;
  const ConvChoice choice = choose_conv(g, pass);
  if (choice.kernel == ConvKernel::product) return gemm_workspace(pointwise_product(g, pass, call));
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

template <class T>
bool in_vectors(const T* data, int64_t channels) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && channels * int64_t(sizeof(T)) % 16 == 0;
}

template <class T>
MatrixLoad<T> rows_of(const T* data, int64_t rows, int64_t cols) {
  return {data, cols, 0, rows, cols, in_vectors(data, cols)};
}

template <Multiply kMultiply, int kTile>
void launch_conv(const CudaContext& context, const ConvGeometry& g, ConvPass pass, const TileOutput& out, const OpCall& call) {
  using T = typename MultiplyTraits<kMultiply>::Storage;
  const T *left = static_cast<const T*>(call[0].data), *right = static_cast<const T*>(call[1].data);
  constexpr int kWarpsN = kTile == 128 ? 4 : 2;
  if (pass == ConvPass::forward) {
    launch_tiles<TileConfig<kTile, kTile, 2, kWarpsN, kMultiply, true, false>>(
        context, out, ConvLoad<T, false>{left, load_shape(g, false), in_vectors(left, g.c)}, rows_of(right, out.k, g.cout));
  } else if (pass == ConvPass::input_grad) {
    launch_tiles<TileConfig<kTile, kTile, 2, kWarpsN, kMultiply, true, true>>(
        context, out, ConvLoad<T, true>{left, load_shape(g, true), in_vectors(left, g.cout)},
        FilterLoad<T>{right, g.c, g.cout, out.k, FastDivide(g.cout), in_vectors(right, g.cout)});
  } else {
    launch_tiles<TileConfig<kTile, kTile, 2, kWarpsN, kMultiply, false, false>>(
        context, out, ConvLoad<T, false>{left, load_shape(g, false), in_vectors(left, g.c)}, rows_of(right, out.k, g.cout));
  }
}

template <Multiply kMultiply>
void run_conv_tiles(const CudaContext& context, const ConvGeometry& g, ConvPass pass, const TileOutput& out, const OpCall& call,
                    bool large) {
  large ? launch_conv<kMultiply, 128>(context, g, pass, out, call) : launch_conv<kMultiply, 64>(context, g, pass, out, call);
}

template <int kN, bool kHalf>
void launch_conv_wgmma(const CudaContext& context, const ConvGeometry& g, ConvPass pass, const TileOutput& out,
                       const OpCall& call) {
  using T = uint16_t;
  const T *left = static_cast<const T*>(call[0].data), *right = static_cast<const T*>(call[1].data);
  if (pass == ConvPass::forward) {
    launch_wgmma_tiles<WgmmaTileConfig<kN, kHalf, true, false>>(
        context, out, ConvLoad<T, false>{left, load_shape(g, false), true}, rows_of(right, out.k, g.cout));
  } else if (pass == ConvPass::input_grad) {
    launch_wgmma_tiles<WgmmaTileConfig<kN, kHalf, true, true>>(
        context, out, ConvLoad<T, true>{left, load_shape(g, true), true},
        FilterLoad<T>{right, g.c, g.cout, out.k, FastDivide(g.cout), true});
  } else {
    launch_wgmma_tiles<WgmmaTileConfig<kN, kHalf, false, false>>(
        context, out, ConvLoad<T, false>{left, load_shape(g, false), true}, rows_of(right, out.k, g.cout));
  }
}

// Whether the pass goes through wgmma in place of mma.sync, cut into as many parts: the workspace is asked for before addresses
// are known.
bool takes_wgmma(const CudaContext& context, const ConvGeometry& g, ConvChoice choice, const ConvProduct& p,
                 const OpCall& call) {
  if (!context.settings().has_wgmma || call[0].dtype == DType::f32) return false;
  if (!in_vectors(static_cast<const uint16_t*>(call[0].data), g.c) ||
      !in_vectors(static_cast<const uint16_t*>(call[1].data), g.cout)) {
    return false;
  }
  if (conv_kernel_wanted() >= 0) return choice.kernel == ConvKernel::hopper;
  return is_large_for_wgmma(p.m, p.n, choice.splits);
}

template <bool kHalf>
void run_conv_wgmma(const CudaContext& context, const ConvGeometry& g, ConvPass pass, const TileOutput& out,
                    const OpCall& call) {
  out.n <= 64 ? launch_conv_wgmma<64, kHalf>(context, g, pass, out, call)
              : launch_conv_wgmma<128, kHalf>(context, g, pass, out, call);
}

template <class T>
void run_conv_direct(const OpCall& call, const CudaContext& context, const ConvGeometry& g, ConvPass pass) {
  const T *left = static_cast<const T*>(call[0].data), *right = static_cast<const T*>(call[1].data);
  if (pass == ConvPass::forward) return conv_forward_of(context, g, left, right, call[2]);
  if (pass == ConvPass::input_grad) return conv_input_grad_of(context, g, left, right, call[2]);
  conv_filter_grad_of(context, g, left, right, call[2]);
}

void run_conv(const OpCall& call, const CudaContext& context, const ConvGeometry& g, ConvPass pass) {
  const ConvProduct p(g, pass);
  if (p.m == 0 || p.n == 0) return;
  const ConvChoice choice = choose_conv(g, pass);
  if (choice.kernel == ConvKernel::product) return gemm(context, pointwise_product(g, pass, call), call.workspace);
  const DType type = call[0].dtype;
  if (choice.kernel == ConvKernel::direct) {
    if (type == DType::bf16) return run_conv_direct<__nv_bfloat16>(call, context, g, pass);
    if (type == DType::f16) return run_conv_direct<__half>(call, context, g, pass);
    return run_conv_direct<float>(call, context, g, pass);
  }
  constexpr int64_t kStep = 64;
  TileOutput out;
  out.m = p.m, out.n = p.n, out.k = p.k, out.batch = 1;
  out.splits = choice.splits;
  out.k_per_split = ((p.k + choice.splits - 1) / choice.splits + kStep - 1) / kStep * kStep;
  out.partial = static_cast<float*>(call.workspace);
  out.y = call[2].data, out.y_type = call[2].dtype, out.y_row = p.n, out.y_batch = 0;
  if (takes_wgmma(context, g, choice, p, call)) {
    return type == DType::f16 ? run_conv_wgmma<true>(context, g, pass, out, call)
                              : run_conv_wgmma<false>(context, g, pass, out, call);
  }
  const bool large = choice.kernel == ConvKernel::tiles_128 || choice.kernel == ConvKernel::hopper;
  if (type == DType::bf16) return run_conv_tiles<Multiply::bf16>(context, g, pass, out, call, large);
  if (type == DType::f16) return run_conv_tiles<Multiply::f16>(context, g, pass, out, call, large);
  if (context.settings().tf32) return run_conv_tiles<Multiply::tf32>(context, g, pass, out, call, large);
  run_conv_tiles<Multiply::accurate>(context, g, pass, out, call, large);
}

}  // namespace

bool conv2d_cuda_takes_half(const OpCall& call) { return is_half_product(call); }
int64_t conv2d_cuda_workspace(const OpCall& call) {
  return conv_workspace(call, read_conv2d(call, call[0], call[1], call[2]), ConvPass::forward);
}
void conv2d_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv2d(call, call[0], call[1], call[2]), ConvPass::forward);
}
bool conv2d_input_grad_cuda_takes_half(const OpCall& call) { return is_half_product(call); }
int64_t conv2d_input_grad_cuda_workspace(const OpCall& call) {
  return conv_workspace(call, read_conv2d(call, call[2], call[1], call[0]), ConvPass::input_grad);
}
void conv2d_input_grad_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv2d(call, call[2], call[1], call[0]), ConvPass::input_grad);
}
bool conv2d_filter_grad_cuda_takes_half(const OpCall& call) { return is_half_product(call); }
int64_t conv2d_filter_grad_cuda_workspace(const OpCall& call) {
  return conv_workspace(call, read_conv2d(call, call[0], call[2], call[1]), ConvPass::filter_grad);
}
void conv2d_filter_grad_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv2d(call, call[0], call[2], call[1]), ConvPass::filter_grad);
}
bool conv3d_cuda_takes_half(const OpCall& call) { return is_half_product(call); }
int64_t conv3d_cuda_workspace(const OpCall& call) {
  return conv_workspace(call, read_conv3d(call, call[0], call[1], call[2]), ConvPass::forward);
}
void conv3d_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv3d(call, call[0], call[1], call[2]), ConvPass::forward);
}
bool conv3d_input_grad_cuda_takes_half(const OpCall& call) { return is_half_product(call); }
int64_t conv3d_input_grad_cuda_workspace(const OpCall& call) {
  return conv_workspace(call, read_conv3d(call, call[2], call[1], call[0]), ConvPass::input_grad);
}
void conv3d_input_grad_cuda(const OpCall& call, CudaContext& context) {
  run_conv(call, context, read_conv3d(call, call[2], call[1], call[0]), ConvPass::input_grad);
}
bool conv3d_filter_grad_cuda_takes_half(const OpCall& call) { return is_half_product(call); }
int64_t conv3d_filter_grad_cuda_workspace(const OpCall& call) {
  return conv_workspace(call, read_conv3d(call, call[0], call[2], call[1]), ConvPass::filter_grad);
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
