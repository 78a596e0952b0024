// Matrix products on the tensor cores through mma.sync, for every chip from sm_80 on: tiles come into shared memory by
// cp.async, several steps ahead. Operands are found by loaders, so the same kernel serves products of matrices (MatrixLoad) and
// convolution (native/ops/conv/implicit_gemm_cuda.cuh).
#pragma once
#include "cuda/gemm/epilogue.cuh"
#include "cuda/ptx.cuh"

namespace tk::cuda {

// accurate: f32 as three products of TF32 parts, a = high + low, whose sums are added up in f32 after every step, because the
// tensor cores cut off what they add. tf32: one product of rounded operands.
enum class Multiply { accurate, tf32, bf16, f16 };

template <Multiply kMultiply>
struct MultiplyTraits {
  static constexpr bool kHalf = kMultiply == Multiply::bf16 || kMultiply == Multiply::f16;
  using Storage = std::conditional_t<kHalf, uint16_t, float>;
  static constexpr int kDepth = kHalf ? 32 : 16;  // of one step
  static constexpr int kChunk = kHalf ? 8 : 4;    // elements of 16 bytes
};

// One operand's tile in shared memory: lines along K, or across it, as the operand lies in global memory. The pitch puts what a
// warp reads at once into different banks.
template <class Storage, int kExtent, int kDepth, bool kAlongK>
struct TileLayout {
  static constexpr int kLines = kAlongK ? kExtent : kDepth, kLength = kAlongK ? kDepth : kExtent;
  static constexpr int kPitch = kLength + (kAlongK && sizeof(Storage) == 4 ? 4 : 8);
  static constexpr int kElements = kLines * kPitch;
  __device__ static int at(int position, int k) { return kAlongK ? position * kPitch + k : k * kPitch + position; }
};

// Where up to 16 bytes of an operand begin, and how many of their elements exist.
template <class Storage>
struct Chunk {
  const Storage* from;
  int count;
};

// A matrix in memory: lines `pitch` apart.
template <class Storage>
struct MatrixLoad {
  const Storage* data;
  int64_t pitch, batch;
  int64_t lines, length;
  bool vector;  // whether 16-byte copies are aligned

