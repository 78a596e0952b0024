// What the tests of pooling in two and three dimensions share.
#pragma once
#include "op_test.h"

namespace tktest {

struct PoolExpected {
  std::vector<double> max, avg, avg_scale, max_grad, max_grad_scale, avg_grad, avg_grad_scale;
};

// steps roundings of sums whose absolute terms add up to scale; NaN, infinities and values without a scale must match exactly.
inline int64_t count_wrong(const Tensor& got, const std::vector<double>& expected, const std::vector<double>* scale,
                           double steps) {
  int64_t wrong = 0;
  for (int64_t i = 0; i < got.size(); ++i) {
    const double e = expected[size_t(i)], g = got.f()[i];
    if (std::isnan(e) || std::isinf(e) || scale == nullptr) {
      if (!(std::isnan(e) ? std::isnan(g) : g == e)) ++wrong;
    } else if (!(std::fabs(g - e) <= steps * 6e-8 * (*scale)[size_t(i)])) {
      ++wrong;
    }
  }
  return wrong;
}

}  // namespace tktest
