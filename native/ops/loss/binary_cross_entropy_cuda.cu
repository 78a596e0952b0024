#include "cuda/context.h"
// context.h first.
#include "ops/common/vector_math.h"
#include "ops/loss/binary_cross_entropy.h"

TK_BEGIN_CUDA
namespace {

// The target of an element and the factor of ln(1 + e^-x).
struct BinaryTargets {
  const float *labels, *weight;  // weight null: 1
  int64_t cols;
  bool weight_per_column;
  float kept, shared;

  __device__ void read(int64_t i, float* target, float* factor) const {
    *target = fmaf(kept, labels[i], shared);
    *factor = weight == nullptr ? 1.0f : fmaf(weight[weight_per_column ? i % cols : 0] - 1.0f, *target, 1.0f);
  }
};

BinaryTargets read_binary_targets(const OpCall& call, double smoothing) {
  const Operand &logits = call[0], &labels = call[1], &weight = call[2];
  TK_CHECK(logits.rank >= 1);
  const int64_t cols = logits.dims[logits.rank - 1];
  TK_CHECK_EQ(labels.size, logits.size);
  TK_CHECK(weight.size <= 1 || weight.size == cols);
  return {labels.f32(),        weight.size == 0 ? nullptr : weight.f32(), cols, weight.size > 1, float(1 - smoothing),
          float(smoothing / 2)};
}

}  // namespace

void binary_cross_entropy_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[3].size, call[0].size);
  const BinaryTargets targets = read_binary_targets(call, TK_FLOAT(call, binary_cross_entropy, smoothing));
  const float* x = call[0].f32();
  float* loss = call[3].f32();
  for_each(context, call[0].size, [=] __device__(int64_t i) {
    float t, factor;
    targets.read(i, &t, &factor);
    // As on the CPU: ln(1 + e^-x) = max(-x, 0) + ln(1 + e^-|x|), the first part joins (1 - t) x.
    const float v = x[i], tail = vlog1p(vexp(VecF{-fabsf(v)})).v, rest = 1.0f - t;
    const float linear = v < 0 ? rest - factor : rest;
    const float first = linear == 0 ? (v == v ? 0.0f : v) : linear * v;
    loss[i] = fmaf(factor, tail, first);
  });
}

void binary_cross_entropy_grad_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[3].size, call[0].size);
  TK_CHECK_EQ(call[4].size, call[0].size);
  const BinaryTargets targets = read_binary_targets(call, TK_FLOAT(call, binary_cross_entropy_grad, smoothing));
  const float *x = call[0].f32(), *dloss = call[3].f32();
  float* dx = call[4].f32();
  for_each(context, call[0].size, [=] __device__(int64_t i) {
    float t, factor;
    targets.read(i, &t, &factor);
    dx[i] = ((1.0f - t) - factor * vsigmoid(VecF{-x[i]}).v) * dloss[i];
  });
}

TK_END_CUDA