  __device__ MatrixLoad of_batch(int64_t number) const {
    MatrixLoad moved = *this;
    moved.data += number * batch;
    return moved;
  }
  __device__ Chunk<Storage> chunk(int64_t line, int64_t position, int most) const {
    if (line >= lines || position >= length) return {data, 0};
    const int64_t rest = length - position;
    return {data + line * pitch + position, rest < most ? int(rest) : most};
  }
  __device__ Storage element(int64_t line, int64_t position) const {
    return line < lines && position < length ? data[line * pitch + position] : Storage(0);
  }
};

// What a kernel does with its sums: the epilogue, or parts of a sum for the kernel that adds them.
struct TileOutput {
  int64_t m, n, k, batch;
  int64_t k_per_split;
  int splits;
  float* partial;  // [splits, batch, m, n] when splits > 1
  void* y;
  DType y_type;
  int64_t y_row, y_batch;
  GemmEpilogue epilogue;
};

template <class Layout, int kThreadCount, int kChunk, class Storage, class Load>
__device__ __forceinline__ void fill_tile(Storage* tile, const Load& load, int64_t line0, int64_t position0) {
  constexpr int kPerLine = Layout::kLength / kChunk;
#pragma unroll
  for (int i = 0; i < Layout::kLines * kPerLine / kThreadCount; ++i) {
    const int number = i * kThreadCount + int(threadIdx.x), line = number / kPerLine, position = number % kPerLine * kChunk;
    Storage* to = tile + line * Layout::kPitch + position;
    if (load.vector) {
      const Chunk<Storage> chunk = load.chunk(line0 + line, position0 + position, kChunk);
      ptx::cp_async16(to, chunk.from, chunk.count * int(sizeof(Storage)));
    } else {
      for (int e = 0; e < kChunk; ++e) to[e] = load.element(line0 + line, position0 + position + e);
    }
  }
}

// x = high + low in TF32; nothing overflows, and what is not finite has low 0.
struct SplitFloat {
  unsigned high, low;
};
__device__ __forceinline__ bool is_special(unsigned bits) { return (bits & 0x7f800000u) == 0x7f800000u; }
__device__ __forceinline__ SplitFloat split_float(float x) {
  SplitFloat s;
  s.high = ptx::to_tf32(x);
  if (is_special(s.high)) {
    if (x == x) s.high = __float_as_uint(x) & 0xffffe000u;  // rounding may have left the range
    s.low = is_special(s.high) ? 0u : ptx::to_tf32(x - __uint_as_float(s.high));
    return s;
  }
  s.low = ptx::to_tf32(x - __uint_as_float(s.high));
  return s;
}
// In the cross terms infinity times a part that is 0 must not make NaN.
__device__ __forceinline__ unsigned finite_part(unsigned high) { return is_special(high) ? 0u : high; }

// Tile of kM x kN by kWarpsM x kWarpsN warps; kAlongA and kAlongB: whether the operand's lines run along K.
template <int kM_, int kN_, int kWarpsM_, int kWarpsN_, Multiply kMultiply_, bool kAlongA_, bool kAlongB_>
struct TileConfig {
  static constexpr int kM = kM_, kN = kN_, kWarpsM = kWarpsM_, kWarpsN = kWarpsN_, kStages = 4;
  static constexpr Multiply kMultiply = kMultiply_;
  static constexpr bool kAlongA = kAlongA_, kAlongB = kAlongB_;
  using Traits = MultiplyTraits<kMultiply>;
  using Storage = typename Traits::Storage;
  using LayoutA = TileLayout<Storage, kM, Traits::kDepth, kAlongA>;
  using LayoutB = TileLayout<Storage, kN, Traits::kDepth, kAlongB>;
  static constexpr int kThreadCount = kWarpsM * kWarpsN * 32;
  static constexpr int kRowTiles = kM / kWarpsM / 16, kColTiles = kN / kWarpsN / 8;  // of mma, per warp
  static constexpr int kStageElements = LayoutA::kElements + LayoutB::kElements;
  static constexpr int kSumPitch = kN + 4;  // of the sums in shared memory
  static constexpr size_t kStageBytes = size_t(kStages) * kStageElements * sizeof(Storage);
  static constexpr size_t kSumBytes = size_t(kM) * kSumPitch * sizeof(float);
  static constexpr size_t kSharedBytes = kStageBytes > kSumBytes ? kStageBytes : kSumBytes;
};

template <class Config>
struct WarpSums {
  float of[Config::kRowTiles][Config::kColTiles][4];
};

// Adds the products of one step. row0, col0: the warp's corner of the tile.
template <class Config>
__device__ __forceinline__ void multiply_step(const typename Config::Storage* a, const typename Config::Storage* b, int row0,
                                              int col0, WarpSums<Config>& sums) {
  constexpr int kRowTiles = Config::kRowTiles, kColTiles = Config::kColTiles;
  using LayoutA = typename Config::LayoutA;
  using LayoutB = typename Config::LayoutB;
  const int lane = int(threadIdx.x) % 32;
  if constexpr (Config::Traits::kHalf) {
#pragma unroll
    for (int k = 0; k < Config::Traits::kDepth; k += 16) {
      unsigned left[kRowTiles][4], right[kColTiles / 2][4];
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
        const int row = row0 + i * 16;
        if constexpr (Config::kAlongA) {
          ptx::ldmatrix_x4(left[i], a + LayoutA::at(row + lane % 16, k + lane / 16 * 8));
        } else {
          ptx::ldmatrix_x4_trans(left[i], a + LayoutA::at(row + lane / 8 % 2 * 8, k + lane % 8 + lane / 16 * 8));
        }
      }
#pragma unroll
      for (int j = 0; j < kColTiles / 2; ++j) {
        const int col = col0 + j * 16;
        if constexpr (Config::kAlongB) {
          ptx::ldmatrix_x4(right[j], b + LayoutB::at(col + lane % 8 + lane / 16 * 8, k + lane / 8 % 2 * 8));
        } else {
          ptx::ldmatrix_x4_trans(right[j], b + LayoutB::at(col + lane / 16 * 8, k + lane % 16));
        }
      }
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
        for (int j = 0; j < kColTiles; ++j) {
          if constexpr (Config::kMultiply == Multiply::bf16) {
            ptx::mma_bf16(sums.of[i][j], left[i], right[j / 2] + j % 2 * 2);
          } else {
            ptx::mma_f16(sums.of[i][j], left[i], right[j / 2] + j % 2 * 2);
          }
        }
      }
    }
  } else {
    const int group = lane / 4, quad = lane % 4;
#pragma unroll
    for (int k = 0; k < Config::Traits::kDepth; k += 8) {
      if constexpr (Config::kMultiply == Multiply::tf32) {
        unsigned left[kRowTiles][4], right[kColTiles][2];
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            left[i][r] = ptx::to_tf32(a[LayoutA::at(row0 + i * 16 + group + r % 2 * 8, k + quad + r / 2 * 4)]);
          }
        }
#pragma unroll
        for (int j = 0; j < kColTiles; ++j) {
#pragma unroll
          for (int r = 0; r < 2; ++r) right[j][r] = ptx::to_tf32(b[LayoutB::at(col0 + j * 8 + group, k + quad + r * 4)]);
        }
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
          for (int j = 0; j < kColTiles; ++j) ptx::mma_tf32(sums.of[i][j], left[i], right[j]);
        }
      } else {
        unsigned right_high[kColTiles][2], right_low[kColTiles][2];
        bool special = false;
#pragma unroll
        for (int j = 0; j < kColTiles; ++j) {
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            const SplitFloat s = split_float(b[LayoutB::at(col0 + j * 8 + group, k + quad + r * 4)]);
            right_high[j][r] = s.high, right_low[j][r] = s.low;
            special |= is_special(s.high);
          }
        }
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) {
          unsigned high[4], low[4], finite[4];
          bool any_special = special;
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            const SplitFloat s = split_float(a[LayoutA::at(row0 + i * 16 + group + r % 2 * 8, k + quad + r / 2 * 4)]);
            high[r] = s.high, low[r] = s.low, finite[r] = finite_part(s.high);
            any_special |= is_special(s.high);
          }
          if (__any_sync(0xffffffffu, any_special)) {
#pragma unroll
            for (int j = 0; j < kColTiles; ++j) {
              const unsigned right_finite[2] = {finite_part(right_high[j][0]), finite_part(right_high[j][1])};
              ptx::mma_tf32(sums.of[i][j], low, right_finite);
              ptx::mma_tf32(sums.of[i][j], finite, right_low[j]);
              ptx::mma_tf32(sums.of[i][j], high, right_high[j]);
            }
          } else {
#pragma unroll
            for (int j = 0; j < kColTiles; ++j) {
              ptx::mma_tf32(sums.of[i][j], low, right_high[j]);
              ptx::mma_tf32(sums.of[i][j], high, right_low[j]);
              ptx::mma_tf32(sums.of[i][j], high, right_high[j]);
            }
          }
        }
      }
    }
  }
}

