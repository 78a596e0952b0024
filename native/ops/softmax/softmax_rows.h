// What the softmax ops do with one row of n elements.
#pragma once

#include "ops/common/rows.h"

TK_BEGIN_LEVEL

// Largest element; NaN is passed over (it comes back in the sum), -inf for none.
inline float row_max(const float* x, int64_t n) {
  VecF m0 = set1(-INFINITY), m1 = m0, m2 = m0, m3 = m0;
  int64_t i = 0;
  for (; i + 4 * kVecWidth <= n; i += 4 * kVecWidth) {
    m0 = vmax(load(x + i), m0);
    m1 = vmax(load(x + i + kVecWidth), m1);
    m2 = vmax(load(x + i + 2 * kVecWidth), m2);
    m3 = vmax(load(x + i + 3 * kVecWidth), m3);
  }
  for (; i + kVecWidth <= n; i += kVecWidth) m0 = vmax(load(x + i), m0);
  if (i < n) m1 = vmax(load_part(x + i, int(n - i), -INFINITY), m1);
  return max_lanes(vmax(vmax(m0, m1), vmax(m2, m3)));
}

// Sum of e^(x - max).
inline double row_exp_sum(const float* x, float max, int64_t n) {
  return sum_row<2>(n, [&](int64_t i, int k) { return vexp_flush(load_row(x + i, k, -INFINITY) - set1(max)); });
}
// The same, with the terms left in y; y may be x. next: a row to bring nearer meanwhile, or null.
inline double row_exp_store(const float* x, float max, float* y, int64_t n, const float* next = nullptr) {
  return sum_row<2>(n, [&](int64_t i, int k) {
    fetch_row(next, i);
    const VecF e = vexp_flush(load_row(x + i, k, -INFINITY) - set1(max));
    store_row(y + i, e, k);
    return e;
  });
}

TK_END_LEVEL
