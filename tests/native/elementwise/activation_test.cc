// Activations, PReLU's gradient, linear and binary cross-entropy against double precision.
#include "reference.h"

namespace tktest::activation_test {
namespace {

double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// By number as in ops/common/activation_math.h.
double value(int kind, double x) {
  switch (kind) {
    case 0: return x;
    case 1: return x > 0 ? x : 0;
    case 2: return sigmoid(x);
    case 3: return std::tanh(x);
    case 4: return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case 5: return x * sigmoid(2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
    case 6: return x * sigmoid(x);
    default: return x * std::tanh(std::log1p(std::exp(-std::fabs(x))) + std::max(x, 0.0));
  }
}
double slope(int kind, double x) { return (value(kind, x + 1e-6) - value(kind, x - 1e-6)) / 2e-6; }

const std::vector<float> kPoints = {-1e4f, -100,   -31,    -20, -9,    -6.01f, -5.59f, -5.57f, -5,   -4, -3,
                                    -2.2f, -1.51f, -1.49f, -1,  -0.5f, -0.1f,  1e-3f,  0.1f,   0.7f, 1,  1.5f,
                                    2,     3,      5,      10,  19,    21,     31,     100,    1e4f};

}  // namespace

TEST(activations_and_derivatives) {
  const int64_t count = int64_t(kPoints.size());
  Tensor x = Tensor::f32({count}, kPoints), dy = Tensor::random({count}, 1);
  for (tk::Level level : tk::usable_levels()) {
    for (int kind = 0; kind < 8; ++kind) {
      Tensor y = outputs_of(level, "activation", {&x}, {{count}}, {kind})[0];
      Tensor& saved = kind >= 1 && kind <= 3 ? y : x;
      const Tensor dx = outputs_of(level, "activation_grad", {&dy, &saved}, {{count}}, {kind})[0];
      for (int64_t i = 0; i < count; ++i) {
        const double at = double(x.f()[i]), want = value(kind, at), want_dx = double(dy.f()[i]) * slope(kind, at);
        // The contract of activation.h; differences in double add 1e-9.
        const bool right = std::fabs(double(y.f()[i]) - want) <= 2e-6 * std::fabs(want) + 2e-7;
        const bool right_dx = std::fabs(double(dx.f()[i]) - want_dx) <= 2e-6 * std::fabs(want_dx) + 5e-7;
        CHECK(right && right_dx);
        if (!right || !right_dx) {
          std::printf("  kind %d at %g: %.9g for %.9g, slope %.9g for %.9g\n", kind, at, double(y.f()[i]), want,
                      double(dx.f()[i]), want_dx);
        }
      }
    }
  }
}

// Results of 16 MB and more are written past the caches: the same bits as in small pieces.
TEST(activations_of_large_operands) {
  constexpr int64_t kPiece = 1000, kPieces = 4200;
  Tensor x = Tensor::random({kPieces, kPiece}, 3), piece = Tensor::random({kPiece}, 4), expected(tk::DType::f32, {kPiece});
  for (int64_t p : {int64_t(0), kPieces / 2, kPieces - 1}) {
    std::memcpy(x.f() + p * kPiece, piece.f(), size_t(piece.bytes()));
  }
  for (const Run& run : tktest::runs()) {
    Tensor y(tk::DType::f32, {kPieces, kPiece});
    call_op(run, "activation", {&x, &y}, {4});
    call_op(run, "activation", {&piece, &expected}, {4});
    for (int64_t p : {int64_t(0), kPieces / 2, kPieces - 1}) {
      CHECK(std::memcmp(y.f() + p * kPiece, expected.f(), size_t(expected.bytes())) == 0);
    }
  }
}

TEST(activations_of_special_values) {
  for (const Run& run : runs()) {
    for (int kind = 0; kind < 8; ++kind) {
      Tensor x = Tensor::f32({4}, {NAN, INFINITY, -INFINITY, 0}), y(tk::DType::f32, {4}), one = Tensor::f32({4}, {1, 1, 1, 1});
      call_op(run, "activation", {&x, &y}, {kind});
      CHECK(std::isnan(y.f()[0]));
      CHECK(y.f()[1] == (kind == 2 || kind == 3 ? 1.0f : INFINITY));
      CHECK(y.f()[2] == (kind == 0 ? -INFINITY : kind == 3 ? -1.0f : 0.0f));
      CHECK(y.f()[3] == (kind == 2 ? 0.5f : 0.0f));
      call_op(run, "activation_grad", {&one, kind >= 1 && kind <= 3 ? &y : &x, &y}, {kind});
      if (kind != 0 && kind != 1) CHECK(std::isnan(y.f()[0]));
      CHECK(std::fabs(y.f()[1] - (kind == 2 || kind == 3 ? 0.0f : 1.0f)) < 1e-6f);
      CHECK(std::fabs(y.f()[2] - (kind == 0 ? 1.0f : 0.0f)) < 1e-6f);
    }
    CHECK_THROWS(
        {
          Tensor x = Tensor::f32({1}, {1});
          call_op(run, "activation", {&x, &x}, {8});
        },
        "E_INTERNAL");
  }
}

TEST(prelu_gradient) {
  for (int64_t cols : {1, 3, 8, 40}) {
    for (int64_t rows : {1, 9, 3000}) {
      for (int64_t length : {int64_t(1), cols}) {
        Tensor x = Tensor::random({rows, cols}, 1), dy = Tensor::random({rows, cols}, 2), alpha = Tensor::random({length}, 3);
        Doubles dx(size_t(x.size())), dalpha(size_t(length), 0.0);
        for (int64_t i = 0; i < x.size(); ++i) {
          const int64_t c = length == 1 ? 0 : i % cols;
          const double g = double(dy.f()[i]), v = double(x.f()[i]);
          dx[size_t(i)] = v > 0 ? g : g * double(alpha.f()[c]);
          if (v <= 0) dalpha[size_t(c)] += g * v;
        }
        for (tk::Level level : tk::usable_levels()) {
          const auto out = outputs_of(level, "prelu_grad", {&dy, &x, &alpha}, {x.shape(), {length}});
          check_close("dx", out[0], dx, 1e-7);
          check_close("dalpha", out[1], dalpha, 1e-5);  // sums of up to 60,000 products
        }
      }
    }
  }
}

namespace {

// Products of up to 70 terms, and the function.
constexpr double kLinear = 1e-5;

void check_linear(int64_t m, int64_t k, int64_t n, int kind, bool biased) {
  Tensor x = Tensor::random({m, k}, 1), w = Tensor::random({k, n}, 2, 0.3f), bias = Tensor::random({biased ? n : 0}, 3);
  Tensor dy = Tensor::random({m, n}, 4);
  Doubles z(size_t(m * n)), y(size_t(m * n)), dz(size_t(m * n));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = biased ? double(bias.f()[j]) : 0;
      for (int64_t l = 0; l < k; ++l) sum += double(x.f()[i * k + l]) * double(w.f()[l * n + j]);
      const size_t at = size_t(i * n + j);
      z[at] = sum;
      y[at] = value(kind, sum);
      dz[at] = double(dy.f()[at]) * slope(kind, sum);
    }
  }
  Doubles dx(size_t(m * k), 0.0), dw(size_t(k * n), 0.0), dbias(size_t(n), 0.0);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const double g = dz[size_t(i * n + j)];
      dbias[size_t(j)] += g;
      for (int64_t l = 0; l < k; ++l) {
        dx[size_t(i * k + l)] += g * double(w.f()[l * n + j]);
        dw[size_t(l * n + j)] += g * double(x.f()[i * k + l]);
      }
    }
  }
  for (tk::Level level : tk::usable_levels()) {
    const bool keeps = kind >= 4;
    const auto out = outputs_of(level, "linear", {&x, &w, &bias}, {{m, n}, {keeps ? m * n : 0}}, {kind});
    check_close("y", out[0], y, kLinear);
    if (keeps) check_close("saved", out[1], z, kLinear);
    Tensor saved = kind == 0 ? Tensor(tk::DType::f32, {0}) : keeps ? out[1] : out[0];
    const auto grads = outputs_of(level, "linear_grad", {&dy, &x, &w, &saved}, {{m, k}, {k, n}, {biased ? n : 0}}, {kind});
    check_close("dx", grads[0], dx, kLinear);
    check_close("dw", grads[1], dw, kLinear);
    if (biased) check_close("dbias", grads[2], dbias, kLinear);
    const auto only = outputs_of(level, "linear_grad", {&dy, &x, &w, &saved}, {{0}, {k, n}, {0}}, {kind});
    CHECK(k * n == 0 || std::memcmp(only[1].data(), grads[1].data(), size_t(only[1].bytes())) == 0);
  }
}

}  // namespace

