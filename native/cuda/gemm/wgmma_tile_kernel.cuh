// Products of f16 and bf16 with wgmma whose operands no tensor map describes: loaders find them, 16 bytes at a time
// (MatrixLoad, and those of native/ops/conv/implicit_gemm_cuda.cuh), and cp.async puts them where the 128-byte swizzle wants
// them. Two warpgroups, which fetch and multiply, share a tile of 128 rows. Every chunk of both operands must be aligned and
// whole.
#pragma once
#include "cuda/gemm/tile_kernel.cuh"

namespace tk::cuda {

// kAlongA, kAlongB: whether the operand's lines run along K.
template <int kN_, bool kHalf_, bool kAlongA_, bool kAlongB_>
struct WgmmaTileConfig {
  static constexpr int kM = 128, kN = kN_, kDepth = 64, kThreadCount = 256;
  static constexpr bool kHalf = kHalf_, kAlongA = kAlongA_, kAlongB = kAlongB_;
  static constexpr int kLine = kDepth * 2, kBox = 64 * kLine;  // bytes of a swizzled line, and of 64
  static constexpr int kABytes = kM * kLine, kBBytes = kN * kLine, kStageBytes = kABytes + kBBytes;
  // A step's stage may still be read while the next is multiplied, so two of them are not filled ahead.
  static constexpr int kStages = 5, kAhead = kStages - 2;
  static constexpr int kSumPitch = kN + 4;
  static constexpr int kSharedBytes = kStages * kStageBytes;
  static_assert(kM * kSumPitch * int(sizeof(float)) <= kSharedBytes);
};

// kExtent places of an operand and 64 of K. Along K a place has a line; across, 64 places share a line of each k, and the next
// 64 lie a box further on.
template <int kExtent, bool kAlongK, int kThreadCount, class Load>
__device__ __forceinline__ void fill_swizzled(char* tile, const Load& load, int64_t place0, int64_t k0) {
  constexpr int kChunk = 8, kPerLine = (kAlongK ? 64 : kExtent) / kChunk, kLines = kAlongK ? kExtent : 64;
#pragma unroll
  for (int i = 0; i < kLines * kPerLine / kThreadCount; ++i) {
    const int number = i * kThreadCount + int(threadIdx.x), line = number / kPerLine, chunk = number % kPerLine;
    char* to = tile + chunk / 8 * (64 * 128) + line * 128 + (chunk % 8 ^ (line & 7)) * 16;
    const auto found = kAlongK ? load.chunk(place0 + line, k0 + chunk * kChunk, kChunk)
                               : load.chunk(k0 + line, place0 + chunk * kChunk, kChunk);
    ptx::cp_async16(to, found.from, found.count * 2);
  }
}

// Grid: (tiles, splits).
template <class Config, class LoadA, class LoadB>
__global__ void __launch_bounds__(Config::kThreadCount, 1)
    wgmma_tile_kernel(const TileOutput out, const LoadA a, const LoadB b) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  constexpr int kN = Config::kN, kDepth = Config::kDepth, kStages = Config::kStages, kAhead = Config::kAhead;
  constexpr int kLine = Config::kLine, kBox = Config::kBox;
  DYNAMIC_SMEM(char, stages);
  const int thread = int(threadIdx.x), warpgroup = thread / 128, warp = thread / 32 % 4, lane = thread % 32;
  const TilePlace place = place_tile(blockIdx.x, (out.m + Config::kM - 1) / Config::kM, (out.n + kN - 1) / kN);
  const int64_t row0 = place.row * Config::kM, col0 = place.col * kN;
  const int64_t begin = int64_t(blockIdx.y) * out.k_per_split;
  const int64_t end = begin + out.k_per_split < out.k ? begin + out.k_per_split : out.k;
  const int steps = end > begin ? int((end - begin + kDepth - 1) / kDepth) : 0;
  const auto fill = [&](int step) {
    char* tile = stages + step % kStages * Config::kStageBytes;
    const int64_t k = begin + int64_t(step) * kDepth;
    fill_swizzled<Config::kM, Config::kAlongA, Config::kThreadCount>(tile, a, row0, k);
    fill_swizzled<kN, Config::kAlongB, Config::kThreadCount>(tile + Config::kABytes, b, col0, k);
  };
  for (int step = 0; step < kAhead; ++step) {
    if (step < steps) fill(step);
    ptx::cp_async_commit();
  }
  float sums[kN / 2] = {};
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    ptx::cp_async_wait<kAhead - 1>();
    ptx::fence_proxy_async();  // wgmma reads what this thread has copied
    ptx::wgmma_wait<1>();
    // From here on the copies of this step are everyone's, and nobody reads the stage of the step before the last.
    __syncthreads();
    const char *tile_a = stages + step % kStages * Config::kStageBytes + warpgroup * kBox,
               *tile_b = stages + step % kStages * Config::kStageBytes + Config::kABytes;
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < kDepth / 16; ++k) {
      const uint64_t from_a = ptx::desc_sw128(tile_a + k * (Config::kAlongA ? 32 : 16 * kLine), kBox, 1024);
      const uint64_t from_b = ptx::desc_sw128(tile_b + k * (Config::kAlongB ? 32 : 16 * kLine), kBox, 1024);
      if constexpr (kN == 128) {
        ptx::wgmma_n128<Config::kHalf, !Config::kAlongA, !Config::kAlongB>(sums, from_a, from_b, 1);
      } else {
        ptx::wgmma_n64<Config::kHalf, !Config::kAlongA, !Config::kAlongB>(sums, from_a, from_b, 1);
      }
    }
    ptx::wgmma_commit();
    if (step + kAhead < steps) fill(step + kAhead);
    ptx::cp_async_commit();
  }
  ptx::wgmma_wait<0>();
  ptx::cp_async_wait<0>();
  __syncthreads();
  // Through shared memory, so that the epilogue is one loop over neighbouring columns.
  float* tile = reinterpret_cast<float*>(stages);
