// Runs an op with one f32 output at every level with one and two threads, and compares with values made in double precision.
#pragma once
#include <string>

#include "op_test.h"

namespace tktest {

// Values and how far a result may be from each of them.
struct Expected {
  std::vector<double> values, bounds;

  explicit Expected(size_t size) : values(size, 0.0), bounds(size, 0.0) {}
};

// NaN and infinities must match exactly. Two threads must give the bits of one.
inline void check_expected(const char* op, std::vector<Tensor*> inputs, const std::vector<int64_t>& shape,
                           const Expected& expected, const std::vector<int64_t>& ints, const std::vector<double>& floats = {}) {
  for (tk::Level level : tk::usable_levels()) {
    std::vector<float> first;
    for (int threads : {1, 2}) {
      Tensor y(tk::DType::f32, shape);
      std::vector<Tensor*> operands = inputs;
      operands.push_back(&y);
      call_op_list({level, threads}, op, operands, ints, floats);
      CHECK(size_t(y.size()) == expected.values.size());
      int64_t wrong = 0, at = -1;
      for (int64_t i = 0; i < y.size(); ++i) {
        const double e = expected.values[size_t(i)], g = y.f()[i];
        const bool same = std::isnan(e) ? std::isnan(g) : g == e || std::fabs(g - e) <= expected.bounds[size_t(i)];
        if (same) continue;
        ++wrong;
        if (at < 0) at = i;
      }
      CHECK(wrong == 0);
      if (wrong > 0) {
        std::printf("  %s level %s threads %d: %d of %d wrong, first at %d: expected %.9g, got %.9g\n", op,
                    tk::level_name(level), threads, int(wrong), int(y.size()), int(at), expected.values[size_t(at)],
                    double(y.f()[at]));
      }
      if (threads == 1) {
        first.assign(y.f(), y.f() + y.size());
      } else {
        CHECK(y.size() == 0 || std::memcmp(first.data(), y.f(), size_t(y.bytes())) == 0);
      }
    }
  }
}

}  // namespace tktest
