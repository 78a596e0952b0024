#include "ops/optim/multi_tensor.h"
#include "ops/optim/optim.h"

TK_BEGIN_LEVEL
namespace {

// kDecay = false leaves the decay's arithmetic out, so that an infinite parameter does not turn the gradient into NaN.
template <bool kDecay>
TK_INLINE void sgd_part(float* param, const float* grad, int64_t n, float rate, float decay) {
  const VecF minus_rate = set1(-rate), weight_decay = set1(decay);
  for_each_vector(n, [&](int64_t i, int lanes) {
    const VecF p = load_lanes(param + i, lanes);
    VecF g = load_lanes(grad + i, lanes);
    if constexpr (kDecay) g = fmadd(weight_decay, p, g);
    store_lanes(param + i, fmadd(minus_rate, g, p), lanes);
  });
}

template <bool kDecay, bool kNesterov>
TK_INLINE void momentum_part(float* param, const float* grad, float* velocity, int64_t n, float rate, float mu, float decay) {
  const VecF minus_rate = set1(-rate), momentum = set1(mu), weight_decay = set1(decay);
  for_each_vector(n, [&](int64_t i, int lanes) {
    const VecF p = load_lanes(param + i, lanes);
    VecF g = load_lanes(grad + i, lanes);
    if constexpr (kDecay) g = fmadd(weight_decay, p, g);
    const VecF v = fmadd(momentum, load_lanes(velocity + i, lanes), g);
    store_lanes(velocity + i, v, lanes);
    store_lanes(param + i, fmadd(minus_rate, kNesterov ? fmadd(momentum, v, g) : v, p), lanes);
  });
}

}  // namespace

void sgd_cpu(const OpCall& call, CpuContext& context) {
  const Operand& hyper = call[0];
  const int params = 1, grads = params + call.star_count;
  if (stands_still(hyper, 3)) return;
  check_group_sizes(call, params, 2);
  const float rate = hyper.f32()[0], decay = hyper.f32()[2];
  for_each_part(call, params, context, [&](int i, int64_t begin, int64_t end) {
    float* param = call[params + i].f32() + begin;
    const float* grad = call[grads + i].f32() + begin;
    if (decay != 0) {
      sgd_part<true>(param, grad, end - begin, rate, decay);
    } else {
      sgd_part<false>(param, grad, end - begin, rate, decay);
    }
  });
}

void sgd_momentum_cpu(const OpCall& call, CpuContext& context) {
  const Operand& hyper = call[0];
  const int params = 1, grads = params + call.star_count, velocities = grads + call.star_count;
  if (stands_still(hyper, 3)) return;
  check_group_sizes(call, params, 3);
  const float rate = hyper.f32()[0], momentum = hyper.f32()[1], decay = hyper.f32()[2];
  const bool nesterov = TK_INT(call, sgd_momentum, nesterov) != 0;
  for_each_part(call, params, context, [&](int i, int64_t begin, int64_t end) {
    float* param = call[params + i].f32() + begin;
    const float* grad = call[grads + i].f32() + begin;
    float* velocity = call[velocities + i].f32() + begin;
    const int64_t n = end - begin;
    if (decay != 0) {
      nesterov ? momentum_part<true, true>(param, grad, velocity, n, rate, momentum, decay)
               : momentum_part<true, false>(param, grad, velocity, n, rate, momentum, decay);
    } else {
      nesterov ? momentum_part<false, true>(param, grad, velocity, n, rate, momentum, decay)
               : momentum_part<false, false>(param, grad, velocity, n, rate, momentum, decay);
    }
  });
}

TK_END_LEVEL
