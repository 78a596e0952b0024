// Packing: copies parts of A and B into panels, so that micro-kernels read memory in order.
// A panel holds `width` rows of A (or columns of B) side by side: panel[k * width + i].
#pragma once
#include "cpu/simd_transpose.h"
#include "ops/common/gemm_kernel.h"

TK_BEGIN_LEVEL

// dst[k * dst_stride + i] = rows[i][k] for i, k < 4.
TK_INLINE void transpose4(const float* const* rows, float* dst, int64_t dst_stride) {
#if TK_SIMD_AVX512 || TK_SIMD_AVX2 || TK_SIMD_SSE2
  const __m128 r0 = _mm_loadu_ps(rows[0]), r1 = _mm_loadu_ps(rows[1]);
  const __m128 r2 = _mm_loadu_ps(rows[2]), r3 = _mm_loadu_ps(rows[3]);
  const __m128 low01 = _mm_unpacklo_ps(r0, r1), high01 = _mm_unpackhi_ps(r0, r1);
  const __m128 low23 = _mm_unpacklo_ps(r2, r3), high23 = _mm_unpackhi_ps(r2, r3);
  _mm_storeu_ps(dst, _mm_movelh_ps(low01, low23));
  _mm_storeu_ps(dst + dst_stride, _mm_movehl_ps(low23, low01));
  _mm_storeu_ps(dst + 2 * dst_stride, _mm_movelh_ps(high01, high23));
  _mm_storeu_ps(dst + 3 * dst_stride, _mm_movehl_ps(high23, high01));
#else
  for (int k = 0; k < 4; ++k) {
    for (int i = 0; i < 4; ++i) dst[k * dst_stride + i] = rows[i][k];
  }
#endif
}

// The rows of a panel are rows in memory: row i starts at src + i * src_stride. Rows from `count` to `width` repeat the last
// one (the kernels compute and drop them). When width is no multiple of 4, up to 2 floats after the panel are overwritten.
template <int Width>
TK_INLINE void pack_transposed(const float* src, int64_t src_stride, int count, int64_t length, float* dst) {
  constexpr int kGroups = (Width + 3) / 4;
  const float* rows[kGroups * 4];
  for (int i = 0; i < kGroups * 4; ++i) rows[i] = src + (i < count ? i : count - 1) * src_stride;
  int64_t k = 0;
  if constexpr (Width % kTile32 == 0) {
    if (count == Width) {
      const auto* from = reinterpret_cast<const uint32_t*>(src);
      auto* to = reinterpret_cast<uint32_t*>(dst);
      for (; k + kTile32 <= length; k += kTile32) {
        for (int i = 0; i < Width; i += kTile32)
          transpose_tile(from + i * src_stride + k, src_stride, to + k * Width + i, Width);
      }
    }
  }
  for (; k + 4 <= length; k += 4) {
    // The last group first: what it writes beyond the panel's width, the first group of the next k puts right.
    for (int g = kGroups - 1; g >= 0; --g) {
      const float* quad[4] = {rows[4 * g] + k, rows[4 * g + 1] + k, rows[4 * g + 2] + k, rows[4 * g + 3] + k};
      transpose4(quad, dst + k * Width + 4 * g, Width);
    }
  }
  for (; k < length; ++k) {
    for (int i = 0; i < Width; ++i) dst[k * Width + i] = rows[i][k];
  }
}
constexpr int64_t kPackSlack = 16;  // floats to keep free after a buffer of panels

// The rows of a panel are neighbours in memory: dst[k * width + i] = src[k * src_stride + i], zero from `count` to `width`.
TK_INLINE void pack_neighbours(const float* src, int64_t src_stride, int64_t count, int64_t width, int64_t length, float* dst) {
  for (int64_t k = 0; k < length; ++k, src += src_stride, dst += width) {
    std::memcpy(dst, src, size_t(count) * sizeof(float));
    for (int64_t i = count; i < width; ++i) dst[i] = 0.0f;
  }
}
// As above for full panels of B, whose width the compiler knows.
TK_INLINE void pack_full_rows(const float* src, int64_t src_stride, int64_t length, float* dst) {
  for (int64_t k = 0; k < length; ++k, src += src_stride, dst += kTileCols) {
    for (int j = 0; j < kTileVecs; ++j) store(dst + j * kVecWidth, load(src + j * kVecWidth));
  }
}

// A matrix by strides; one of them is 1.
struct StridedMatrix {
  const float* data;
  int64_t row, col;
};

// B[k0, k0+length) x [n0, n0+cols) with cols <= kTileCols into one panel of width round_up(cols, kVecWidth).
TK_INLINE void pack_b_panel(const StridedMatrix& b, int64_t k0, int64_t length, int64_t n0, int cols, float* dst) {
  const float* src = b.data + k0 * b.row + n0 * b.col;
  if (b.col == 1) {
    if (cols == kTileCols) return pack_full_rows(src, b.row, length, dst);
    return pack_neighbours(src, b.row, cols, round_up(cols, kVecWidth), length, dst);
  }
#if TK_SIMD_SCALAR
  for (int64_t k = 0; k < length; ++k) {
    for (int j = 0; j < cols; ++j) dst[k * cols + j] = src[k + j * b.col];
  }
#else
  switch ((cols - 1) / kVecWidth) {
    case 0: return pack_transposed<kVecWidth>(src, b.col, cols, length, dst);
    case 1: return pack_transposed<2 * kVecWidth>(src, b.col, cols, length, dst);
#if TK_SIMD_AVX512 || TK_SIMD_NEON
    case 2: return pack_transposed<3 * kVecWidth>(src, b.col, cols, length, dst);
#endif
#if TK_SIMD_NEON
    case 3: return pack_transposed<4 * kVecWidth>(src, b.col, cols, length, dst);
#endif
  }
#endif
}

