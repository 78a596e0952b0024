// What the image ops share: units of work, JavaScript's rounding, blends of pixels.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// Elements of one unit of parallel work: some 20 us of a few operations each.
constexpr int64_t kImageUnit = 16 * 1024;

// Rows of one unit when a row has `row_work` elements.
TK_INLINE int64_t image_grain(int64_t row_work) { return row_work >= kImageUnit ? 1 : kImageUnit / (row_work + 1); }

// Bytes of `count` values, rounded up so that what follows stays aligned.
TK_INLINE int64_t aligned_bytes(int64_t count, int64_t value_bytes) { return (count * value_bytes + 63) / 64 * 64; }

// Whether two ops have the same attributes, so that one function may read both.
constexpr bool same_image_attributes(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}

// One vector of channels, or the `n` channels that are left.
TK_INLINE VecF load_channels(const float* p, int n) { return n == kVecWidth ? load(p) : load_part(p, n); }
TK_INLINE void store_channels(float* p, VecF a, int n) {
  if (n == kVecWidth) return store(p, a);
  store_part(p, a, n);
}

// Math.round of JavaScript: halves go up. NaN and infinities stay.
TK_INLINE double round_half_up(double value) {
  const double below = ::floor(value);
  return value - below >= 0.5 ? below + 1 : below;
}

// y[i] = a[i] + (b[i] - a[i]) * t
TK_INLINE void blend_rows(const float* a, const float* b, float t, float* y, int64_t n) {
  const VecF weight = set1(t);
  int64_t i = 0;
  for (; i + kVecWidth <= n; i += kVecWidth) {
    const VecF from = load(a + i);
    store(y + i, from + (load(b + i) - from) * weight);
  }
  for (; i < n; ++i) y[i] = a[i] + (b[i] - a[i]) * t;
}

// y[i] += weight * x[i]
TK_INLINE void add_scaled(const float* x, float weight, float* y, int64_t n) {
  const VecF factor = set1(weight);
  int64_t i = 0;
  for (; i + kVecWidth <= n; i += kVecWidth) store(y + i, load(y + i) + load(x + i) * factor);
  for (; i < n; ++i) y[i] += x[i] * weight;
}

TK_END_LEVEL