// Tile number `tile` of a grid of tiles, in groups of kSuperRow rows so that blocks that run together share operands.
struct TilePlace {
  int64_t row, col;
};
__device__ __forceinline__ TilePlace place_tile(int64_t tile, int64_t row_tiles, int64_t col_tiles) {
  constexpr int64_t kSuperRow = 8;
  const int64_t group = tile / (kSuperRow * col_tiles), first = group * kSuperRow;
  const int64_t rows = row_tiles - first < kSuperRow ? row_tiles - first : kSuperRow, rest = tile - first * col_tiles;
  return {first + rest % rows, rest / rows};
}

// Grid: (tiles, splits, batch).
template <class Config, class LoadA, class LoadB>
__global__ void __launch_bounds__(Config::kThreadCount)
    tile_kernel(const TileOutput out, const LoadA all_a, const LoadB all_b) {
  using Storage = typename Config::Storage;
  using Traits = typename Config::Traits;
  constexpr int kStages = Config::kStages, kDepth = Traits::kDepth;
  DYNAMIC_SMEM(Storage, stages);
  const int warp = int(threadIdx.x) / 32;
  const int64_t batch = blockIdx.z, row_tiles = (out.m + Config::kM - 1) / Config::kM,
                col_tiles = (out.n + Config::kN - 1) / Config::kN;
  const TilePlace place = place_tile(blockIdx.x, row_tiles, col_tiles);
  const int64_t row0 = place.row * Config::kM, col0 = place.col * Config::kN;
  const LoadA a = all_a.of_batch(batch);
  const LoadB b = all_b.of_batch(batch);
  const int64_t begin = int64_t(blockIdx.y) * out.k_per_split;
  const int64_t end = begin + out.k_per_split < out.k ? begin + out.k_per_split : out.k;
  const int64_t steps = end > begin ? (end - begin + kDepth - 1) / kDepth : 0;
  const auto fill = [&](int64_t step) {
    Storage* tile = stages + step % kStages * Config::kStageElements;
    const int64_t k = begin + step * kDepth;
    if constexpr (Config::kAlongA) {
      fill_tile<typename Config::LayoutA, Config::kThreadCount, Traits::kChunk>(tile, a, row0, k);
    } else {
      fill_tile<typename Config::LayoutA, Config::kThreadCount, Traits::kChunk>(tile, a, k, row0);
    }
    tile += Config::LayoutA::kElements;
    if constexpr (Config::kAlongB) {
      fill_tile<typename Config::LayoutB, Config::kThreadCount, Traits::kChunk>(tile, b, col0, k);
    } else {
      fill_tile<typename Config::LayoutB, Config::kThreadCount, Traits::kChunk>(tile, b, k, col0);
    }
  };
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) fill(step);
    ptx::cp_async_commit();
  }
  const int warp_row = warp / Config::kWarpsN * (Config::kM / Config::kWarpsM);
  const int warp_col = warp % Config::kWarpsN * (Config::kN / Config::kWarpsN);
  WarpSums<Config> total = {};
  for (int64_t step = 0; step < steps; ++step) {
    ptx::cp_async_wait<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps) fill(step + kStages - 1);
    ptx::cp_async_commit();
    const Storage* tile = stages + step % kStages * Config::kStageElements;
    if constexpr (Config::kMultiply == Multiply::accurate) {
      WarpSums<Config> sums = {};
      multiply_step<Config>(tile, tile + Config::LayoutA::kElements, warp_row, warp_col, sums);
#pragma unroll
      for (int i = 0; i < Config::kRowTiles; ++i) {
#pragma unroll
        for (int j = 0; j < Config::kColTiles; ++j) {
#pragma unroll
          for (int r = 0; r < 4; ++r) total.of[i][j][r] = total.of[i][j][r] + sums.of[i][j][r];
        }
      }
    } else {
      multiply_step<Config>(tile, tile + Config::LayoutA::kElements, warp_row, warp_col, total);
    }
  }
  ptx::cp_async_wait<0>();
  __syncthreads();
  // Through shared memory, so that the epilogue is one loop over neighbouring columns.
  float* sums = reinterpret_cast<float*>(stages);
  const int lane = int(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < Config::kRowTiles; ++i) {
#pragma unroll
    for (int j = 0; j < Config::kColTiles; ++j) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const int row = warp_row + i * 16 + lane / 4 + r / 2 * 8, col = warp_col + j * 8 + lane % 4 * 2 + r % 2;
        sums[row * Config::kSumPitch + col] = total.of[i][j][r];
      }
    }
  }
  __syncthreads();
