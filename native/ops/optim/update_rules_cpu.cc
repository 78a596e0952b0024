#include "ops/optim/multi_tensor.h"
#include "ops/optim/power.h"
#include "ops/optim/update_rules.h"

TK_BEGIN_LEVEL
namespace {

// One vector of a member: where it begins and how many lanes count.
struct Lanes {
  int64_t i;
  int count;
  TK_INLINE VecF of(const float* p) const { return load_lanes(p + i, count); }
  TK_INLINE void put(float* p, VecF v) const { store_lanes(p + i, v, count); }
};

// The gradient with its penalty; decay 0 leaves the arithmetic out, so that an infinite parameter does not turn it into NaN.
TK_INLINE VecF penalised(const Lanes& at, const float* grad, VecF p, float decay) {
  const VecF g = at.of(grad);
  return decay == 0 ? g : fmadd(set1(decay), p, g);
}

// Calls body(member, pointer offset, lanes) for every vector of the group that begins at operand `first`.
template <class Body>
TK_INLINE void for_each_lanes(const OpCall& call, int first, CpuContext& context, const Body& body) {
  for_each_part(call, first, context, [&](int member, int64_t begin, int64_t end) {
    for_each_vector(end - begin, [&](int64_t i, int count) { body(member, Lanes{begin + i, count}); });
  });
}

// p shrunk by `loss` of itself: 1 - loss, rounded to f32, would be off by half an ulp at every step in the same direction.
TK_INLINE VecF shrunk(VecF p, float loss) { return loss == 0 ? p : fmadd(set1(-loss), p, p); }

TK_INLINE VecF moved(VecF from, VecF to, VecF weight) { return fmadd(weight, to - from, from); }

struct MomentFactors {
  VecF one_minus_beta1, beta2, one_minus_beta2;

  explicit MomentFactors(const float* hyper)
      : one_minus_beta1(set1(float(1 - double(hyper[1])))),
        beta2(set1(hyper[2])),
        one_minus_beta2(set1(float(1 - double(hyper[2])))) {}
  TK_INLINE VecF first(VecF m, VecF g) const { return moved(m, g, one_minus_beta1); }
  TK_INLINE VecF second(VecF v, VecF g) const { return fmadd(one_minus_beta2 * g, g, beta2 * v); }
};

}  // namespace

void rmsprop_cpu(const OpCall& call, CpuContext& context) {
  const int count = call.star_count, params = 1, grads = params + count, squares = grads + count;
  const int averages = squares + count, velocities = averages + count;
  if (stands_still(call[0], 5)) return;
  TK_CHECK_EQ(call.num_operands, params + 5 * count);
  const bool centered = TK_INT(call, rmsprop, centered) != 0, has_momentum = TK_INT(call, rmsprop, has_momentum) != 0;
  for (int i = 0; i < count; ++i) {
    const int64_t size = call[params + i].size;
    TK_CHECK_EQ(call[grads + i].size, size);
    TK_CHECK_EQ(call[squares + i].size, size);
    if (centered) TK_CHECK_EQ(call[averages + i].size, size);
    if (has_momentum) TK_CHECK_EQ(call[velocities + i].size, size);
  }
  const float* hyper = call[0].f32();
  const float decay = hyper[3];
  const VecF minus_rate = set1(-hyper[0]), alpha = set1(hyper[1]), rest = set1(float(1 - double(hyper[1])));
  const VecF epsilon = set1(hyper[2]), momentum = set1(hyper[4]);
  for_each_lanes(call, params, context, [&](int k, const Lanes& at) {
    float* param = call[params + k].f32();
    const VecF p = at.of(param), g = penalised(at, call[grads + k].f32(), p, decay);
    const VecF square = fmadd(rest * g, g, alpha * at.of(call[squares + k].f32()));
    at.put(call[squares + k].f32(), square);
    VecF variance = square;
    if (centered) {
      const VecF average = moved(at.of(call[averages + k].f32()), g, rest);
      at.put(call[averages + k].f32(), average);
      variance = square - average * average;
    }
    VecF step = g / (vsqrt(variance) + epsilon);
    if (has_momentum) {
      step = fmadd(momentum, at.of(call[velocities + k].f32()), step);
      at.put(call[velocities + k].f32(), step);
    }
    at.put(param, fmadd(minus_rate, step, p));
  });
}

