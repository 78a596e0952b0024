#include "ops/common/gemm_kernel.h"

// Several steps of k per turn: the end of a short loop is a branch that is guessed wrong.
#if defined(__GNUC__)
#define TK_UNROLL_K _Pragma("GCC unroll 4")
#else
#define TK_UNROLL_K
#endif

TK_BEGIN_LEVEL
namespace {

// Fetches the tile of C while k runs: otherwise each store waits for its line when C is larger than the caches.
template <int Rows, int Vecs>
TK_INLINE void prefetch_tile([[maybe_unused]] const TileOut& out) {
#if defined(__GNUC__)
  constexpr int kLine = 16;  // floats
  TK_UNROLL for (int i = 0; i < Rows; ++i) {
    for (int j = 0; j < Vecs * kVecWidth; j += kLine) __builtin_prefetch(out.c[i] + out.c_offset + j, 1);
  }
#endif
}

template <int Rows, int Vecs>
struct Accumulators {
  VecF v[Rows][Vecs];

  TK_INLINE void clear() {
    TK_UNROLL for (int i = 0; i < Rows; ++i) { TK_UNROLL for (int j = 0; j < Vecs; ++j) v[i][j] = zero(); }
  }

  // Adds the outer product of one column of A and one row of B; element(i) is A's element in row i.
  template <class Element>
  TK_INLINE void step(const Element& element, const float* b) {
    VecF row[Vecs];
    TK_UNROLL for (int j = 0; j < Vecs; ++j) row[j] = load(b + j * kVecWidth);
    TK_UNROLL for (int i = 0; i < Rows; ++i) {
      const VecF a = set1(element(i));
      TK_UNROLL for (int j = 0; j < Vecs; ++j) v[i][j] = fmadd(a, row[j], v[i][j]);
    }
  }

  TK_INLINE void write(const TileOut& out) {
    if (out.cols == Vecs * kVecWidth) {
      TK_UNROLL for (int i = 0; i < Rows; ++i) {
        float* c = out.c[i] + out.c_offset;
        if (out.accumulate) {
          TK_UNROLL for (int j = 0; j < Vecs; ++j) v[i][j] = load(c + j * kVecWidth) + v[i][j];
        }
        TK_UNROLL for (int j = 0; j < Vecs; ++j) store(c + j * kVecWidth, v[i][j]);
      }
      return;
    }
    // Through memory: indexing registers by a variable would push the accumulators onto the stack in the loop above too.
    float tile[Rows][Vecs * kVecWidth];
    TK_UNROLL for (int i = 0; i < Rows; ++i) {
      TK_UNROLL for (int j = 0; j < Vecs; ++j) store(tile[i] + j * kVecWidth, v[i][j]);
    }
    for (int i = 0; i < Rows; ++i) {
      float* c = out.c[i] + out.c_offset;
      for (int j = 0; j < out.cols; ++j) c[j] = out.accumulate ? c[j] + tile[i][j] : tile[i][j];
    }
  }
};

template <int Rows, int Vecs>
void row_kernel(const RowTile& tile, const TileOut& out) {
  Accumulators<Rows, Vecs> acc;
  acc.clear();
  prefetch_tile<Rows, Vecs>(out);
  const float* b = tile.b;
  const int64_t length = tile.length, b_stride = tile.b_stride;
  for (int64_t s = 0; s < tile.num_segments; ++s) {
    const float* a[Rows];
    TK_UNROLL for (int i = 0; i < Rows; ++i) a[i] = tile.rows[s * tile.table_stride + i] + tile.offset;
    TK_UNROLL_K
    for (int64_t k = 0; k < length; ++k, b += b_stride) acc.step([&](int i) { return a[i][k]; }, b);
  }
  acc.write(out);
}

template <int Rows, int Vecs>
void column_kernel(const ColumnTile& tile, const TileOut& out) {
  Accumulators<Rows, Vecs> acc;
  acc.clear();
  prefetch_tile<Rows, Vecs>(out);
  const int64_t a_stride = tile.a_stride, b_stride = tile.b_stride;
  for (int64_t s = 0; s < tile.num_segments; ++s) {
    const ColumnSegment& segment = tile.segments[s];
    const float* a = segment.a + tile.offset;
    const float* b = tile.b + segment.b_row * b_stride;
    const int64_t length = segment.length;
    TK_UNROLL_K
    for (int64_t k = 0; k < length; ++k, a += a_stride, b += b_stride) {
      acc.step([&](int i) { return a[i]; }, b);
    }
  }
  acc.write(out);
}

}  // namespace

#if TK_SIMD_AVX512
#define TK_KERNEL_ROW(kernel, rows) \
  { kernel<rows, 1>, kernel<rows, 2>, kernel<rows, 3> }
#elif TK_SIMD_AVX2 || TK_SIMD_SSE2
#define TK_KERNEL_ROW(kernel, rows) \
  { kernel<rows, 1>, kernel<rows, 2> }
#else
#define TK_KERNEL_ROW(kernel, rows) \
  { kernel<rows, 1>, kernel<rows, 2>, kernel<rows, 3>, kernel<rows, 4> }
#endif
#if TK_SIMD_AVX512
#define TK_KERNEL_TABLE(kernel)                                                                                \
  {                                                                                                            \
    TK_KERNEL_ROW(kernel, 1), TK_KERNEL_ROW(kernel, 2), TK_KERNEL_ROW(kernel, 3), TK_KERNEL_ROW(kernel, 4),    \
        TK_KERNEL_ROW(kernel, 5), TK_KERNEL_ROW(kernel, 6), TK_KERNEL_ROW(kernel, 7), TK_KERNEL_ROW(kernel, 8) \
  }
#elif TK_SIMD_SCALAR
#define TK_KERNEL_TABLE(kernel) \
  { TK_KERNEL_ROW(kernel, 1), TK_KERNEL_ROW(kernel, 2), TK_KERNEL_ROW(kernel, 3), TK_KERNEL_ROW(kernel, 4) }
#else
#define TK_KERNEL_TABLE(kernel)                                                                             \
  {                                                                                                         \
    TK_KERNEL_ROW(kernel, 1), TK_KERNEL_ROW(kernel, 2), TK_KERNEL_ROW(kernel, 3), TK_KERNEL_ROW(kernel, 4), \
        TK_KERNEL_ROW(kernel, 5), TK_KERNEL_ROW(kernel, 6)                                                  \
  }
#endif

const RowKernel kRowKernels[kTileRows][kTileVecs] = TK_KERNEL_TABLE(row_kernel);
const ColumnKernel kColumnKernels[kTileRows][kTileVecs] = TK_KERNEL_TABLE(column_kernel);

TK_END_LEVEL
