// Results of a depthwise convolution four rows at a time, for filters of Taps x Taps whose neighbouring taps meet neighbouring
// pixels. A row alone reads every row of the source once per row of the filter, and memory is what such a convolution waits
// for: four rows read six instead of twelve.
#pragma once
#include "ops/common/gemm_kernel.h"

TK_BEGIN_LEVEL

// Sums, one pixel and one weight must fit the registers.
constexpr int kBlockRows = 4;
#if TK_SIMD_AVX512 || TK_SIMD_NEON
constexpr int kBlockPixels = 4;
#else
constexpr int kBlockPixels = 2;
#endif
// Larger results are made pixel by pixel: then every row is one stream to the memory, which is worth more than fewer loads (1.1
// times as fast at 13 MB on one Zen 3 core).
constexpr int64_t kNearBytes = 1 << 20;

// Four rows of the result. All steps are floats and go in the direction of rising taps: with an input gradient, from the last
// row and pixel to the first. Row r of the source is the r-th that the block meets.
struct DepthwiseBlock {
  const float* source;  // what tap 0 of the first row meets, at pixel 0
  int64_t source_row, source_pixel;
  const float* filter;  // tap 0
  int64_t filter_row, filter_tap;
  float* result;  // the first row, at pixel 0
  int64_t result_row, result_pixel;
  int64_t channels;
  uint32_t present;              // bit r: row r of the source exists
  int first_stored, end_stored;  // rows of the result to be written
};

// Channels [c, c + kVecWidth), or the n that are left, of the results at `at`, the pixels before it in the walk left out.
// Whole: all rows exist and are written.
template <int Pixels, int Taps, int Scale, bool Whole, bool Full>
TK_INLINE void block_vector(const DepthwiseBlock& b, const float* source, float* result, int64_t c, int n) {
  constexpr int kSourceRows = (kBlockRows - 1) * Scale + Taps, kSourcePixels = (Pixels - 1) * Scale + Taps;
  const auto read = [&](const float* p) { return Full ? load(p) : load_part(p, n); };
  VecF sums[kBlockRows][Pixels];
  TK_UNROLL for (int d = 0; d < kBlockRows; ++d) { TK_UNROLL for (int p = 0; p < Pixels; ++p) sums[d][p] = zero(); }
  const int64_t row_step = b.source_row, pixel_step = b.source_pixel, filter_row = b.filter_row, filter_tap = b.filter_tap;
  const float* filter = b.filter + c;
  TK_UNROLL for (int r = 0; r < kSourceRows; ++r) {
    if (!Whole && (b.present >> r & 1) == 0) continue;
    const float* row = source + r * row_step + c;
    TK_UNROLL for (int k = 0; k < kSourcePixels; ++k) {
      const VecF value = read(row + k * pixel_step);
      TK_UNROLL for (int d = 0; d < kBlockRows; ++d) {
        const int tap_row = r - d * Scale;
        TK_UNROLL for (int p = 0; p < Pixels; ++p) {
          const int tap = k - p * Scale;
          if (tap_row >= 0 && tap_row < Taps && tap >= 0 && tap < Taps) {
            sums[d][p] = fmadd(value, read(filter + tap_row * filter_row + tap * filter_tap), sums[d][p]);
          }
        }
      }
    }
  }
  TK_UNROLL for (int d = 0; d < kBlockRows; ++d) {
    if (!Whole && (d < b.first_stored || d >= b.end_stored)) continue;
    float* to = result + d * b.result_row + c;
    TK_UNROLL for (int p = 0; p < Pixels; ++p) {
      Full ? store(to + p * b.result_pixel, sums[d][p]) : store_part(to + p * b.result_pixel, sums[d][p], n);
    }
  }
}

// The pixels [first, end) of the walk, at least Pixels, strip by strip in the order of memory, channels innermost. The
// last strip is moved back until it is whole: pixels that are computed twice get the same bits.
template <int Pixels, int Taps, int Scale, bool Whole>
void run_block(const DepthwiseBlock& block, int64_t first, int64_t end) {
  const DepthwiseBlock b = block;  // a store could change what a reference leads to
  for (int64_t j = first; j < end; j += Pixels) {
    const int64_t at = b.source_pixel > 0 ? min64(j, end - Pixels) : max64(first, first + end - Pixels - j);
    const float* source = b.source + at * Scale * b.source_pixel;
    float* result = b.result + at * b.result_pixel;
    int64_t c = 0;
    for (; c + kVecWidth <= b.channels; c += kVecWidth)
      block_vector<Pixels, Taps, Scale, Whole, true>(b, source, result, c, kVecWidth);
    if (c < b.channels) block_vector<Pixels, Taps, Scale, false, false>(b, source, result, c, int(b.channels - c));
  }
}

using BlockRun = void (*)(const DepthwiseBlock&, int64_t first, int64_t end);
struct BlockRuns {
  BlockRun whole, partial;
};
template <int Taps, int Scale>
TK_INLINE BlockRuns block_runs(bool near) {
  if (near) return {run_block<kBlockPixels, Taps, Scale, true>, run_block<kBlockPixels, Taps, Scale, false>};
  return {run_block<1, Taps, Scale, true>, run_block<1, Taps, Scale, false>};
}
// Null where there are none for these sizes. near: the result stays in a cache.
TK_INLINE BlockRuns block_runs(int64_t taps, int64_t scale, bool near) {
  if (taps == 3 && scale == 1) return block_runs<3, 1>(near);
  if (taps == 3 && scale == 2) return block_runs<3, 2>(near);
  if (taps == 5 && scale == 1) return block_runs<5, 1>(near);
  return {nullptr, nullptr};
}

TK_END_LEVEL
