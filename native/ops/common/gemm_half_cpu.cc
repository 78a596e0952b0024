#include "ops/common/gemm_half.h"

#include "cpu/cpu_info.h"
#include "ops/common/gemm_pack.h"

// The instruction is beyond what the AVX-512 level is compiled for, so its kernels alone are compiled for it.
#if TK_SIMD_AVX512 && defined(__GNUC__)
#define TK_HAS_BF16_KERNELS 1
#define TK_BF16_TARGET __attribute__((target("avx512bf16")))
#else
#define TK_HAS_BF16_KERNELS 0
#endif

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kHalfK = 256;                                               // of k at a time; even
constexpr int64_t kHalfPanels = 16;                                           // row panels of the largest piece
constexpr int64_t kHalfCols = (256 + kTileCols - 1) / kTileCols * kTileCols;  // columns of the largest piece
constexpr int64_t kHalfPieces = 16;  // pieces worth having, whatever the number of threads

// C is cut into pieces of rows x cols; a thread packs for itself what its piece needs.
struct Pieces {
  int64_t rows, cols, down, across;
};

Pieces cut_pieces(const HalfGemm& p) {
  int64_t panels = min64(kHalfPanels, ceil_div(p.m, kTileRows)), cols = min64(kHalfCols, round_up(p.n, kTileCols));
  const auto count = [&] { return p.batch * ceil_div(p.m, panels * kTileRows) * ceil_div(p.n, cols); };
  // Smaller pieces are packed more often for the same work.
  while (count() < kHalfPieces && panels > 4) panels = ceil_div(panels, 2);
  while (count() < kHalfPieces && cols > 2 * kTileCols) cols = round_up(ceil_div(cols, 2), kTileCols);
  return {panels * kTileRows, cols, ceil_div(p.m, panels * kTileRows), ceil_div(p.n, cols)};
}

// Parts of a thread's scratch memory, in floats.
struct Scratch {
  int64_t a, b, c, wide;

  explicit Scratch(const Pieces& pieces)
      : a(round_up(pieces.rows * kHalfK + kPackSlack, 16)),
        b(round_up(pieces.cols * kHalfK + kPackSlack, 16)),
        c(round_up(pieces.rows * pieces.cols, 16)),
        wide(round_up(max64(kTileRows, kTileCols) * kHalfK, 16)) {}
  int64_t total() const { return a + b + c + wide; }
};

// ---- f32 panels

// Rows of a panel are neighbours in memory: dst[k * width + i] = src[k * stride + i], zero from `count` to `width`.
void widen_neighbours(DType type, const uint16_t* src, int64_t stride, int64_t count, int64_t width, int64_t length,
                      float* dst) {
  for (int64_t k = 0; k < length; ++k, src += stride, dst += width) {
    widen_run(type, src, dst, count);
    for (int64_t i = count; i < width; ++i) dst[i] = 0.0f;
  }
}
// Each row of a panel is a run in memory, `stride` apart: wide[i * length + k] = src[i * stride + k].
void widen_rows(DType type, const uint16_t* src, int64_t stride, int64_t count, int64_t length, float* wide) {
  for (int64_t i = 0; i < count; ++i) widen_run(type, src + i * stride, wide + i * length, length);
}

void widen_a_panel(const HalfGemm& p, const uint16_t* src, int rows, int64_t length, float* wide, float* dst) {
  if (p.a.row == 1) return widen_neighbours(p.type, src, p.a.col, rows, kTileRows, length, dst);
  widen_rows(p.type, src, p.a.row, rows, length, wide);
  pack_a_panel({wide, length, 1}, 0, rows, 0, length, dst);
}
void widen_b_panel(const HalfGemm& p, const uint16_t* src, int cols, int64_t length, float* wide, float* dst) {
  if (p.b.col == 1) return widen_neighbours(p.type, src, p.b.row, cols, round_up(cols, kVecWidth), length, dst);
  widen_rows(p.type, src, p.b.col, cols, length, wide);
  pack_b_panel({wide, 1, length}, 0, length, 0, cols, dst);
}

void widened_tile(const float* a, const float* b, int64_t length, int rows, int cols, float* const* c, bool accumulate) {
  const ColumnSegment segment = {a, 0, length};
  run_column_tile({&segment, 1, 0, kTileRows, b, cols}, rows, {c, 0, cols, accumulate});
}

// ---- panels of bf16 pairs

TK_INLINE uint32_t pair_of(uint16_t low, uint16_t high) { return uint32_t(low) | uint32_t(high) << 16; }

