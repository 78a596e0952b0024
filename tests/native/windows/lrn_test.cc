#include "expected.h"

namespace tktest::lrn_test {
namespace {

struct Params {
  int64_t radius;
  double bias, alpha, beta;
};

void check(const std::vector<int64_t>& shape, const Params& p) {
  Tensor x = Tensor::random(shape, 1), dy = Tensor::random(shape, 2), y_given(tk::DType::f32, shape);
  const int64_t channels = shape.back(), size = x.size();
  Expected y{size_t(size)}, dx{size_t(size)};
  const auto window = [&](int64_t at, auto body) {
    const int64_t c = at % channels;
    for (int64_t k = std::max<int64_t>(0, c - p.radius); k <= std::min(channels - 1, c + p.radius); ++k) body(at - c + k);
  };
  // float parameters, as the op has them.
  const double bias = float(p.bias), alpha = float(p.alpha), beta = float(p.beta);
  std::vector<double> s(size_t(size), bias);
  for (int64_t i = 0; i < size; ++i) window(i, [&](int64_t k) { s[size_t(i)] += alpha * double(x.f()[k]) * double(x.f()[k]); });
  // The sum has one rounding per term, and s^-beta carries beta times its relative error plus a few roundings of its own.
  const double steps = (double(2 * std::min(p.radius, channels) + 4) * std::fmax(1, beta) + 8) * 6e-8;
  for (int64_t i = 0; i < size; ++i) {
    y.values[size_t(i)] = double(x.f()[i]) * std::pow(s[size_t(i)], -beta);
    y.bounds[size_t(i)] = steps * std::fabs(y.values[size_t(i)]) + 1e-44;
    y_given.f()[i] = float(y.values[size_t(i)]);
  }
  for (int64_t i = 0; i < size; ++i) {
    const double direct = double(dy.f()[i]) * std::pow(s[size_t(i)], -beta);
    double sum = 0, magnitude = 0;
    window(i, [&](int64_t k) {
      const double share = double(dy.f()[k]) * double(y_given.f()[k]) / s[size_t(k)];
      sum += share;
      magnitude += std::fabs(share);
    });
    const double factor = 2 * alpha * beta * double(x.f()[i]);
    dx.values[size_t(i)] = direct - factor * sum;
    dx.bounds[size_t(i)] = 2 * steps * (std::fabs(direct) + std::fabs(factor) * magnitude) + 1e-44;
  }
  const std::vector<double> floats = {p.bias, p.alpha, p.beta};
  check_expected("lrn", {&x}, shape, y, {p.radius}, floats);
  check_expected("lrn_grad", {&x, &y_given, &dy}, shape, dx, {p.radius}, floats);
}

TEST(lrn_channels_and_radii) {
  for (int64_t channels : {1, 2, 3, 7, 8, 9, 16, 17, 40}) {
    for (int64_t radius : {0, 1, 2, 5, 100}) check({2, 3, 2, channels}, {radius, 1, 0.7, 0.5});
  }
}

TEST(lrn_exponents) {
  for (double beta : {0.25, 0.5, 0.75, 1.0, 2.0, 0.0, -0.5}) {
    check({1, 4, 4, 12}, {5, 1, 1, beta});
    check({1, 4, 4, 12}, {2, 2.5, 1e-4, beta});
  }
}

TEST(lrn_many_pixels) {
  check({2, 30, 31, 24}, {5, 1, 1, 0.5});
  check({1, 64, 64, 3}, {1, 1, 0.01, 0.75});
}

TEST(lrn_empty) {
  check({0, 4, 4, 3}, {5, 1, 1, 0.5});
  check({2, 4, 4, 0}, {5, 1, 1, 0.5});
}

TEST(lrn_in_place) {
  for (const tktest::Run& run : tktest::runs()) {
    Tensor x = Tensor::random({3, 5, 5, 11}, 4), y(tk::DType::f32, x.shape());
    tktest::call_op(run, "lrn", {&x, &y}, {2}, {1, 0.5, 0.75});
    tktest::call_op(run, "lrn", {&x, &x}, {2}, {1, 0.5, 0.75});
    CHECK(std::memcmp(x.f(), y.f(), size_t(x.bytes())) == 0);
  }
}

TEST(lrn_root_of_a_negative_number_is_not_a_number) {
  Tensor x = Tensor::f32({1, 2}, {1, 2});
  Expected y(2);
  y.values = {NAN, NAN};
  check_expected("lrn", {&x}, {1, 2}, y, {1}, {-9, 1, 0.75});
  check_expected("lrn", {&x}, {1, 2}, y, {1}, {-9, 1, 0.3});
}

}  // namespace

}  // namespace tktest::lrn_test