#pragma unroll
  for (int i = 0; i < kN / 2; ++i) {
    const int row = warpgroup * 64 + warp * 16 + lane / 4 + i / 2 % 2 * 8, col = i / 4 * 8 + lane % 4 * 2 + i % 2;
    tile[row * Config::kSumPitch + col] = sums[i];
  }
  __syncthreads();
#pragma unroll 1
  for (int i = thread; i < Config::kM * kN; i += Config::kThreadCount) {
    const int row = i / kN, col = i % kN;
    if (row0 + row >= out.m || col0 + col >= out.n) continue;
    const float value = tile[row * Config::kSumPitch + col];
    if (out.splits > 1) {
      out.partial[(int64_t(blockIdx.y) * out.m + row0 + row) * out.n + col0 + col] = value;
    } else {
      const int64_t at = (row0 + row) * out.y_row + col0 + col;
      store_as(out.y_type, out.y, at, finish_sum(out.epilogue, value, col0 + col, at));
    }
  }
#endif
}

// One matrix: no batch.
template <class Config, class LoadA, class LoadB>
void launch_wgmma_tiles(const CudaContext& context, const TileOutput& out, const LoadA& a, const LoadB& b) {
  const auto kernel = wgmma_tile_kernel<Config, LoadA, LoadB>;
  const int64_t tiles = (out.m + Config::kM - 1) / Config::kM * ((out.n + Config::kN - 1) / Config::kN);
  check_cuda(allow_shared(kernel, Config::kSharedBytes), "the shared memory of a product");
  context.launch(kernel, dim3(unsigned(tiles), unsigned(out.splits)), dim3(Config::kThreadCount), Config::kSharedBytes, out, a,
                 b);
  if (out.splits > 1) add_splits(context, out);
}

}  // namespace tk::cuda
