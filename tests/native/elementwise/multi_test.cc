// Norm, scaling and clipping over many tensors at once.
#include "reference.h"

namespace tktest::multi_test {
using tk::DType;

namespace {

std::vector<Tensor> members() {
  std::vector<Tensor> list;
  uint32_t seed = 1;
  for (int64_t size : {3, 0, 1, 17, 16384, 16385, 50000}) list.push_back(Tensor::random({size}, seed++));
  return list;
}

std::vector<Tensor*> pointers(std::vector<Tensor>& tensors) {
  std::vector<Tensor*> list;
  for (Tensor& t : tensors) list.push_back(&t);
  return list;
}

// Runs an op of scalars, x* and y* on 1 and 2 threads and returns y*.
std::vector<Tensor> mapped(tk::Level level, const char* op, std::vector<Tensor*> scalars, std::vector<Tensor>& x) {
  std::vector<std::vector<int64_t>> shapes;
  for (const Tensor& t : x) shapes.push_back(t.shape());
  for (Tensor* t : pointers(x)) scalars.push_back(t);
  return outputs_of(level, op, scalars, shapes);
}

// norm, and whether all elements were found finite.
std::pair<float, bool> norm_of(const Run& run, std::vector<Tensor>& x) {
  Tensor norm(DType::f32, {1}), finite(DType::u8, {1});
  std::vector<Tensor*> operands = pointers(x);
  operands.push_back(&norm);
  operands.push_back(&finite);
  call_op_list(run, "multi_norm", operands);
  return {norm.f()[0], finite.b()[0] == 1};
}

}  // namespace

TEST(norm_over_all_members) {
  for (float factor : {1.0f, 1e25f, 1e-30f}) {
    std::vector<Tensor> x = members();
    double squares = 0;
    for (Tensor& t : x) {
      for (int64_t i = 0; i < t.size(); ++i) {
        t.f()[i] *= factor;
        squares += double(t.f()[i]) * double(t.f()[i]);
      }
    }
    for (tk::Level level : tk::usable_levels()) {
      const auto [one, finite] = norm_of({level, 1}, x);
      const auto [two, also] = norm_of({level, 2}, x);
      CHECK(std::memcmp(&one, &two, sizeof one) == 0 && finite && also);
      CHECK(std::fabs(double(one) / std::sqrt(squares) - 1) < 2e-7);  // blocks of 1024 squares in f32
    }
  }
}

TEST(norm_tells_what_is_not_finite) {
  for (const Run& run : runs()) {
    for (float bad : {NAN, INFINITY, -INFINITY}) {
      std::vector<Tensor> x = members();
      x[6].f()[49999] = bad;
      CHECK(!norm_of(run, x).second);
    }
    std::vector<Tensor> large = {Tensor::f32({2}, {3e38f, 3e38f})}, nothing = {Tensor(DType::f32, {0})};
    CHECK(norm_of(run, large).first == INFINITY && norm_of(run, large).second);
    CHECK(norm_of(run, nothing).first == 0 && norm_of(run, nothing).second);
  }
}

TEST(scaling_and_clipping) {
  std::vector<Tensor> x = members();
  x[0].f()[1] = NAN;
  for (tk::Level level : tk::usable_levels()) {
    const auto each = [&](const std::vector<Tensor>& y, auto&& want) {
      bool right = true;
      for (size_t m = 0; m < x.size(); ++m) {
        for (int64_t i = 0; i < x[m].size(); ++i) {
          const float v = x[m].f()[i], w = want(v), got = y[m].f()[i];
          right = right && (std::isnan(w) ? std::isnan(got) : got == w);
        }
      }
      CHECK(right);
    };
    Tensor factor = Tensor::f32({1}, {0.3f}), norm = Tensor::f32({1}, {4}), limit = Tensor::f32({1}, {2});
    each(mapped(level, "multi_scale", {&factor}, x), [](float v) { return v * 0.3f; });
    const float ratio = float(2 / (4 + 1e-6));
    each(mapped(level, "multi_clip_norm", {&norm, &limit}, x), [&](float v) { return v * ratio; });
    Tensor small = Tensor::f32({1}, {1}), unknown = Tensor::f32({1}, {NAN}), zero = Tensor::f32({1}, {0});
    each(mapped(level, "multi_clip_norm", {&small, &limit}, x), [](float v) { return v; });
    each(mapped(level, "multi_clip_norm", {&unknown, &limit}, x), [](float v) { return v; });
    each(mapped(level, "multi_clip_norm", {&zero, &limit}, x), [](float v) { return v; });
    // One member at a time gives the bits of clipping it by its own norm.
    const std::vector<Tensor> clipped = mapped(level, "multi_clip_each", {&limit}, x);
    for (size_t m = 0; m < x.size(); ++m) {
      std::vector<Tensor> one;
      one.push_back(x[m]);
      Tensor own = Tensor::f32({1}, {norm_of({level, 1}, one).first});
      const std::vector<Tensor> want = mapped(level, "multi_clip_norm", {&own, &limit}, one);
      CHECK(x[m].size() == 0 || std::memcmp(clipped[m].f(), want[0].f(), size_t(want[0].bytes())) == 0);
    }
    Tensor half = Tensor::f32({1}, {0.5f});
    each(mapped(level, "multi_clamp", {&half}, x), [](float v) { return v > 0.5f ? 0.5f : v < -0.5f ? -0.5f : v; });
  }
}

}  // namespace tktest::multi_test
