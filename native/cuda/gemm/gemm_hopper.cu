// Products on Hopper: one warpgroup fetches tiles with the tensor memory accelerator, two multiply with wgmma; blocks stay and
// take tile after tile. Tiles lie in shared memory with the 128-byte swizzle; of f16 and bf16 either way round, so every
// transpose is read where it lies. f32 operands, rounded to TF32 on their way in, must both run along K. Of tiles 256 wide two
// blocks form a cluster: their tiles lie below each other, each fetches one half of what both need of B, and the copy engine
// writes it into both.
#include "cuda/gemm/gemm_tiles.h"

#include "cuda/gemm/tile_kernel.cuh"
#include "cuda/tensor_map.cuh"

namespace tk::cuda {
namespace {

constexpr int kRows = 128, kLine = 128;  // rows of a tile; bytes of a line, the depth of a stage
constexpr int kSlice = 128;              // columns that go through shared memory at once in the epilogue
constexpr int kSlicePitch = kSlice + 4;
constexpr int kBox = 64 * kLine;  // bytes of 64 lines

template <int kN>
struct HopperLayout {
  static constexpr int kCluster = kN == 256 ? 2 : 1;
  static constexpr int kStages = kN == 256 ? 3 : 4;
  static constexpr int kABytes = kRows * kLine, kBBytes = kN * kLine, kStageBytes = kABytes + kBBytes;
  static constexpr int kSliceBytes = 64 * kSlicePitch * 4;  // of one warpgroup
  static constexpr int kBarriersAt = kStages * kStageBytes + 2 * kSliceBytes;
  static constexpr int kSharedBytes = kBarriersAt + 2 * kStages * 8;
};

template <Multiply kMultiply>
constexpr int kDepthOf = kLine / int(sizeof(typename MultiplyTraits<kMultiply>::Storage));

template <int kN, Multiply kMultiply, int kTransA, int kTransB>
__device__ __forceinline__ void multiply_32_bytes(float (&sums)[kN / 2], uint64_t a, uint64_t b, int scale) {
  if constexpr (kMultiply == Multiply::tf32) {
    ptx::wgmma_tf32(sums, a, b, scale);
  } else if constexpr (kN == 256) {
    ptx::wgmma_n256<kMultiply == Multiply::f16, kTransA, kTransB>(sums, a, b, scale);
  } else {
    ptx::wgmma_n128<kMultiply == Multiply::f16, kTransA, kTransB>(sums, a, b, scale);
  }
}

// The tile that a cluster works on: places of its first block's tile, the part of K.
struct HopperTile {
  int64_t row, col, batch, split, begin;
  int steps;
};
template <int kN, int kDepth>
struct HopperTiles {
  const TileOutput& out;
  int64_t row_groups, col_tiles;
  __device__ __forceinline__ explicit HopperTiles(const TileOutput& out)
      : out(out),
        row_groups((out.m + kRows * HopperLayout<kN>::kCluster - 1) / (kRows * HopperLayout<kN>::kCluster)),
        col_tiles((out.n + kN - 1) / kN) {}
  __device__ __forceinline__ int64_t count() const { return row_groups * col_tiles * out.batch * out.splits; }
  __device__ __forceinline__ HopperTile operator[](int64_t number) const {
    const int64_t per_matrix = row_groups * col_tiles, matrix = number / per_matrix;
    const TilePlace place = place_tile(number % per_matrix, row_groups, col_tiles);
    HopperTile tile;
    tile.row = place.row * HopperLayout<kN>::kCluster, tile.col = place.col;
    tile.batch = matrix % out.batch, tile.split = matrix / out.batch;
    tile.begin = tile.split * out.k_per_split;
    const int64_t end = tile.begin + out.k_per_split < out.k ? tile.begin + out.k_per_split : out.k;
    tile.steps = int((end - tile.begin + kDepth - 1) / kDepth);
    return tile;
  }
};

// kTransA: A lies [K][M], else [M][K]; kTransB: B lies [K][N], else [N][K].
template <int kN, Multiply kMultiply, int kTransA, int kTransB>
__global__ void __cluster_dims__(HopperLayout<kN>::kCluster, 1, 1) __launch_bounds__(384, 1)
    hopper_kernel(const __grid_constant__ CUtensorMap map_a, const __grid_constant__ CUtensorMap map_b, const TileOutput out,
                  int batches_a, int batches_b) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using Layout = HopperLayout<kN>;
  constexpr int kStages = Layout::kStages, kCluster = Layout::kCluster, kDepth = kDepthOf<kMultiply>;
  DYNAMIC_SMEM(char, memory);
  uint64_t *full = reinterpret_cast<uint64_t*>(memory + Layout::kBarriersAt), *empty = full + kStages;
  const int thread = int(threadIdx.x), group = thread / 128, rank = kCluster == 1 ? 0 : ptx::cluster_rank();
  const HopperTiles<kN, kDepth> tiles(out);
  const int64_t tile_count = tiles.count(), first_tile = blockIdx.x / kCluster, tile_step = gridDim.x / kCluster;
  if (thread == 0) {
    for (int i = 0; i < kStages; ++i) {
      ptx::mbarrier_init(full + i, 1);
      // A stage is free when both warpgroups of every block that is written into have read it.
      ptx::mbarrier_init(empty + i, 2 * kCluster);
    }
    ptx::fence_barrier_init();
    ptx::fence_proxy_async();
  }
  __syncthreads();
  if constexpr (kCluster > 1) ptx::cluster_sync();
  int stage = 0, parity = 0;
  const auto advance = [&] {
    if (++stage == kStages) stage = 0, parity ^= 1;
  };
  if (group == 0) {
    ptx::setmaxnreg_dec<40>();
    if (thread == 0) {
      for (int64_t number = first_tile; number < tile_count; number += tile_step) {
        const HopperTile tile = tiles[number];
        const int row0 = int(tile.row + rank) * kRows, col0 = int(tile.col) * kN;
        const int za = batches_a == 1 ? 0 : int(tile.batch), zb = batches_b == 1 ? 0 : int(tile.batch);
        for (int step = 0; step < tile.steps; ++step, advance()) {
          char *a = memory + stage * Layout::kStageBytes, *b = a + Layout::kABytes;
          ptx::mbarrier_wait(empty + stage, parity ^ 1);
          ptx::mbarrier_arrive_expect_tx(full + stage, Layout::kStageBytes);
          const int k = int(tile.begin) + step * kDepth;
          if constexpr (kTransA) {
            for (int box = 0; box < kRows / 64; ++box) {
              ptx::tma_load_3d(a + box * kBox, &map_a, row0 + box * 64, k, za, full + stage);
            }
          } else {
            ptx::tma_load_3d(a, &map_a, k, row0, za, full + stage);
          }
          // This block's share of B, for all of the cluster.
          constexpr int kShare = kN / kCluster;
          const int at = rank * kShare;
          if constexpr (kTransB) {
            for (int box = 0; box < kShare / 64; ++box) {
              char* to = b + (at / 64 + box) * kBox;
              if constexpr (kCluster > 1) {
                ptx::tma_load_3d_multicast(to, &map_b, col0 + at + box * 64, k, zb, full + stage, (1 << kCluster) - 1);
              } else {
                ptx::tma_load_3d(to, &map_b, col0 + at + box * 64, k, zb, full + stage);
              }
            }
          } else if constexpr (kCluster > 1) {
            ptx::tma_load_3d_multicast(b + at * kLine, &map_b, k, col0 + at, zb, full + stage, (1 << kCluster) - 1);
          } else {
            ptx::tma_load_3d(b, &map_b, k, col0, zb, full + stage);
          }
        }
      }
    }
  } else {
    ptx::setmaxnreg_inc<232>();
    const int consumer = group - 1, lane = thread % 32, warp = thread / 32 % 4;
    const auto release = [&](int free) {
      if (thread % 128 != 0) return;
      if constexpr (kCluster > 1) {
        for (int block = 0; block < kCluster; ++block) ptx::mbarrier_arrive_cluster(empty + free, block);
      } else {
        ptx::mbarrier_arrive(empty + free);
      }
    };
    float* slice = reinterpret_cast<float*>(memory + kStages * Layout::kStageBytes + consumer * Layout::kSliceBytes);
    float sums[kN / 2];
    for (int64_t number = first_tile; number < tile_count; number += tile_step) {
      const HopperTile tile = tiles[number];
      int before = 0;
      for (int step = 0; step < tile.steps; ++step) {
        const char *a = memory + stage * Layout::kStageBytes + consumer * kBox,
                   *b = memory + stage * Layout::kStageBytes + Layout::kABytes;
        ptx::mbarrier_wait(full + stage, parity);
        ptx::wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          // Along K the next 32 bytes inside the swizzled line; across, the next 16 lines.
          const uint64_t from_a = ptx::desc_sw128(a + k * (kTransA ? 16 * kLine : 32), kBox, 1024);
          const uint64_t from_b = ptx::desc_sw128(b + k * (kTransB ? 16 * kLine : 32), kBox, 1024);
          multiply_32_bytes<kN, kMultiply, kTransA, kTransB>(sums, from_a, from_b, step > 0 || k > 0);
        }
        ptx::wgmma_commit();
        // The products of the step before are done: its stage can be filled again while this one is multiplied.
        ptx::wgmma_wait<1>();
        if (step > 0) release(before);
        before = stage;
        advance();
      }
      ptx::wgmma_wait<0>();
      release(before);
      const int64_t row0 = (tile.row + rank) * kRows + consumer * 64, col0 = tile.col * kN;
#pragma unroll
      for (int part = 0; part < kN / kSlice; ++part) {
        ptx::bar_sync(1 + consumer, 128);
#pragma unroll
        for (int i = 0; i < kSlice / 2; ++i) {
          const int row = warp * 16 + lane / 4 + i / 2 % 2 * 8, col = i / 4 * 8 + lane % 4 * 2 + i % 2;
          slice[row * kSlicePitch + col] = sums[part * (kSlice / 2) + i];
        }
        ptx::bar_sync(1 + consumer, 128);
#pragma unroll 1
        for (int i = thread % 128; i < 64 * kSlice; i += 128) {
          const int64_t row = row0 + i / kSlice, col = col0 + part * kSlice + i % kSlice;
          if (row >= out.m || col >= out.n) continue;
          const float value = slice[i / kSlice * kSlicePitch + i % kSlice];
          if (out.splits > 1) {
            out.partial[((tile.split * out.batch + tile.batch) * out.m + row) * out.n + col] = value;
          } else {
            const int64_t at = tile.batch * out.y_batch + row * out.y_row + col;
            store_as(out.y_type, out.y, at, finish_sum(out.epilogue, value, col, at));
          }
        }
      }
    }
  }
  // No block may end while another can still write into it.
  if constexpr (kCluster > 1) ptx::cluster_sync();
#endif
}

