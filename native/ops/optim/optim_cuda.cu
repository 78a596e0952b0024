#include "ops/common/multi_tensor_cuda.cuh"
// context.h first.
#include "ops/optim/optim.h"

TK_BEGIN_CUDA
namespace {

// base^exponent by repeated squaring: the same bits on every device, unlike a library's pow.
__device__ inline double whole_power(double base, int32_t exponent) {
  double result = 1;
  for (uint32_t rest = uint32_t(exponent); rest != 0; rest >>= 1) {
    if (rest & 1) result *= base;
    base *= base;
  }
  return result;
}

// The gradient with its penalty; decay 0 leaves the arithmetic out, so that an infinite parameter does not turn it into NaN.
__device__ inline float penalised(float grad, float param, float decay) { return decay == 0 ? grad : fmaf(decay, param, grad); }

// What one step of Adam needs beside the hyper-parameters; computed once, in device memory.
struct AdamScalars {
  float one_minus_beta1, beta2, one_minus_beta2, epsilon;
  float step_size, inverse_root, gradient_decay, parameter_factor;
  int32_t decays;
};

struct AdamUpdate {
  static constexpr int kGroups = 4;
  static constexpr unsigned kReads = 15, kWrites = 13;
  const AdamScalars* scalars;
  AdamScalars f = {};
  __device__ void prepare() { f = *scalars; }
  __device__ void operator()(float (&value)[4]) const {
    float p = value[0], g = value[1];
    if (f.decays) {
      g = fmaf(f.gradient_decay, p, g);
      p = p * f.parameter_factor;
    }
    const float m = fmaf(f.one_minus_beta1, g - value[2], value[2]);
    const float v = fmaf(f.one_minus_beta2 * g, g, f.beta2 * value[3]);
    const float denominator = fmaf(sqrtf(v), f.inverse_root, f.epsilon);
    value[0] = p - f.step_size * m / denominator;
    value[2] = m;
    value[3] = v;
  }
};

struct SgdUpdate {
  static constexpr int kGroups = 2;
  static constexpr unsigned kReads = 3, kWrites = 1;
  const float* hyper;
  float rate = 0, decay = 0;
  __device__ void prepare() { rate = hyper[0], decay = hyper[2]; }
  __device__ void operator()(float (&value)[2]) const {
    value[0] = fmaf(-rate, penalised(value[1], value[0], decay), value[0]);
  }
};

struct MomentumUpdate {
  static constexpr int kGroups = 3;
  static constexpr unsigned kReads = 7, kWrites = 5;
  const float* hyper;
  bool nesterov;
  float rate = 0, momentum = 0, decay = 0;
  __device__ void prepare() { rate = hyper[0], momentum = hyper[1], decay = hyper[2]; }
  __device__ void operator()(float (&value)[3]) const {
    const float g = penalised(value[1], value[0], decay), v = fmaf(momentum, value[2], g);
    value[0] = fmaf(-rate, nesterov ? fmaf(momentum, v, g) : v, value[0]);
    value[2] = v;
  }
};

}  // namespace

int64_t adam_cuda_workspace(const OpCall&) { return sizeof(AdamScalars); }

void adam_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 5);
  TK_CHECK_EQ(call[1].size, 1);
  const float* hyper = call[0].f32();
  int32_t* step = call[1].i32();
  const bool decoupled = TK_INT(call, adam, decoupled) != 0;
  AdamScalars* scalars = static_cast<AdamScalars*>(call.workspace);
  for_each(context, 1, [=] __device__(int64_t) {
    if (!is_active(active)) return;
    const int32_t t = ++*step;
    const double rate = hyper[0], beta1 = hyper[1], beta2 = hyper[2], decay = hyper[4];
    scalars->one_minus_beta1 = float(1 - beta1);
    scalars->beta2 = hyper[2];
    scalars->one_minus_beta2 = float(1 - beta2);
    scalars->epsilon = hyper[3];
    scalars->step_size = float(rate / (1 - whole_power(beta1, t)));
    scalars->inverse_root = float(1 / sqrt(1 - whole_power(beta2, t)));
    scalars->gradient_decay = decoupled ? 0.0f : hyper[4];
    scalars->parameter_factor = decoupled ? float(1 - rate * decay) : 1.0f;
    scalars->decays = hyper[4] != 0;
  });
  update_members(call, context, 2, AdamUpdate{scalars}, active);
}

void sgd_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 3);
  update_members(call, context, 1, SgdUpdate{call[0].f32()}, active);
}

void sgd_momentum_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 3);
  update_members(call, context, 1, MomentumUpdate{call[0].f32(), TK_INT(call, sgd_momentum, nesterov) != 0}, active);
}

TK_END_CUDA
