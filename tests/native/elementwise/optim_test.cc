// Optimizer steps against PyTorch's results (a stored fixture) and against the formulas in double precision.
#include <algorithm>

#include "op_test.h"

namespace tktest::optim_test {
namespace {

#include "../../fixtures/optim_reference.inc"

// The problem of optim_reference.py.
constexpr int64_t kSizes[] = {5, 1, 21};
constexpr int kSteps = 8;
float initial(int64_t i) { return float((i * 5) % 17 - 8) / 4; }
float gradient(int64_t i, int step) { return (float((i * 7 + step * 13) % 32) - 15.5f) / 8; }

// Three tensors that lie one after the other in the numbering of elements.
struct Group {
  Tensor a{tk::DType::f32, {kSizes[0]}}, b{tk::DType::f32, {kSizes[1]}}, c{tk::DType::f32, {kSizes[2]}};

  template <class Value>
  explicit Group(const Value& value) {
    set(value);
  }
  template <class Value>
  void set(const Value& value) {
    int64_t i = 0;
    for (Tensor* t : {&a, &b, &c})
      for (int64_t k = 0; k < t->size(); ++k) t->f()[k] = value(i++);
  }
  void check(const double* expected, double tolerance) {
    int64_t i = 0;
    for (Tensor* t : {&a, &b, &c})
      for (int64_t k = 0; k < t->size(); ++k, ++i) CHECK(std::fabs(t->f()[k] - expected[i]) <= tolerance);
  }
};

constexpr float kRate = 0.01f, kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-8f, kDecay = 0.1f;

float zero_value(int64_t) { return 0.0f; }

// Values are below 16, a unit in the last place of which is 1e-6; eight steps of the same formula round some ten times each,
// mostly on terms a hundred times smaller.
constexpr double kTolerance = 2e-6;

void check_adam(double decay, bool decoupled, const double* param, const double* m, const double* v) {
  for (const Run& run : tktest::runs()) {
    Tensor hyper = Tensor::f32({5}, {kRate, kBeta1, kBeta2, kEpsilon, float(decay)}), step = Tensor::i32({1}, {0});
    Group p(initial), g(zero_value), first(zero_value), second(zero_value);
    for (int t = 1; t <= kSteps; ++t) {
      if (t == 5) hyper.f()[0] = kRate / 2;
      g.set([&](int64_t i) { return gradient(i, t); });
      tktest::call_op(
          run, "adam",
          {&hyper, &step, &p.a, &p.b, &p.c, &g.a, &g.b, &g.c, &first.a, &first.b, &first.c, &second.a, &second.b, &second.c},
          {decoupled ? 1 : 0});
    }
    CHECK(step.i()[0] == kSteps);
    p.check(param, kTolerance);
    first.check(m, kTolerance);
    second.check(v, kTolerance);
  }
}

void check_sgd(double decay, const double* param) {
  for (const Run& run : tktest::runs()) {
    Tensor hyper = Tensor::f32({3}, {kRate, 0.9f, float(decay)});
    Group p(initial), g(zero_value);
    for (int t = 1; t <= kSteps; ++t) {
      if (t == 5) hyper.f()[0] = kRate / 2;
      g.set([&](int64_t i) { return gradient(i, t); });
      tktest::call_op(run, "sgd", {&hyper, &p.a, &p.b, &p.c, &g.a, &g.b, &g.c});
    }
    p.check(param, kTolerance);
  }
}

void check_momentum(double decay, bool nesterov, const double* param, const double* velocity) {
  for (const Run& run : tktest::runs()) {
    Tensor hyper = Tensor::f32({3}, {kRate, 0.9f, float(decay)});
    Group p(initial), g(zero_value), v(zero_value);
    for (int t = 1; t <= kSteps; ++t) {
      if (t == 5) hyper.f()[0] = kRate / 2;
      g.set([&](int64_t i) { return gradient(i, t); });
      tktest::call_op(run, "sgd_momentum", {&hyper, &p.a, &p.b, &p.c, &g.a, &g.b, &g.c, &v.a, &v.b, &v.c}, {nesterov ? 1 : 0});
    }
    p.check(param, kTolerance);
    v.check(velocity, kTolerance);
  }
}

// Sizes that leave units of work crossing tensors, tensors crossing units, and empty ones at both ends and inside.
constexpr int64_t kManySizes[] = {0, 70001, 1, 7, 0, 16384, 33, 8, 0};
constexpr int kMany = 9;

struct ManyTensors {
  std::vector<Tensor> list;

