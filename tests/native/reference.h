// Helpers of tests that compare ops of several outputs with references in double precision.
#pragma once
#include <functional>

#include "op_test.h"

namespace tktest {

using Doubles = std::vector<double>;

inline Doubles doubles_of(const Tensor& t) { return Doubles(t.f(), t.f() + t.size()); }

// Runs an op with f32 outputs of these shapes on one thread and on two, which must give the same bits.
inline std::vector<Tensor> outputs_of(tk::Level level, const char* op, std::vector<Tensor*> inputs,
                                      const std::vector<std::vector<int64_t>>& shapes, const std::vector<int64_t>& ints = {},
                                      const std::vector<double>& floats = {}) {
  std::vector<Tensor> results[2];
  for (int threads : {1, 2}) {
    std::vector<Tensor>& outputs = results[threads - 1];
    for (const auto& shape : shapes) outputs.emplace_back(tk::DType::f32, shape);
    std::vector<Tensor*> operands = inputs;
    for (Tensor& output : outputs) operands.push_back(&output);
    CHECK(call_op_list({level, threads}, op, operands, ints, floats) == INT64_MIN);
  }
  for (size_t i = 0; i < shapes.size(); ++i) {
    const Tensor &one = results[0][i], &two = results[1][i];
    CHECK(one.size() == 0 || std::memcmp(one.data(), two.data(), size_t(one.bytes())) == 0);
  }
  return std::move(results[0]);
}

// Every element within tolerance * (1 + |expected|).
inline void check_close(const char* what, const Tensor& actual, const Doubles& expected, double tolerance) {
  CHECK(size_t(actual.size()) == expected.size());
  double worst = 0;
  int64_t at = -1;
  for (int64_t i = 0; i < actual.size() && size_t(i) < expected.size(); ++i) {
    const double e = expected[size_t(i)], error = std::fabs(double(actual.f()[i]) - e) / (1 + std::fabs(e));
    if (!(error <= worst)) {
      worst = error;
      at = i;
    }
  }
  CHECK(worst <= tolerance);
  if (!(worst <= tolerance)) {
    std::printf("  %s: element %d of %d: expected %.9g, got %.9g\n", what, int(at), int(actual.size()), expected[size_t(at)],
                double(actual.f()[at]));
  }
}

// Gradient of `loss` by central differences; `values` is changed and put back. With steps of 1e-5 the error is some 1e-10 of
// the third derivative and 1e-11 of the loss.
inline Doubles numeric_gradient(Doubles& values, const std::function<double()>& loss) {
  Doubles gradient(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = values[i], step = 1e-5;
    values[i] = value + step;
    const double above = loss();
    values[i] = value - step;
    gradient[i] = (above - loss()) / (2 * step);
    values[i] = value;
  }
  return gradient;
}

inline double dot(const Doubles& a, const Doubles& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace tktest
