#include "ops/optim/multi_tensor.h"
#include "ops/optim/optim.h"
#include "ops/optim/power.h"

TK_BEGIN_LEVEL
namespace {

struct AdamFactors {
  float one_minus_beta1, beta2, one_minus_beta2, epsilon;
  float step_size;         // learning rate / (1 - beta1^t)
  float inverse_root;      // 1 / sqrt(1 - beta2^t)
  float gradient_decay;    // weight decay added to the gradient
  float parameter_factor;  // 1 - learning rate * weight decay, when decoupled
};

AdamFactors adam_factors(const float* hyper, int32_t t, bool decoupled) {
  const double rate = hyper[0], beta1 = hyper[1], beta2 = hyper[2], decay = hyper[4];
  AdamFactors f;
  f.one_minus_beta1 = float(1 - beta1);
  f.beta2 = hyper[2];
  f.one_minus_beta2 = float(1 - beta2);
  f.epsilon = hyper[3];
  f.step_size = float(rate / (1 - whole_power(beta1, t)));
  f.inverse_root = float(1 / ::sqrt(1 - whole_power(beta2, t)));
  f.gradient_decay = decoupled ? 0.0f : hyper[4];
  f.parameter_factor = decoupled ? float(1 - rate * decay) : 1.0f;
  return f;
}

// With no decay the factors are 0 and 1; kDecay = false leaves their arithmetic out, so that an infinite parameter without
// decay does not turn the gradient into NaN.
template <bool kDecay>
TK_INLINE void adam_part(float* param, const float* grad, float* m, float* v, int64_t n, const AdamFactors& factors) {
  const VecF one_minus_beta1 = set1(factors.one_minus_beta1), beta2 = set1(factors.beta2);
  const VecF one_minus_beta2 = set1(factors.one_minus_beta2), epsilon = set1(factors.epsilon);
  const VecF step_size = set1(factors.step_size), inverse_root = set1(factors.inverse_root);
  const VecF gradient_decay = set1(factors.gradient_decay), parameter_factor = set1(factors.parameter_factor);
  for_each_vector(n, [&](int64_t i, int lanes) {
    VecF p = load_lanes(param + i, lanes), g = load_lanes(grad + i, lanes);
    VecF m_i = load_lanes(m + i, lanes), v_i = load_lanes(v + i, lanes);
    if constexpr (kDecay) {
      g = fmadd(gradient_decay, p, g);
      p = p * parameter_factor;
    }
    m_i = fmadd(one_minus_beta1, g - m_i, m_i);
    v_i = fmadd(one_minus_beta2 * g, g, beta2 * v_i);
    const VecF denominator = fmadd(vsqrt(v_i), inverse_root, epsilon);
    store_lanes(m + i, m_i, lanes);
    store_lanes(v + i, v_i, lanes);
    store_lanes(param + i, p - step_size * m_i / denominator, lanes);
  });
}

}  // namespace

void adam_cpu(const OpCall& call, CpuContext& context) {
  const Operand &hyper = call[0], &step = call[1];
  const int count = call.star_count;
  const int params = 2, grads = params + count, ms = grads + count, vs = ms + count;
  if (stands_still(hyper, 5)) return;
  TK_CHECK_EQ(step.size, 1);
  check_group_sizes(call, params, 4);
  const int32_t t = ++step.i32()[0];
  const AdamFactors factors = adam_factors(hyper.f32(), t, TK_INT(call, adam, decoupled) != 0);
  const bool decay = hyper.f32()[4] != 0;
  for_each_part(call, params, context, [&](int i, int64_t begin, int64_t end) {
    float* param = call[params + i].f32() + begin;
    const float* grad = call[grads + i].f32() + begin;
    float* m = call[ms + i].f32() + begin;
    float* v = call[vs + i].f32() + begin;
    if (decay) {
      adam_part<true>(param, grad, m, v, end - begin, factors);
    } else {
      adam_part<false>(param, grad, m, v, end - begin, factors);
    }
  });
}

TK_END_LEVEL