// dst[pair * width + i] = the pair of k = 2 pair and 2 pair + 1 of row i; zeros beyond `count` and beyond `length`.
void pack_pairs(const uint16_t* src, int64_t row_stride, int64_t k_stride, int64_t count, int64_t width, int64_t length,
                uint32_t* dst) {
  for (int64_t k = 0; k < length; k += 2, dst += width) {
    const uint16_t *low = src + k * k_stride, *high = low + k_stride;
    if (k + 1 == length) {
      for (int64_t i = 0; i < count; ++i) dst[i] = low[i * row_stride];
    } else if (row_stride == 1) {
      for (int64_t i = 0; i < count; ++i) dst[i] = pair_of(low[i], high[i]);
    } else {
      for (int64_t i = 0; i < count; ++i) dst[i] = pair_of(low[i * row_stride], high[i * row_stride]);
    }
    for (int64_t i = count; i < width; ++i) dst[i] = 0;
  }
}

// What VDPBF16PS does in each lane: two fused multiply-adds, the pair's upper half first.
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, VDPBF16PS.
TK_INLINE VecF add_pairs_emulated(VecF sum, uint32_t a, const uint32_t* b) {
  float lanes[kVecWidth];
  store(lanes, sum);
  for (int i = 0; i < kVecWidth; ++i) {
    lanes[i] = ::fmaf(bits_float(a & 0xffff0000u), bits_float(b[i] & 0xffff0000u), lanes[i]);
    lanes[i] = ::fmaf(bits_float(a << 16), bits_float(b[i] << 16), lanes[i]);
  }
  return load(lanes);
}
#if TK_HAS_BF16_KERNELS
__attribute__((always_inline)) TK_BF16_TARGET inline VecF add_pairs_native(VecF sum, uint32_t a, const uint32_t* b) {
  return VecF{_mm512_dpbf16_ps(sum.v, (__m512bh)_mm512_set1_epi32(int(a)), (__m512bh)_mm512_loadu_si512(b))};
}
#endif

// One text for both: GCC inlines the instruction only into functions that are themselves compiled for it.
#define TK_PAIR_KERNEL(name, attribute, add_pairs)                                                             \
  template <int Rows, int Vecs>                                                                                \
  attribute void name(const PairTile& tile) {                                                                  \
    VecF sums[Rows][Vecs];                                                                                     \
    TK_UNROLL for (int i = 0; i < Rows; ++i) { TK_UNROLL for (int j = 0; j < Vecs; ++j) sums[i][j] = zero(); } \
    const uint32_t *a = tile.a, *b = tile.b;                                                                   \
    for (int64_t pair = 0; pair < tile.pairs; ++pair, a += kTileRows, b += tile.b_stride) {                    \
      TK_UNROLL for (int i = 0; i < Rows; ++i) {                                                               \
        TK_UNROLL for (int j = 0; j < Vecs; ++j) sums[i][j] = add_pairs(sums[i][j], a[i], b + j * kVecWidth);  \
      }                                                                                                        \
    }                                                                                                          \
    TK_UNROLL for (int i = 0; i < Rows; ++i) {                                                                 \
      TK_UNROLL for (int j = 0; j < Vecs; ++j) {                                                               \
        float* c = tile.c + i * tile.c_stride + j * kVecWidth;                                                 \
        store(c, tile.accumulate ? load(c) + sums[i][j] : sums[i][j]);                                         \
      }                                                                                                        \
    }                                                                                                          \
  }
TK_PAIR_KERNEL(pair_kernel_emulated, , add_pairs_emulated)
#if TK_HAS_BF16_KERNELS
TK_PAIR_KERNEL(pair_kernel_native, TK_BF16_TARGET, add_pairs_native)
#endif
#undef TK_PAIR_KERNEL

// Indexed by [rows - 1][vectors - 1]. The emulation computes all rows of a tile: panels are filled up with zeros.
template <int Vecs>
PairKernel emulated_kernel(int vecs) {
  if constexpr (Vecs > 1) {
    if (vecs < Vecs) return emulated_kernel<Vecs - 1>(vecs);
  }
  return pair_kernel_emulated<kTileRows, Vecs>;
}
#if TK_HAS_BF16_KERNELS
#define TK_PAIR_ROW(rows) \
  { pair_kernel_native<rows, 1>, pair_kernel_native<rows, 2>, pair_kernel_native<rows, 3> }
constexpr PairKernel kNativePairKernels[kTileRows][kTileVecs] = {TK_PAIR_ROW(1), TK_PAIR_ROW(2), TK_PAIR_ROW(3),
                                                                 TK_PAIR_ROW(4), TK_PAIR_ROW(5), TK_PAIR_ROW(6),
                                                                 TK_PAIR_ROW(7), TK_PAIR_ROW(8)};