void adagrad_cpu(const OpCall& call, CpuContext& context) {
  const int count = call.star_count, params = 2, grads = params + count, sums = grads + count;
  if (stands_still(call[0], 4)) return;
  TK_CHECK_EQ(call[1].size, 1);
  check_group_sizes(call, params, 3);
  const float* hyper = call[0].f32();
  const int32_t t = ++call[1].i32()[0];
  const float decay = hyper[3];
  const VecF minus_rate = set1(float(-double(hyper[0]) / (1 + (t - 1) * double(hyper[1])))), epsilon = set1(hyper[2]);
  for_each_lanes(call, params, context, [&](int k, const Lanes& at) {
    float* param = call[params + k].f32();
    const VecF p = at.of(param), g = penalised(at, call[grads + k].f32(), p, decay);
    const VecF sum = fmadd(g, g, at.of(call[sums + k].f32()));
    at.put(call[sums + k].f32(), sum);
    at.put(param, p + minus_rate * g / (vsqrt(sum) + epsilon));
  });
}

void adadelta_cpu(const OpCall& call, CpuContext& context) {
  const int count = call.star_count, params = 1, grads = params + count, squares = grads + count, updates = squares + count;
  if (stands_still(call[0], 4)) return;
  check_group_sizes(call, params, 4);
  const float* hyper = call[0].f32();
  const float decay = hyper[3];
  const VecF minus_rate = set1(-hyper[0]), rho = set1(hyper[1]), rest = set1(float(1 - double(hyper[1])));
  const VecF epsilon = set1(hyper[2]);
  for_each_lanes(call, params, context, [&](int k, const Lanes& at) {
    float* param = call[params + k].f32();
    const VecF p = at.of(param), g = penalised(at, call[grads + k].f32(), p, decay);
    const VecF update = at.of(call[updates + k].f32());
    const VecF square = fmadd(rest * g, g, rho * at.of(call[squares + k].f32()));
    const VecF delta = vsqrt(update + epsilon) / vsqrt(square + epsilon) * g;
    at.put(call[squares + k].f32(), square);
    at.put(call[updates + k].f32(), fmadd(rest * delta, delta, rho * update));
    at.put(param, fmadd(minus_rate, delta, p));
  });
}

void adamax_cpu(const OpCall& call, CpuContext& context) {
  const int count = call.star_count, params = 2, grads = params + count, ms = grads + count, us = ms + count;
  if (stands_still(call[0], 5)) return;
  TK_CHECK_EQ(call[1].size, 1);
  check_group_sizes(call, params, 4);
  const float* hyper = call[0].f32();
  const int32_t t = ++call[1].i32()[0];
  const float decay = hyper[4];
  const MomentFactors factors(hyper);
  const VecF minus_rate = set1(float(-double(hyper[0]) / (1 - whole_power(hyper[1], t)))), epsilon = set1(hyper[3]);
  for_each_lanes(call, params, context, [&](int k, const Lanes& at) {
    float* param = call[params + k].f32();
    const VecF p = at.of(param), g = penalised(at, call[grads + k].f32(), p, decay);
    const VecF m = factors.first(at.of(call[ms + k].f32()), g);
    // vmax gives its second operand where either is NaN: a NaN gradient reaches u.
    const VecF u = vmax(factors.beta2 * at.of(call[us + k].f32()), vabs(g) + epsilon);
    at.put(call[ms + k].f32(), m);
    at.put(call[us + k].f32(), u);
    at.put(param, p + minus_rate * m / u);
  });
}

