// Loops over one row of n elements, and how rows are shared out.
#pragma once

#include "ops/common/elementwise.h"
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

// Adds up the vectors that body(i, k) gives for elements i to i + k, k being kVecWidth but for the last one: in Chains chains
// per block (4, or 2 where the body takes longer than an addition anyway), blocks in double. Lanes from k on must be 0.
template <int Chains = 4, class Body>
TK_INLINE double sum_row(int64_t n, const Body& body) {
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kSumBlock) {
    const int64_t end = n - begin < kSumBlock ? n : begin + kSumBlock;
    VecF sums[Chains];
    for (VecF& sum : sums) sum = zero();
    int64_t i = begin;
    for (; i + Chains * kVecWidth <= end; i += Chains * kVecWidth) {
      for (int c = 0; c < Chains; ++c) sums[c] = sums[c] + body(i + c * kVecWidth, kVecWidth);
    }
    for (; i + kVecWidth <= end; i += kVecWidth) sums[0] = sums[0] + body(i, kVecWidth);
    if (i < end) sums[1] = sums[1] + body(i, int(end - i));
    for (int c = Chains / 2; c > 0; c /= 2) {
      for (int d = 0; d < c; ++d) sums[d] = sums[d] + sums[d + c];
    }
    total += double(sum_lanes(sums[0]));
  }
  return total;
}

TK_INLINE VecF load_row(const float* p, int n, float fill) { return n == kVecWidth ? load(p) : load_part(p, n, fill); }
TK_INLINE void store_row(float* p, VecF a, int n) { n == kVecWidth ? store(p, a) : store_part(p, a, n); }

// y = f(x) over a row; y may be x. f: (VecF, i, n) -> VecF. stream: y is a multiple of a vector's size and is written past the
// caches; a fence is needed before others read it.
template <class F>
TK_INLINE void map_row(const float* x, float* y, int64_t n, const F& f, bool stream = false) {
  int64_t i = 0;
  if (stream) {
    for (; i + kVecWidth <= n; i += kVecWidth) stream_store(y + i, f(load(x + i), i, kVecWidth));
  }
  for (; i + kVecWidth <= n; i += kVecWidth) store(y + i, f(load(x + i), i, kVecWidth));
  const int rest = int(n - i);
  if (rest > 0) store_part(y + i, f(load_part(x + i, rest), i, rest), rest);
}

// Brings the place `i` elements further on in the next row nearer while the present one is worked on; next may be null.
TK_INLINE void fetch_row([[maybe_unused]] const float* next, [[maybe_unused]] int64_t i) {
#if defined(__GNUC__)
  if (next != nullptr) __builtin_prefetch(next + i, 0, 2);
#endif
}

// Whether rows of y are to be written past the caches: y is large, starts a line, and so does every vector of every row.
TK_INLINE bool streams_rows(const Operand& x, const Operand& y, int64_t cols) {
  return y.bytes() >= kStreamBytes && x.data != y.data && cols % kVecWidth == 0 && is_aligned(y.data, 64);
}

TK_END_LEVEL