#undef TK_PAIR_ROW
#endif

PairKernel pair_kernel([[maybe_unused]] int rows, int vecs) {
#if TK_HAS_BF16_KERNELS
  if (bf16_products() == Bf16Products::native) return kNativePairKernels[rows - 1][vecs - 1];
#endif
  return emulated_kernel<kTileVecs>(vecs);
}

bool multiplies_pairs(DType type) {
  if (type != DType::bf16) return false;
  return bf16_products() == Bf16Products::emulated || (TK_HAS_BF16_KERNELS && bf16_products() == Bf16Products::native);
}

// ---- one piece of C

void half_piece(const HalfGemm& p, const Pieces& pieces, int64_t unit, float* scratch) {
  const int64_t batch = unit / (pieces.down * pieces.across);
  const int64_t m0 = unit / pieces.across % pieces.down * pieces.rows, n0 = unit % pieces.across * pieces.cols;
  const int64_t m = min64(pieces.rows, p.m - m0), n = min64(pieces.cols, p.n - n0);
  const uint16_t* a = p.a.data + batch * p.a_batch + m0 * p.a.row;
  const uint16_t* b = p.b.data + batch * p.b_batch + n0 * p.b.col;
  const Scratch parts(pieces);
  float *a_panels = scratch, *b_panels = a_panels + parts.a, *c = b_panels + parts.b, *wide = c + parts.c;
  const bool pairs = multiplies_pairs(p.type);
  for (int64_t k0 = 0; k0 < p.k; k0 += kHalfK) {
    const int64_t length = min64(kHalfK, p.k - k0), depth = pairs ? ceil_div(length, 2) : length;
    // Panels of either form have words of 4 bytes; panel i starts at i * width * depth.
    for (int64_t i = 0; i < m; i += kTileRows) {
      const int rows = int(min64(kTileRows, m - i));
      const uint16_t* src = a + i * p.a.row + k0 * p.a.col;
      float* dst = a_panels + i * depth;
      if (pairs) {
        pack_pairs(src, p.a.row, p.a.col, rows, kTileRows, length, reinterpret_cast<uint32_t*>(dst));
      } else {
        widen_a_panel(p, src, rows, length, wide, dst);
      }
    }
    for (int64_t j = 0; j < n; j += kTileCols) {
      const int cols = int(min64(kTileCols, n - j)), width = int(round_up(cols, kVecWidth));
      const uint16_t* src = b + j * p.b.col + k0 * p.b.row;
      float* dst = b_panels + j * depth;
      if (pairs) {
        pack_pairs(src, p.b.col, p.b.row, cols, width, length, reinterpret_cast<uint32_t*>(dst));
      } else {
        widen_b_panel(p, src, cols, length, wide, dst);
      }
      for (int64_t i = 0; i < m; i += kTileRows) {
        const int rows = int(min64(kTileRows, m - i));
        float *panel = a_panels + i * depth, *out = c + i * pieces.cols + j;
        if (pairs) {
          const PairTile tile = {reinterpret_cast<const uint32_t*>(panel),
                                 reinterpret_cast<const uint32_t*>(dst),
                                 width,
                                 depth,
                                 out,
                                 pieces.cols,
                                 k0 > 0};
          pair_kernel(rows, width / kVecWidth)(tile);
          continue;
        }
        float* c_rows[kTileRows];
        for (int r = 0; r < rows; ++r) c_rows[r] = out + r * pieces.cols;
        widened_tile(panel, dst, length, rows, width, c_rows, k0 > 0);
      }
    }
  }
  if (p.k == 0) std::memset(c, 0, size_t(m * pieces.cols) * sizeof(float));
  for (int64_t i = 0; i < m; ++i) p.finish(p.self, batch, m0 + i, n0, n, c + i * pieces.cols);
}

}  // namespace

int64_t half_gemm_workspace(const HalfGemm& product, int num_threads) {
  if (product.batch * product.m * product.n == 0) return 0;
  return num_threads * Scratch(cut_pieces(product)).total() * int64_t(sizeof(float));
}

void half_gemm(const HalfGemm& product, void* workspace, CpuContext& context) {
  if (product.batch * product.m * product.n == 0) return;
  const Pieces pieces = cut_pieces(product);
  const int64_t floats = Scratch(pieces).total();
  context.parallel_for(product.batch * pieces.down * pieces.across, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t unit = begin; unit < end; ++unit) {
      half_piece(product, pieces, unit, static_cast<float*>(workspace) + thread * floats);
    }
  });
}

TK_END_LEVEL