void nadam_cpu(const OpCall& call, CpuContext& context) {
  const int count = call.star_count, params = 3, grads = params + count, ms = grads + count, vs = ms + count;
  if (stands_still(call[0], 6)) return;
  TK_CHECK_EQ(call[1].size, 1);
  TK_CHECK_EQ(call[2].size, 1);
  check_group_sizes(call, params, 4);
  const float* hyper = call[0].f32();
  const int32_t t = ++call[1].i32()[0];
  const bool decoupled = TK_INT(call, nadam, decoupled) != 0;
  const double rate = hyper[0], beta1 = hyper[1];
  const double mu = beta1 * (1 - 0.5 * ::pow(0.96, t * double(hyper[5])));
  const double next_mu = beta1 * (1 - 0.5 * ::pow(0.96, (t + 1.0) * double(hyper[5])));
  const double product = double(call[2].f32()[0]) * mu;
  call[2].f32()[0] = float(product);
  const MomentFactors factors(hyper);
  const VecF gradient_rate = set1(float(-rate * (1 - mu) / (1 - product)));
  const VecF moment_rate = set1(float(-rate * next_mu / (1 - product * next_mu)));
  const VecF inverse_root = set1(float(1 / ::sqrt(1 - whole_power(hyper[2], t)))), epsilon = set1(hyper[3]);
  const float loss = decoupled ? float(rate * double(hyper[4])) : 0.0f;
  const float decay = decoupled ? 0.0f : hyper[4];
  for_each_lanes(call, params, context, [&](int k, const Lanes& at) {
    float* param = call[params + k].f32();
    const VecF p = at.of(param), g = penalised(at, call[grads + k].f32(), p, decay);
    const VecF m = factors.first(at.of(call[ms + k].f32()), g), v = factors.second(at.of(call[vs + k].f32()), g);
    at.put(call[ms + k].f32(), m);
    at.put(call[vs + k].f32(), v);
    at.put(param, shrunk(p, loss) + fmadd(gradient_rate, g, moment_rate * m) / fmadd(vsqrt(v), inverse_root, epsilon));
  });
}

void lion_cpu(const OpCall& call, CpuContext& context) {
  const int count = call.star_count, params = 1, grads = params + count, ms = grads + count;
  if (stands_still(call[0], 4)) return;
  check_group_sizes(call, params, 3);
  const float* hyper = call[0].f32();
  const VecF rate = set1(hyper[0]), one_minus_beta1 = set1(float(1 - double(hyper[1])));
  const VecF one_minus_beta2 = set1(float(1 - double(hyper[2])));
  const float loss = float(double(hyper[0]) * double(hyper[3]));
  for_each_lanes(call, params, context, [&](int k, const Lanes& at) {
    float* param = call[params + k].f32();
    const VecF p = at.of(param), g = at.of(call[grads + k].f32()), m = at.of(call[ms + k].f32());
    const VecF direction = moved(m, g, one_minus_beta1);
    // The sign of 0 is 0; that of NaN is NaN, so that a broken gradient shows.
    const VecF step = select(direction == zero(), zero(), copy_sign(rate, direction));
    at.put(call[ms + k].f32(), moved(m, g, one_minus_beta2));
    at.put(param, shrunk(p, loss) - select(is_nan(direction), direction, step));
  });
}

namespace {

// The members cut into chunks of kOptimizerGrain elements, numbered through.
TK_INLINE int64_t member_chunks(const Operand& member) { return (member.size + kOptimizerGrain - 1) / kOptimizerGrain; }

int64_t group_chunks(const OpCall& call, int first) {
  int64_t count = 0;
  for (int i = 0; i < call.star_count; ++i) count += member_chunks(call[first + i]);
  return count;
}

// Calls body(member, begin, end, chunk) for every chunk; chunks do not cross members.
template <class Body>
TK_INLINE void for_each_chunk(const OpCall& call, int first, CpuContext& context, const Body& body) {
  context.parallel_for(group_chunks(call, first), 1, [&](int64_t begin, int64_t end, int) {
    int64_t start = 0;
    for (int i = 0; i < call.star_count && start < end; ++i) {
      const int64_t size = call[first + i].size, count = member_chunks(call[first + i]);
      for (int64_t c = begin > start ? begin : start; c < end && c < start + count; ++c) {
        const int64_t from = (c - start) * kOptimizerGrain;
        body(i, from, from + kOptimizerGrain < size ? from + kOptimizerGrain : size, c);
      }
      start += count;
    }
  });
}

// The members of a call of lamb, and what the step multiplies with.
struct Lamb {
  const OpCall& call;
  int params, grads, ms, vs;
  VecF step_size, inverse_root, epsilon, decay;
  bool has_decay;

  TK_INLINE VecF direction(VecF p, VecF m, VecF v) const {
    const VecF r = m * step_size / fmadd(vsqrt(v), inverse_root, epsilon);
    return has_decay ? fmadd(decay, p, r) : r;
  }
};

// Lanes beyond the end hold 0 in p and 0 / epsilon = 0 in r, and add nothing.
TK_INLINE void add_squares(VecF v, double* sum) { *sum += double(sum_lanes(v * v)); }

}  // namespace

int64_t lamb_workspace(const OpCall& call, int) { return group_chunks(call, 2) * int64_t(2 * sizeof(double)); }