TEST(linear_and_gradients) {
  // relu apart: its slope by differences is wrong where z is within 1e-6 of 0.
  for (int kind : {0, 2, 3, 4, 5, 6, 7})
    for (bool biased : {true, false}) check_linear(5, 7, 9, kind, biased);
  check_linear(70, 33, 48, 4, true);
  check_linear(1, 3, 1, 6, true);
  check_linear(0, 3, 4, 4, true);
  check_linear(3, 0, 4, 3, true);
}

TEST(binary_cross_entropy_and_gradient) {
  const int64_t rows = 3, cols = int64_t(kPoints.size());
  Tensor x(tk::DType::f32, {rows, cols}), labels(tk::DType::f32, {rows, cols}), dloss = Tensor::random({rows, cols}, 1);
  for (int64_t i = 0; i < x.size(); ++i) {
    x.f()[i] = kPoints[size_t(i % cols)];
    labels.f()[i] = i / cols == 0 ? 0.0f : i / cols == 1 ? 1.0f : 0.3f;
  }
  for (int64_t length : {int64_t(0), int64_t(1), cols}) {
    Tensor weight = Tensor::random({length}, 2);
    for (int64_t i = 0; i < length; ++i) weight.f()[i] = 0.5f + std::fabs(weight.f()[i]);
    for (double smoothing : {0.0, 0.2}) {
      Doubles loss(size_t(x.size())), dx(size_t(x.size()));
      for (int64_t i = 0; i < x.size(); ++i) {
        const double t = double(labels.f()[i]) * (1 - smoothing) + smoothing / 2, v = double(x.f()[i]);
        const double p = length == 0 ? 1 : double(weight.f()[length == 1 ? 0 : i % cols]), factor = 1 + (p - 1) * t;
        const double soft = std::log1p(std::exp(-std::fabs(v)));
        // -p t ln s - (1 - t) ln(1 - s), each logarithm by itself
        loss[size_t(i)] = p * t * (soft + std::max(-v, 0.0)) + (1 - t) * (soft + std::max(v, 0.0));
        dx[size_t(i)] = double(dloss.f()[i]) * ((1 - t) - factor * sigmoid(-v));
      }
      for (tk::Level level : tk::usable_levels()) {
        check_close("loss", outputs_of(level, "binary_cross_entropy", {&x, &labels, &weight}, {x.shape()}, {}, {smoothing})[0],
                    loss, 1e-6);
        check_close(
            "dx",
            outputs_of(level, "binary_cross_entropy_grad", {&x, &labels, &weight, &dloss}, {x.shape()}, {}, {smoothing})[0], dx,
            1e-6);
      }
    }
  }
}

TEST(binary_cross_entropy_of_infinite_logits) {
  for (const Run& run : runs()) {
    Tensor x = Tensor::f32({3}, {INFINITY, -INFINITY, NAN}), labels = Tensor::f32({3}, {1, 0, 1}), none(tk::DType::f32, {0});
    Tensor loss(tk::DType::f32, {3});
    call_op(run, "binary_cross_entropy", {&x, &labels, &none, &loss}, {}, {0.0});
    CHECK(loss.f()[0] == 0 && loss.f()[1] == 0 && std::isnan(loss.f()[2]));
  }
}

}  // namespace tktest::activation_test
