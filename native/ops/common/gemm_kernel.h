// Micro-kernels of matrix products: one tile of C, at most kTileRows x kTileCols, held in registers while k runs.
//
// Every element is summed as acc = 0; acc = fmadd(a, b, acc) for k rising; then C = acc, or C = C + acc. The order is the same
// in every kernel and for every tile size, so how a product is cut into tiles never changes a bit of the result.
//
// B is read as rows of whole vectors `b_stride` floats apart: packed panels, or B itself where all columns of the tile exist.
// A is read in one of two ways:
//   row kernels: a table of pointers, one per tile row and segment; consecutive k of a row are neighbours in memory.
//     A row-major A is one segment; the taps of a convolution are one segment each.
//   column kernels: the rows of the tile are neighbours in memory, consecutive k are `a_stride` floats apart.
//     Packed A, transposed A, and the patches of a filter gradient look like this.
#pragma once
#include "cpu/kernel.h"

#if defined(__GNUC__)
#define TK_UNROLL _Pragma("GCC unroll 16")
#else
#define TK_UNROLL
#endif

TK_BEGIN_LEVEL

// Tile sizes fill the register file: accumulators, one row of B, one broadcast element of A.
#if TK_SIMD_AVX512
constexpr int kTileRows = 8, kTileVecs = 3;  // 24 + 3 + 1 of 32; eight row pointers still fit the integer registers
constexpr int64_t kBlockK = 192;             // one B panel of 36 KB, which the next level of cache feeds well enough
#elif TK_SIMD_NEON
constexpr int kTileRows = 6, kTileVecs = 4;  // 24 + 4 + 1 of 32
constexpr int64_t kBlockK = 256;
#elif TK_SIMD_AVX2 || TK_SIMD_SSE2
constexpr int kTileRows = 6, kTileVecs = 2;  // 12 + 2 + 1 of 16
constexpr int64_t kBlockK = 256;             // AVX2: one B panel is 16 KB, half of L1
#else
constexpr int kTileRows = 4, kTileVecs = 4;
constexpr int64_t kBlockK = 256;
#endif
constexpr int kTileCols = kTileVecs * kVecWidth;
// Rows of A that stay in L2 while the panels of B pass by: 32 panels x 6 rows x 256 x 4 bytes = 196 KB.
constexpr int64_t kBlockPanels = 32;

// Where a tile's results go: row i starts at c[i] + c_offset; cols columns are written.
struct TileOut {
  float* const* c;
  int64_t c_offset;
  int cols;
  bool accumulate;  // add to what is there
};

// k runs over num_segments segments of `length`; row i of segment s starts at rows[s * table_stride + i] + offset.
struct RowTile {
  const float* const* rows;
  int64_t table_stride;
  int64_t num_segments;
  int64_t offset;
  int64_t length;
  const float* b;
  int64_t b_stride;
};

struct ColumnSegment {
  const float* a;  // k = 0 of this segment, first channel of the group
  int64_t b_row;   // row of B that belongs to it
  int64_t length;
};
// k runs over the segments; row i at step k is a[offset + k * a_stride + i].
struct ColumnTile {
  const ColumnSegment* segments;
  int64_t num_segments;
  int64_t offset;
  int64_t a_stride;
  const float* b;
  int64_t b_stride;
};

using RowKernel = void (*)(const RowTile&, const TileOut&);
using ColumnKernel = void (*)(const ColumnTile&, const TileOut&);
// Indexed by [rows - 1][vectors - 1].
extern const RowKernel kRowKernels[kTileRows][kTileVecs];
extern const ColumnKernel kColumnKernels[kTileRows][kTileVecs];

TK_INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
TK_INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
TK_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
TK_INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

TK_INLINE void run_row_tile(const RowTile& tile, int rows, const TileOut& out) {
  kRowKernels[rows - 1][(out.cols - 1) / kVecWidth](tile, out);
}
TK_INLINE void run_column_tile(const ColumnTile& tile, int rows, const TileOut& out) {
  kColumnKernels[rows - 1][(out.cols - 1) / kVecWidth](tile, out);
}

TK_END_LEVEL