void lamb_cpu(const OpCall& call, CpuContext& context) {
  const int count = call.star_count, params = 2;
  if (stands_still(call[0], 5)) return;
  TK_CHECK_EQ(call[1].size, 1);
  check_group_sizes(call, params, 4);
  const float* hyper = call[0].f32();
  const int32_t t = ++call[1].i32()[0];
  const MomentFactors factors(hyper);
  const Lamb lamb = {call,
                     params,
                     params + count,
                     params + 2 * count,
                     params + 3 * count,
                     set1(float(1 / (1 - whole_power(hyper[1], t)))),
                     set1(float(1 / ::sqrt(1 - whole_power(hyper[2], t)))),
                     set1(hyper[3]),
                     set1(hyper[4]),
                     hyper[4] != 0};
  double* sums = static_cast<double*>(call.workspace);
  for_each_chunk(call, params, context, [&](int k, int64_t begin, int64_t end, int64_t chunk) {
    float *m = call[lamb.ms + k].f32() + begin, *v = call[lamb.vs + k].f32() + begin;
    const float *param = call[params + k].f32() + begin, *grad = call[lamb.grads + k].f32() + begin;
    double param_sum = 0, direction_sum = 0;
    for_each_vector(end - begin, [&](int64_t i, int lanes) {
      const Lanes at = {i, lanes};
      const VecF p = at.of(param), g = at.of(grad);
      const VecF m_i = factors.first(at.of(m), g), v_i = factors.second(at.of(v), g);
      at.put(m, m_i);
      at.put(v, v_i);
      add_squares(p, &param_sum);
      add_squares(lamb.direction(p, m_i, v_i), &direction_sum);
    });
    sums[2 * chunk] = param_sum;
    sums[2 * chunk + 1] = direction_sum;
  });
  // Sums of a member's chunks, in order, put where its first chunk had its own; then its ratio.
  int64_t chunk = 0;
  for (int k = 0; k < count; ++k) {
    const int64_t last = chunk + member_chunks(call[params + k]);
    if (chunk == last) continue;
    double param_sum = 0, direction_sum = 0;
    for (int64_t c = chunk; c < last; ++c) {
      param_sum += sums[2 * c];
      direction_sum += sums[2 * c + 1];
    }
    const double ratio = param_sum == 0 || direction_sum == 0 ? 1 : ::sqrt(param_sum / direction_sum);
    for (; chunk < last; ++chunk) sums[2 * chunk] = ratio;
  }
  for_each_chunk(call, params, context, [&](int k, int64_t begin, int64_t end, int64_t c) {
    const VecF rate = set1(float(-double(hyper[0]) * sums[2 * c]));
    float* param = call[params + k].f32() + begin;
    const float *m = call[lamb.ms + k].f32() + begin, *v = call[lamb.vs + k].f32() + begin;
    for_each_vector(end - begin, [&](int64_t i, int lanes) {
      const Lanes at = {i, lanes};
      const VecF p = at.of(param);
      at.put(param, fmadd(rate, lamb.direction(p, at.of(m), at.of(v)), p));
    });
  });
}

void accumulate_cpu(const OpCall& call, CpuContext& context) {
  const int targets = 1, sources = targets + call.star_count;
  TK_CHECK_EQ(call[0].size, 2);
  check_group_sizes(call, targets, 2);
  const float keep = call[0].f32()[0];
  const VecF kept = set1(keep), weight = set1(call[0].f32()[1]);
  for_each_lanes(call, targets, context, [&](int k, const Lanes& at) {
    const VecF source = at.of(call[sources + k].f32()) * weight;
    float* target = call[targets + k].f32();
    at.put(target, keep == 0 ? source : fmadd(kept, at.of(target), source));
  });
}

void move_towards_cpu(const OpCall& call, CpuContext& context) {
  const int targets = 1, sources = targets + call.star_count;
  TK_CHECK_EQ(call[0].size, 1);
  check_group_sizes(call, targets, 2);
  const float weight = call[0].f32()[0];
  if (weight == 0) return;
  for_each_lanes(call, targets, context, [&](int k, const Lanes& at) {
    const VecF source = at.of(call[sources + k].f32());
    float* target = call[targets + k].f32();
    at.put(target, weight == 1 ? source : moved(at.of(target), source, set1(weight)));
  });
}

TK_END_LEVEL