// The operand as [batches][lines][length] with boxes of 128 bytes by `box_lines` lines.
CUtensorMap tensor_map(const void* data, DType type, int64_t length, int64_t lines, int64_t pitch, int64_t batches,
                       int64_t batch_stride, int box_lines) {
  const int64_t bytes = dtype_bytes(type);
  return swizzled_tensor_map<3>(data, type, {cuuint64_t(length), cuuint64_t(lines), cuuint64_t(batches)},
                                {cuuint64_t(pitch * bytes), cuuint64_t((batches == 1 ? pitch * lines : batch_stride) * bytes)},
                                {cuuint32_t(kLine / bytes), cuuint32_t(box_lines), 1});
}

template <int kN, Multiply kMultiply, int kTransA, int kTransB>
void launch_hopper(const CudaContext& context, const Gemm& p, const TileOutput& out) {
  using Layout = HopperLayout<kN>;
  constexpr int kDepth = kDepthOf<kMultiply>, kCluster = Layout::kCluster;
  const int batches_a = p.a.batch == 0 ? 1 : int(p.batch), batches_b = p.b.batch == 0 ? 1 : int(p.batch);
  const CUtensorMap a = kTransA ? tensor_map(p.a.data, p.type, p.m, p.k, p.a.col, batches_a, p.a.batch, kDepth)
                                : tensor_map(p.a.data, p.type, p.k, p.m, p.a.row, batches_a, p.a.batch, kRows);
  const CUtensorMap b = kTransB ? tensor_map(p.b.data, p.type, p.n, p.k, p.b.row, batches_b, p.b.batch, kDepth)
                                : tensor_map(p.b.data, p.type, p.k, p.n, p.b.col, batches_b, p.b.batch, kN / kCluster);
  const auto kernel = hopper_kernel<kN, kMultiply, kTransA, kTransB>;
  check_cuda(allow_shared(kernel, Layout::kSharedBytes), "the shared memory of a product");
  declare_cluster(kernel, kCluster);
  const int64_t groups = (p.m + kRows * kCluster - 1) / (kRows * kCluster) * ((p.n + kN - 1) / kN) * p.batch * out.splits;
  const int64_t most = context.multiprocessors() / kCluster;
  context.launch(kernel, dim3(unsigned((groups < most ? groups : most) * kCluster)), dim3(384), Layout::kSharedBytes, a, b, out,
                 batches_a, batches_b);
  if (out.splits > 1) add_splits(context, out);
}

template <int kN, Multiply kMultiply>
void launch_transposes(const CudaContext& context, const Gemm& p, const TileOutput& out) {
  const bool trans_a = p.a.col != 1, trans_b = p.b.col == 1;
  if (trans_a)
    return trans_b ? launch_hopper<kN, kMultiply, 1, 1>(context, p, out) : launch_hopper<kN, kMultiply, 1, 0>(context, p, out);
  return trans_b ? launch_hopper<kN, kMultiply, 0, 1>(context, p, out) : launch_hopper<kN, kMultiply, 0, 0>(context, p, out);
}

template <int kN>
void launch_type(const CudaContext& context, const Gemm& p, const TileOutput& out) {
  if (p.type == DType::f32) return launch_hopper<kN, Multiply::tf32, 0, 0>(context, p, out);
  if (p.type == DType::f16) return launch_transposes<kN, Multiply::f16>(context, p, out);
  launch_transposes<kN, Multiply::bf16>(context, p, out);
}

}  // namespace

void run_hopper(const CudaContext& context, const Gemm& p, const TileOutput& out, GemmKernel kernel) {
  kernel == GemmKernel::hopper_256 ? launch_type<256>(context, p, out) : launch_type<128>(context, p, out);
}

}  // namespace tk::cuda
