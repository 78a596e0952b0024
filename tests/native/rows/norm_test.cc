#include "op_test.h"

namespace tktest::norm_test {
namespace {

Tensor positive(std::vector<int64_t> shape, uint32_t seed) {
  Tensor t = Tensor::random(std::move(shape), seed);
  for (int64_t i = 0; i < t.size(); ++i) t.f()[i] = std::fabs(t.f()[i]) + 0.1f;
  return t;
}

// lengths: elements of mean, variance, scale and offset; 0 leaves scale or offset out.
void check(int64_t rows, int64_t length, const int64_t (&lengths)[4]) {
  const double epsilon = 1e-3;
  Tensor x = Tensor::random({rows, length}, 1), mean = Tensor::random({lengths[0]}, 2), variance = positive({lengths[1]}, 3);
  Tensor scale = Tensor::random({lengths[2]}, 4), offset = Tensor::random({lengths[3]}, 5);
  const bool has_scale = lengths[2] > 0, has_offset = lengths[3] > 0;
  const auto value = [](const Tensor& t, int64_t i) { return double(t.f()[t.size() == 1 ? 0 : i % t.size()]); };
  for (tk::Level level : tk::usable_levels()) {
    std::vector<float> first;
    for (int threads : {1, 2}) {
      Tensor y(tk::DType::f32, x.shape());
      const auto run = [&](std::initializer_list<Tensor*> operands) {
        tktest::call_op({level, threads}, "batch_norm", operands, {has_scale, has_offset}, {epsilon});
      };
      if (has_scale && has_offset)
        run({&x, &mean, &variance, &scale, &offset, &y});
      else if (has_scale)
        run({&x, &mean, &variance, &scale, &y});
      else if (has_offset)
        run({&x, &mean, &variance, &offset, &y});
      else
        run({&x, &mean, &variance, &y});
      int64_t wrong = 0;
      for (int64_t i = 0; i < x.size(); ++i) {
        const double factor = (has_scale ? value(scale, i) : 1.0) / std::sqrt(value(variance, i) + epsilon);
        const double a = double(x.f()[i]), m = value(mean, i), o = has_offset ? value(offset, i) : 0.0;
        // Four roundings: difference, factor, product, sum; each at most 2^-24 of what it rounds.
        const double limit = 4 * 6e-8 * (std::fabs(a - m) * std::fabs(factor) + std::fabs(o));
        if (!(std::fabs(y.f()[i] - ((a - m) * factor + o)) <= limit)) ++wrong;
      }
      CHECK(wrong == 0);
      if (threads == 1) {
        first.assign(y.f(), y.f() + y.size());
      } else {
        CHECK(y.size() == 0 || std::memcmp(first.data(), y.f(), size_t(y.bytes())) == 0);
      }
    }
  }
}

TEST(batch_norm_channels) {
  for (int64_t c : {1, 2, 3, 7, 8, 9, 31, 64, 255, 256, 257, 1000}) {
    check(13, c, {c, c, c, c});
    check(5, c, {c, c, 0, 0});
  }
}

TEST(batch_norm_optional_and_single_parameters) {
  check(9, 6, {6, 6, 6, 0});
  check(9, 6, {6, 6, 0, 6});
  check(9, 6, {1, 6, 1, 6});
  check(9, 6, {6, 1, 0, 1});
  check(9, 6, {1, 1, 1, 1});
  check(1, 30, {30, 30, 30, 30});
}

TEST(batch_norm_shared_by_threads) {
  check(4000, 33, {33, 33, 33, 33});
  check(70, 2000, {2000, 2000, 2000, 2000});
}

TEST(batch_norm_empty) {
  check(0, 4, {4, 4, 4, 4});
  check(3, 0, {1, 1, 1, 1});
}

TEST(batch_norm_in_place_and_special_values) {
  Tensor mean = Tensor::f32({3}, {0, 0, 0}), variance = Tensor::f32({3}, {1, -4, 1});
  for (const tktest::Run& run : tktest::runs()) {
    Tensor x = Tensor::f32({1, 3}, {2, 1, std::nanf("")});
    tktest::call_op(run, "batch_norm", {&x, &mean, &variance, &x}, {0, 0}, {3.0});
    CHECK(x.f()[0] == 1 && std::isnan(x.f()[1]) && std::isnan(x.f()[2]));
  }
}

TEST(batch_norm_checks_lengths) {
  Tensor x = Tensor::random({2, 6}, 1), mean = Tensor::random({6}, 2), variance = Tensor::random({3}, 3),
         y(tk::DType::f32, {2, 6});
  CHECK_THROWS(tktest::call_op({tk::active_level(), 1}, "batch_norm", {&x, &mean, &variance, &y}, {0, 0}, {1e-3}),
               "E_INTERNAL");
}

}  // namespace

}  // namespace tktest::norm_test
