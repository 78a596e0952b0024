// Loops over one row of n elements, and how rows are shared out.
#pragma once

#include "ops/common/vector_math.h"

TK_BEGIN_LEVEL

struct RowShape {
  int64_t rows, cols;
  // Rows that make up one unit of parallel work: some 10 us at half a nanosecond per element and 20 ns per row.
  TK_INLINE int64_t grain() const {
    const int64_t rows_per_unit = 20000 / (cols + 40);
    return rows_per_unit < 1 ? 1 : rows_per_unit;
  }
};

TK_INLINE RowShape row_shape(const Operand& x) {
  TK_CHECK(x.rank >= 1);
  const int64_t cols = x.dims[x.rank - 1];
  return {cols == 0 ? 0 : x.size / cols, cols};
}

constexpr int64_t kSumBlock = 1024;

// Adds up the vectors that body(i, k) gives for elements i to i + k, k being kVecWidth but for the last one: in two chains per
// block, blocks in double. Lanes from k on must be 0.
template <class Body>
TK_INLINE double sum_row(int64_t n, const Body& body) {
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kSumBlock) {
    const int64_t end = n - begin < kSumBlock ? n : begin + kSumBlock;
    VecF s0 = zero(), s1 = zero();
    int64_t i = begin;
    for (; i + 2 * kVecWidth <= end; i += 2 * kVecWidth) {
      s0 = s0 + body(i, kVecWidth);
      s1 = s1 + body(i + kVecWidth, kVecWidth);
    }
    if (i + kVecWidth <= end) {
      s0 = s0 + body(i, kVecWidth);
      i += kVecWidth;
    }
    if (i < end) s1 = s1 + body(i, int(end - i));
    total += double(sum_lanes(s0 + s1));
  }
  return total;
}

TK_INLINE VecF load_row(const float* p, int n, float fill) { return n == kVecWidth ? load(p) : load_part(p, n, fill); }
TK_INLINE void store_row(float* p, VecF a, int n) { n == kVecWidth ? store(p, a) : store_part(p, a, n); }

// y = f(x) over a row; y may be x. f: (VecF, i, n) -> VecF.
template <class F>
TK_INLINE void map_row(const float* x, float* y, int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kVecWidth <= n; i += kVecWidth) store(y + i, f(load(x + i), i, kVecWidth));
  const int rest = int(n - i);
  if (rest > 0) store_part(y + i, f(load_part(x + i, rest), i, rest), rest);
}

TK_END_LEVEL