// B[k0, k0+length) x [n0, n0+cols) into consecutive panels of `length` rows each. Rows of B that lie side by side are read in
// one go: panel by panel, each would be fetched from memory in pieces too short for the hardware to see the next one coming.
TK_INLINE void pack_b_panels(const StridedMatrix& b, int64_t k0, int64_t length, int64_t n0, int64_t cols, float* dst) {
  const int64_t full = b.col == 1 ? cols / kTileCols : 0;
  if (full > 1) {
    const float* src = b.data + k0 * b.row + n0;
    for (int64_t k = 0; k < length; ++k, src += b.row) {
      float* to = dst + k * kTileCols;
      for (int64_t p = 0; p < full; ++p, to += length * kTileCols) {
        TK_UNROLL for (int j = 0; j < kTileVecs; ++j) store(to + j * kVecWidth, load(src + p * kTileCols + j * kVecWidth));
      }
    }
  }
  for (int64_t n = full > 1 ? full * kTileCols : 0; n < cols; n += kTileCols) {
    pack_b_panel(b, k0, length, n0 + n, int(min64(kTileCols, cols - n)), dst + n * length);
  }
}

// Rows of A cut into tiles. A last tile of few rows takes as long as one of some more, since its sums are too few to hide what
// a multiply-add takes; so it shares rows with the tile before.
class RowTiles {
 public:
  TK_INLINE explicit RowTiles(int64_t rows) : rows_(rows), count_(ceil_div(rows, kTileRows)) {
    const int64_t rest = rows % kTileRows;
    last_ = rest == 0 || rest > kTileRows / 2 || count_ < 2 ? rows - rest : rows - (kTileRows + rest) / 2;
    if (rest == 0) last_ = rows - kTileRows;
  }
  TK_INLINE int64_t count() const { return count_; }
  // Tiles 0 .. count() - 1, and where the last one ends.
  TK_INLINE int64_t begin(int64_t tile) const { return tile < count_ - 1 ? tile * kTileRows : tile < count_ ? last_ : rows_; }

 private:
  int64_t rows_, count_, last_;
};

// A[m0, m0+rows) x [k0, k0+length) with rows <= kTileRows into one panel of width kTileRows.
TK_INLINE void pack_a_panel(const StridedMatrix& a, int64_t m0, int rows, int64_t k0, int64_t length, float* dst) {
  const float* src = a.data + m0 * a.row + k0 * a.col;
  if (a.row != 1) return pack_transposed<kTileRows>(src, a.row, rows, length, dst);
  if (rows == kTileRows) {
    for (int64_t k = 0; k < length; ++k, src += a.col, dst += kTileRows) std::memcpy(dst, src, kTileRows * sizeof(float));
    return;
  }
  pack_neighbours(src, a.col, rows, kTileRows, length, dst);
}

// A[m0, m1) x [k0, k0+length) into one panel of kTileRows for each of RowTiles(m1 - m0). Where the rows of A are neighbours in
// memory, all panels are filled together, so that A is read in order.
TK_INLINE void pack_a_panels(const StridedMatrix& a, int64_t m0, int64_t m1, int64_t k0, int64_t length, float* dst) {
  const RowTiles tiles(m1 - m0);
  int64_t done = 0;
  if (a.row == 1 && kTileRows <= 2 * kVecWidth) {
    constexpr int kWide = kTileRows <= kVecWidth ? kVecWidth : 2 * kVecWidth;
    // Whole vectors are moved: what one writes beyond its panel's width, the next k puts right. So the last k moves exact
    // widths, and only panels with kWide rows of A from their start on take part.
    const int64_t wide = m1 - m0 < kWide ? 0 : (m1 - m0 - kWide) / kTileRows + 1;
    const int64_t panels = min64(wide, max64(0, tiles.count() - 2));
    const float* src = a.data + m0 + k0 * a.col;
    for (int64_t k = 0; k < length; ++k, src += a.col) {
      float* to = dst + k * kTileRows;
      const float* from = src;
      if (k + 1 < length) {
        for (int64_t p = 0; p < panels; ++p, to += length * kTileRows, from += kTileRows) {
          TK_UNROLL for (int j = 0; j < kWide; j += kVecWidth) store(to + j, load(from + j));
        }
      } else {
        for (int64_t p = 0; p < panels; ++p, to += length * kTileRows, from += kTileRows) {
          std::memcpy(to, from, kTileRows * sizeof(float));
        }
      }
    }
    done = panels;
  }
  for (int64_t t = done; t < tiles.count(); ++t) {
    const int64_t begin = tiles.begin(t);
    pack_a_panel(a, m0 + begin, int(tiles.begin(t + 1) - begin), k0, length, dst + t * kTileRows * length);
  }
}

TK_END_LEVEL
