// Sums over the rows of a matrix in an order that depends on its shape alone: chunks of rows are summed apart, then the chunks
// in rising order.
#pragma once

#include "ops/common/rows.h"

TK_BEGIN_LEVEL

constexpr int64_t kMaxRowChunks = 64;
constexpr int64_t kRowChunkElements = 16384;  // some 10 us of reading

// How `rows` rows are cut into chunks.
struct RowChunks {
  int64_t rows, length;

  TK_INLINE int64_t count() const { return rows == 0 ? 0 : (rows + length - 1) / length; }
  TK_INLINE int64_t begin(int64_t chunk) const { return chunk * length; }
  TK_INLINE int64_t end(int64_t chunk) const { return (chunk + 1) * length < rows ? (chunk + 1) * length : rows; }
};

TK_INLINE RowChunks cut_rows(int64_t rows, int64_t cols) {
  const int64_t fewest = kRowChunkElements / (cols < 1 ? 1 : cols) + 1, shared = (rows + kMaxRowChunks - 1) / kMaxRowChunks;
  return {rows, fewest > shared ? fewest : shared};
}

// sums[j] = x[0, j] + x[1, j] + ...; rows `stride` floats apart.
inline void sum_columns(const float* x, int64_t stride, int64_t rows, int64_t cols, float* sums) {
  int64_t j = 0;
  for (; j + 4 * kVecWidth <= cols; j += 4 * kVecWidth) {
    VecF s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = x + r * stride + j;
      s0 = s0 + load(row);
      s1 = s1 + load(row + kVecWidth);
      s2 = s2 + load(row + 2 * kVecWidth);
      s3 = s3 + load(row + 3 * kVecWidth);
    }
    store(sums + j, s0);
    store(sums + j + kVecWidth, s1);
    store(sums + j + 2 * kVecWidth, s2);
    store(sums + j + 3 * kVecWidth, s3);
  }
  for (; j < cols; j += kVecWidth) {
    const int n = cols - j < kVecWidth ? int(cols - j) : kVecWidth;
    VecF sum = zero();
    for (int64_t r = 0; r < rows; ++r) sum = sum + load_row(x + r * stride + j, n, 0.0f);
    store_row(sums + j, sum, n);
  }
}

// out[j] = parts[0, j] + parts[1, j] + ... in double, rounded once; parts lie `stride` floats apart.
inline void combine_chunks(const float* parts, int64_t stride, int64_t count, int64_t cols, float* out, CpuContext& context) {
  constexpr int64_t kColumns = 64;
  context.parallel_for(cols, 16 * kColumns, [&](int64_t begin, int64_t end, int) {
    for (int64_t j = begin; j < end; j += kColumns) {
      const int64_t n = end - j < kColumns ? end - j : kColumns;
      double sums[kColumns] = {};
      for (int64_t c = 0; c < count; ++c) {
        const float* part = parts + c * stride + j;
        for (int64_t i = 0; i < n; ++i) sums[i] += double(part[i]);
      }
      for (int64_t i = 0; i < n; ++i) out[j + i] = float(sums[i]);
    }
  });
}

// Floats of workspace of column_sums.
TK_INLINE int64_t column_sums_floats(int64_t rows, int64_t cols) { return cut_rows(rows, cols).count() * cols; }

// out[j] = sum over all rows of x [rows, cols].
inline void column_sums(const float* x, int64_t rows, int64_t cols, float* out, float* workspace, CpuContext& context) {
  const RowChunks chunks = cut_rows(rows, cols);
  context.parallel_for(chunks.count(), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t first = chunks.begin(c);
      sum_columns(x + first * cols, cols, chunks.end(c) - first, cols, workspace + c * cols);
    }
  });
  combine_chunks(workspace, cols, chunks.count(), cols, out, context);
}

TK_END_LEVEL
