#include "cuda/context.h"
// context.h first.
#include "ops/image/lrn.h"

TK_BEGIN_CUDA
namespace {

struct LrnShape {
  int64_t channels, radius;
  float bias, alpha, beta;

  explicit LrnShape(const OpCall& call)
      : channels(call[0].rank > 0 ? call[0].dims[call[0].rank - 1] : 1),
        radius(TK_INT(call, lrn, radius)),
        bias(float(TK_FLOAT(call, lrn, bias))),
        alpha(float(TK_FLOAT(call, lrn, alpha))),
        beta(float(TK_FLOAT(call, lrn, beta))) {
    TK_CHECK(radius >= 0);
  }
  // Sum of value(k) over the channels k within the radius of c, from the lowest up.
  template <class Value>
  __device__ float window(int64_t c, const Value& value) const {
    const int64_t first = c - radius < 0 ? 0 : c - radius, last = c + radius < channels ? c + radius : channels - 1;
    float sum = 0;
    for (int64_t k = first; k <= last; ++k) sum += value(k);
    return sum;
  }
  // bias + alpha * sum of squares around channel c of the pixel.
  __device__ float scale(const float* pixel, int64_t c) const {
    return bias + alpha * window(c, [&](int64_t k) { return pixel[k] * pixel[k]; });
  }
  // s^-beta. The exponents in use are roots: shorter and more exact than pow.
  __device__ float power(float s) const {
    if (beta == 1.0f) return 1.0f / s;
    if (beta == 0.5f) return 1.0f / sqrtf(s);
    if (beta == 0.75f) return 1.0f / (sqrtf(s) * sqrtf(sqrtf(s)));
    return powf(s, -beta);
  }
};

}  // namespace

void lrn_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].size, call[1].size);
  TK_CHECK(call[0].data != call[1].data || call[0].size == 0);
  const LrnShape shape(call);
  const float* x = call[0].f32();
  float* y = call[1].f32();
  for_each(
      context, call[0].size,
      [=] __device__(int64_t i) {
        const int64_t c = i % shape.channels;
        y[i] = x[i] * shape.power(shape.scale(x + i - c, c));
      },
      1);
}

// dy y / s of every element, which the windows of the gradient add up.
int64_t lrn_grad_cuda_workspace(const OpCall& call) { return call[0].bytes(); }

void lrn_grad_cuda(const OpCall& call, CudaContext& context) {
  for (int i = 1; i < 4; ++i) TK_CHECK_EQ(call[i].size, call[0].size);
  const LrnShape shape(call);
  const float *x = call[0].f32(), *y = call[1].f32(), *dy = call[2].f32();
  float *dx = call[3].f32(), *shares = static_cast<float*>(call.workspace);
  TK_CHECK(dx != x || call[0].size == 0);
  for_each(
      context, call[0].size,
      [=] __device__(int64_t i) {
        const int64_t c = i % shape.channels;
        shares[i] = dy[i] * y[i] / shape.scale(x + i - c, c);
      },
      1);
  const float factor = float(-2.0 * double(shape.alpha) * double(shape.beta));
  for_each(
      context, call[0].size,
      [=] __device__(int64_t i) {
        const int64_t c = i % shape.channels;
        const float* pixel = shares + i - c;
        const float sum = shape.window(c, [&](int64_t k) { return pixel[k]; });
        dx[i] = dy[i] * shape.power(shape.scale(x + i - c, c)) + factor * x[i] * sum;
      },
      1);
}

TK_END_CUDA