#pragma unroll 1
  for (int i = int(threadIdx.x); i < Config::kM * Config::kN; i += Config::kThreadCount) {
    const int row = i / Config::kN, col = i % Config::kN;
    if (row0 + row >= out.m || col0 + col >= out.n) continue;
    const float value = sums[row * Config::kSumPitch + col];
    if (out.splits > 1) {
      out.partial[((int64_t(blockIdx.y) * out.batch + batch) * out.m + row0 + row) * out.n + col0 + col] = value;
    } else {
      const int64_t at = batch * out.y_batch + (row0 + row) * out.y_row + col0 + col;
      store_as(out.y_type, out.y, at, finish_sum(out.epilogue, value, col0 + col, at));
    }
  }
}

// Adds the parts of a split product in rising order.
inline void add_splits(const CudaContext& context, const TileOutput& out) {
  for_each(
      context, out.batch * out.m * out.n,
      [=] __device__(int64_t i) {
        float sum = out.partial[i];
        for (int s = 1; s < out.splits; ++s) sum += out.partial[s * out.batch * out.m * out.n + i];
        const int64_t col = i % out.n, row = i / out.n % out.m;
        const int64_t at = i / (out.m * out.n) * out.y_batch + row * out.y_row + col;
        store_as(out.y_type, out.y, at, finish_sum(out.epilogue, sum, col, at));
      },
      1);
}

template <class Config, class LoadA, class LoadB>
void launch_tiles(const CudaContext& context, const TileOutput& out, const LoadA& a, const LoadB& b) {
  const auto kernel = tile_kernel<Config, LoadA, LoadB>;
  const int64_t tiles = (out.m + Config::kM - 1) / Config::kM * ((out.n + Config::kN - 1) / Config::kN);
  check_cuda(allow_shared(kernel, Config::kSharedBytes), "the shared memory of a product");
  context.launch(kernel, dim3(unsigned(tiles), unsigned(out.splits), unsigned(out.batch)), dim3(Config::kThreadCount),
                 Config::kSharedBytes, out, a, b);
  if (out.splits > 1) add_splits(context, out);
}

}  // namespace tk::cuda