  explicit ManyTensors(uint32_t seed, float scale) {
    for (int64_t size : kManySizes) list.push_back(Tensor::random({size}, seed++, scale));
  }
  Tensor* operator[](int i) { return &list[size_t(i)]; }
};

bool same_bits(ManyTensors& a, ManyTensors& b) {
  for (int i = 0; i < kMany; ++i)
    if (std::memcmp(a[i]->data(), b[i]->data(), size_t(a[i]->bytes())) != 0) return false;
  return true;
}

#define NINE(g) g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8]

}  // namespace

TEST(adam_as_pytorch) { check_adam(0, false, k_adam_param, k_adam_m, k_adam_v); }
TEST(adam_with_decay_as_pytorch) { check_adam(kDecay, false, k_adam_decay_param, k_adam_decay_m, k_adam_decay_v); }
TEST(adamw_as_pytorch) { check_adam(kDecay, true, k_adamw_param, k_adamw_m, k_adamw_v); }
TEST(sgd_as_pytorch) { check_sgd(0, k_sgd_param); }
TEST(sgd_with_decay_as_pytorch) { check_sgd(kDecay, k_sgd_decay_param); }
TEST(momentum_as_pytorch) { check_momentum(0, false, k_momentum_param, k_momentum_m); }
TEST(nesterov_with_decay_as_pytorch) { check_momentum(kDecay, true, k_nesterov_decay_param, k_nesterov_decay_m); }

TEST(adam_over_many_tensors) {
  for (tk::Level level : tk::usable_levels()) {
    std::vector<ManyTensors> results;
    for (int threads : {1, 2}) {
      Tensor hyper = Tensor::f32({5}, {0.02f, 0.8f, 0.95f, 1e-3f, 0.3f}), step = Tensor::i32({1}, {4});
      ManyTensors p(1, 1), g(20, 2), m(40, 1), v(60, 1);
      for (Tensor& t : v.list)
        for (int64_t i = 0; i < t.size(); ++i) t.f()[i] = std::fabs(t.f()[i]);
      ManyTensors p0 = p, m0 = m, v0 = v;
      tktest::call_op({level, threads}, "adam", {&hyper, &step, NINE(p), NINE(g), NINE(m), NINE(v)}, {1});
      CHECK(step.i()[0] == 5);
      double worst = 0;
      for (int k = 0; k < kMany; ++k) {
        for (int64_t i = 0; i < p[k]->size(); ++i) {
          const double gi = g[k]->f()[i], beta1 = 0.8f, beta2 = 0.95f;
          const double mi = beta1 * m0[k]->f()[i] + (1 - beta1) * gi, vi = beta2 * v0[k]->f()[i] + (1 - beta2) * gi * gi;
          const double decayed = p0[k]->f()[i] * (1 - double(0.02f) * double(0.3f));
          const double corrected = mi / (1 - std::pow(beta1, 5)), root = std::sqrt(vi / (1 - std::pow(beta2, 5)));
          const double expected = decayed - double(0.02f) * corrected / (root + double(1e-3f));
          worst =
              std::max({worst, std::fabs(p[k]->f()[i] - expected), std::fabs(m[k]->f()[i] - mi), std::fabs(v[k]->f()[i] - vi)});
        }
      }
      CHECK(worst < 4e-6);  // values up to 16; three roundings in f32 at 1e-6 each
      results.push_back(std::move(p));
    }
    CHECK(same_bits(results[0], results[1]));
  }
}

TEST(momentum_over_many_tensors) {
  for (tk::Level level : tk::usable_levels()) {
    std::vector<ManyTensors> results;
    for (int threads : {1, 2}) {
      Tensor hyper = Tensor::f32({3}, {0.1f, 0.7f, 0.2f});
      ManyTensors p(1, 1), g(20, 2), v(40, 1), plain(1, 1);
      ManyTensors p0 = p, v0 = v;
      tktest::call_op({level, threads}, "sgd_momentum", {&hyper, NINE(p), NINE(g), NINE(v)}, {1});
      tktest::call_op({level, threads}, "sgd", {&hyper, NINE(plain), NINE(g)});
      double worst = 0;
      for (int k = 0; k < kMany; ++k) {
        for (int64_t i = 0; i < p[k]->size(); ++i) {
          const double mu = 0.7f, rate = 0.1f;
          const double gi = g[k]->f()[i] + double(0.2f) * p0[k]->f()[i], vi = mu * v0[k]->f()[i] + gi;
          worst = std::max({worst, std::fabs(p[k]->f()[i] - (p0[k]->f()[i] - rate * (gi + mu * vi))),
                            std::fabs(v[k]->f()[i] - vi), std::fabs(plain[k]->f()[i] - (p0[k]->f()[i] - rate * gi))});
        }
      }
      CHECK(worst < 4e-6);  // values up to 16; three roundings in f32 at 1e-6 each
      results.push_back(std::move(p));
    }
    CHECK(same_bits(results[0], results[1]));
  }
}

// An element's result does not depend on where it stands: the same numbers, shifted through a vector, give the same bits.
TEST(position_does_not_matter) {
  for (const Run& run : tktest::runs()) {
    for (int64_t shift = 0; shift < 19; ++shift) {
      Tensor hyper = Tensor::f32({5}, {0.01f, 0.9f, 0.999f, 1e-8f, 0.1f}), step = Tensor::i32({1}, {0}),
             step1 = Tensor::i32({1}, {0});
      Tensor p = Tensor::random({shift + 1}, 5), g = Tensor::random({shift + 1}, 6), m = Tensor::random({shift + 1}, 7);
      Tensor v = Tensor::f32({shift + 1}, std::vector<float>(size_t(shift) + 1, 0.3f));
      Tensor p1 = Tensor::f32({1}, {p.f()[shift]}), g1 = Tensor::f32({1}, {g.f()[shift]}),
             m1 = Tensor::f32({1}, {m.f()[shift]});
      Tensor v1 = Tensor::f32({1}, {0.3f});
      tktest::call_op(run, "adam", {&hyper, &step, &p, &g, &m, &v}, {0});
      tktest::call_op(run, "adam", {&hyper, &step1, &p1, &g1, &m1, &v1}, {0});
      CHECK(p.f()[shift] == p1.f()[0] && m.f()[shift] == m1.f()[0] && v.f()[shift] == v1.f()[0]);
    }
  }
}

TEST(first_adam_step_is_the_rate) {
  // With m and v empty, the corrections cancel: the step is rate * g / (|g| + eps) whatever the betas.
  for (const Run& run : tktest::runs()) {
    Tensor hyper = Tensor::f32({5}, {0.125f, 0.9f, 0.999f, 1e-8f, 0}), step = Tensor::i32({1}, {0});
    Tensor p = Tensor::f32({3}, {1, 1, 1}), g = Tensor::f32({3}, {4, -0.01f, 0});
    Tensor m = Tensor::f32({3}, {0, 0, 0}), v = Tensor::f32({3}, {0, 0, 0});
    tktest::call_op(run, "adam", {&hyper, &step, &p, &g, &m, &v}, {0});
    // Two units in the last place of 1, times the two roundings in m and in sqrt(v).
    CHECK(std::fabs(p.f()[0] - 0.875f) <= 2.4e-7f && std::fabs(p.f()[1] - 1.125f) <= 2.4e-7f && p.f()[2] == 1.0f);
  }
}

TEST(no_decay_leaves_an_infinite_parameter_alone) {
  for (const Run& run : tktest::runs()) {
    Tensor hyper5 = Tensor::f32({5}, {0.1f, 0.9f, 0.999f, 1e-8f, 0}), step = Tensor::i32({1}, {0}),
           hyper3 = Tensor::f32({3}, {0.1f, 0, 0});
    Tensor p = Tensor::f32({2}, {INFINITY, NAN}), g = Tensor::f32({2}, {1, 1}), m = Tensor::f32({2}, {0, 0}),
           v = Tensor::f32({2}, {0, 0});
    tktest::call_op(run, "adam", {&hyper5, &step, &p, &g, &m, &v}, {0});
    CHECK(p.f()[0] == INFINITY && std::isnan(p.f()[1]) && std::isfinite(m.f()[0]) && std::isfinite(v.f()[1]));
    tktest::call_op(run, "sgd_momentum", {&hyper3, &p, &g, &v}, {0});
    CHECK(p.f()[0] == INFINITY && v.f()[0] == 1.0f);
  }
}

// One number more behind the hyper-parameters: 0 leaves the call out, whatever the gradients hold.
TEST(inactive_steps_change_nothing) {
  for (const Run& run : tktest::runs()) {
    for (float active : {0.0f, 1.0f}) {
      Tensor hyper6 = Tensor::f32({6}, {0.1f, 0.9f, 0.999f, 1e-8f, 0.1f, active}),
             hyper4 = Tensor::f32({4}, {0.1f, 0.5f, 0.1f, active});
      Tensor step = Tensor::i32({1}, {3}), p = Tensor::f32({2}, {1, 2}), g = Tensor::f32({2}, {NAN, 1}),
             m = Tensor::f32({2}, {0.5f, 0.25f}), v = Tensor::f32({2}, {1, 1});
      const auto unchanged = [&] {
        return p.f()[0] == 1 && p.f()[1] == 2 && m.f()[0] == 0.5f && m.f()[1] == 0.25f && v.f()[0] == 1 && v.f()[1] == 1 &&
               step.i()[0] == 3;
      };
      tktest::call_op(run, "adam", {&hyper6, &step, &p, &g, &m, &v}, {0});
      CHECK(unchanged() == (active == 0));
      if (active != 0) continue;
      tktest::call_op(run, "lamb", {&hyper6, &step, &p, &g, &m, &v});
      tktest::call_op(run, "adamax", {&hyper6, &step, &p, &g, &m, &v});
      tktest::call_op(run, "sgd", {&hyper4, &p, &g});
      tktest::call_op(run, "sgd_momentum", {&hyper4, &p, &g, &m}, {1});
      CHECK(unchanged());
    }
  }
}

TEST(accumulate_adds_up_or_begins_anew) {
  for (const Run& run : tktest::runs()) {
    Tensor anew = Tensor::f32({2}, {0, 0.5f}), add = Tensor::f32({2}, {2, 0.25f});
    Tensor target = Tensor::f32({3}, {NAN, INFINITY, 1}), source = Tensor::f32({3}, {4, 8, -2});
    tktest::call_op(run, "accumulate", {&anew, &target, &source});
    CHECK(target.f()[0] == 2 && target.f()[1] == 4 && target.f()[2] == -1);
    tktest::call_op(run, "accumulate", {&add, &target, &source});
    CHECK(target.f()[0] == 5 && target.f()[1] == 10 && target.f()[2] == -2.5f);
    Tensor none = Tensor::f32({1}, {0}), broken = Tensor::f32({3}, {NAN, NAN, NAN});
    tktest::call_op(run, "move_towards", {&none, &target, &broken});
    CHECK(target.f()[0] == 5 && target.f()[1] == 10 && target.f()[2] == -2.5f);
  }
}

TEST(unequal_groups_are_refused) {
  const Run run = tktest::runs().back();
  Tensor hyper = Tensor::f32({3}, {0.1f, 0, 0}), p = Tensor::random({4}, 1), g = Tensor::random({5}, 2),
         small = Tensor::f32({2}, {1, 2});
  CHECK_THROWS(tktest::call_op(run, "sgd", {&hyper, &p, &g}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "sgd", {&small, &p, &p}), "E_INTERNAL");
}

#undef NINE

}  // namespace tktest::optim_test
