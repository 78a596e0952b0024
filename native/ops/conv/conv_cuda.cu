#include "cuda/context.h"
// context.h first.
#include "ops/conv/conv.h"
#include "ops/conv/conv_geometry.h"
#include "ops/conv/depthwise.h"
#include "ops/conv/depthwise_geometry.h"

// Direct convolutions, a thread per element of the result: right for every shape, fast for none of the large ones. The sum of
// one tap is formed apart and added to the total, so that the error grows with taps and channels and not with their product.
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

}  // namespace

void conv2d_cuda(const OpCall& call, CudaContext& context) {
  conv_forward_of(context, read_conv2d(call, call[0], call[1], call[2]), call[0].f32(), call[1].f32(), call[2].f32());
}
void conv2d_input_grad_cuda(const OpCall& call, CudaContext& context) {
  conv_input_grad_of(context, read_conv2d(call, call[2], call[1], call[0]), call[0].f32(), call[1].f32(), call[2].f32());
}
void conv2d_filter_grad_cuda(const OpCall& call, CudaContext& context) {
  conv_filter_grad_of(context, read_conv2d(call, call[0], call[2], call[1]), call[0].f32(), call[1].f32(), call[2].f32());
}
void conv3d_cuda(const OpCall& call, CudaContext& context) {
  conv_forward_of(context, read_conv3d(call, call[0], call[1], call[2]), call[0].f32(), call[1].f32(), call[2].f32());
}
void conv3d_input_grad_cuda(const OpCall& call, CudaContext& context) {
  conv_input_grad_of(context, read_conv3d(call, call[2], call[1], call[0]), call[0].f32(), call[1].f32(), call[2].f32());
}
void conv3d_filter_grad_cuda(const OpCall& call, CudaContext& context) {
  conv_filter_grad_of(context, read_conv3d(call, call[0], call[2], call[1]), call[0].f32(), call[1].f32(), call[2].f32());
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
