// f16 and bf16 products on Hopper: one warpgroup fetches tiles with the tensor memory accelerator, two multiply with wgmma;
// blocks stay and take tile after tile. Tiles lie in shared memory with the 128-byte swizzle, either way round, so every
// transpose is read where it lies.
#include "cuda/gemm/gemm_tiles.h"

#include "cuda/gemm/tile_kernel.cuh"

namespace tk::cuda {
namespace {

constexpr int kRows = 128, kDepth = 64, kLine = 128;  // tile rows, depth of a stage, bytes of a line of 64 elements
constexpr int kSlice = 128;                           // columns that go through shared memory at once in the epilogue
constexpr int kSlicePitch = kSlice + 4;
constexpr int kBox = 64 * kLine;  // bytes of 64 lines

template <int kN>
struct HopperLayout {
  static constexpr int kStages = kN == 256 ? 3 : 4;
  static constexpr int kABytes = kRows * kDepth * 2, kBBytes = kN * kDepth * 2, kStageBytes = kABytes + kBBytes;
  static constexpr int kSliceBytes = 64 * kSlicePitch * 4;  // of one warpgroup
  static constexpr int kBarriersAt = kStages * kStageBytes + 2 * kSliceBytes;
  static constexpr int kSharedBytes = kBarriersAt + 2 * kStages * 8;
};

template <int kN, bool kHalf, int kTransA, int kTransB>
__device__ __forceinline__ void multiply_16(float (&sums)[kN / 2], uint64_t a, uint64_t b, int scale) {
  if constexpr (kN == 256) {
    ptx::wgmma_n256<kHalf, kTransA, kTransB>(sums, a, b, scale);
  } else {
    ptx::wgmma_n128<kHalf, kTransA, kTransB>(sums, a, b, scale);
  }
}

// kTransA: A lies [K][M], else [M][K]; kTransB: B lies [K][N], else [N][K].
template <int kN, bool kHalf, int kTransA, int kTransB>
__global__ void __launch_bounds__(384, 1)
    hopper_kernel(const __grid_constant__ CUtensorMap map_a, const __grid_constant__ CUtensorMap map_b, const TileOutput out,
                  int batches_a, int batches_b) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using Layout = HopperLayout<kN>;
  constexpr int kStages = Layout::kStages;
  DYNAMIC_SMEM(char, memory);
  uint64_t *full = reinterpret_cast<uint64_t*>(memory + Layout::kBarriersAt), *empty = full + kStages;
  const int thread = int(threadIdx.x), group = thread / 128;
  const int64_t row_tiles = (out.m + kRows - 1) / kRows, col_tiles = (out.n + kN - 1) / kN;
  const int64_t tiles = row_tiles * col_tiles * out.batch;
  const int steps = int((out.k + kDepth - 1) / kDepth);
  if (thread == 0) {
    for (int i = 0; i < kStages; ++i) {
      ptx::mbarrier_init(full + i, 1);
      ptx::mbarrier_init(empty + i, 2);
    }
    ptx::fence_barrier_init();
    ptx::fence_proxy_async();
  }
  __syncthreads();
  int stage = 0, parity = 0;
  const auto advance = [&] {
    if (++stage == kStages) stage = 0, parity ^= 1;
  };
  if (group == 0) {
    ptx::setmaxnreg_dec<40>();
    if (thread != 0) return;
    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      const int64_t batch = tile / (row_tiles * col_tiles);
      const TilePlace place = place_tile(tile % (row_tiles * col_tiles), row_tiles, col_tiles);
      const int row0 = int(place.row) * kRows, col0 = int(place.col) * kN;
      const int za = batches_a == 1 ? 0 : int(batch), zb = batches_b == 1 ? 0 : int(batch);
      for (int step = 0; step < steps; ++step, advance()) {
        char *a = memory + stage * Layout::kStageBytes, *b = a + Layout::kABytes;
        ptx::mbarrier_wait(empty + stage, parity ^ 1);
        ptx::mbarrier_arrive_expect_tx(full + stage, Layout::kStageBytes);
        const int k = step * kDepth;
        if constexpr (kTransA) {
          for (int box = 0; box < kRows / 64; ++box) {
            ptx::tma_load_3d(a + box * kBox, &map_a, row0 + box * 64, k, za, full + stage);
          }
        } else {
          ptx::tma_load_3d(a, &map_a, k, row0, za, full + stage);
        }
        if constexpr (kTransB) {
          for (int box = 0; box < kN / 64; ++box) {
            ptx::tma_load_3d(b + box * kBox, &map_b, col0 + box * 64, k, zb, full + stage);
          }
        } else {
          ptx::tma_load_3d(b, &map_b, k, col0, zb, full + stage);
        }
      }
    }
    return;
  }
  ptx::setmaxnreg_inc<232>();
  const int consumer = group - 1, lane = thread % 32, warp = thread / 32 % 4;
  float* slice = reinterpret_cast<float*>(memory + kStages * Layout::kStageBytes + consumer * Layout::kSliceBytes);
  float sums[kN / 2];
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    int before = 0;
    for (int step = 0; step < steps; ++step) {
      const char *a = memory + stage * Layout::kStageBytes + consumer * kBox,
                 *b = memory + stage * Layout::kStageBytes + Layout::kABytes;
      ptx::mbarrier_wait(full + stage, parity);
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < kDepth / 16; ++k) {
        // Along K 16 elements are 32 bytes further inside the swizzled line; across, 16 lines of 128 bytes.
        const uint64_t from_a = ptx::desc_sw128(a + k * (kTransA ? 16 * kLine : 32), kBox, 1024);
        const uint64_t from_b = ptx::desc_sw128(b + k * (kTransB ? 16 * kLine : 32), kBox, 1024);
        multiply_16<kN, kHalf, kTransA, kTransB>(sums, from_a, from_b, step > 0 || k > 0);
      }
      ptx::wgmma_commit();
      // The products of the step before are done: its stage can be filled again while this one is multiplied.
      ptx::wgmma_wait<1>();
      if (step > 0 && thread % 128 == 0) ptx::mbarrier_arrive(empty + before);
      before = stage;
      advance();
    }
    ptx::wgmma_wait<0>();
    if (thread % 128 == 0) ptx::mbarrier_arrive(empty + before);
    const int64_t batch = tile / (row_tiles * col_tiles);
    const TilePlace place = place_tile(tile % (row_tiles * col_tiles), row_tiles, col_tiles);
    const int64_t row0 = place.row * kRows + consumer * 64, col0 = place.col * kN;
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
        const int64_t at = batch * out.y_batch + row * out.y_row + col;
        store_as(out.y_type, out.y, at, finish_sum(out.epilogue, slice[i / kSlice * kSlicePitch + i % kSlice], col, at));
      }
    }
  }
#endif
}

using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*,
                            const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                            CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

Encode tensor_map_encoder() {
  static const Encode encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result;
    check_cuda(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result),
               "cudaGetDriverEntryPointByVersion");
    if (found == nullptr) throw CudaFailure{cudaErrorNotSupported, "cuTensorMapEncodeTiled"};
    return reinterpret_cast<Encode>(found);
  }();
  return encode;
}

// The operand as [batches][lines][length] with boxes of 64 elements by `box_lines` lines.
CUtensorMap tensor_map(const void* data, DType type, int64_t length, int64_t lines, int64_t pitch, int64_t batches,
                       int64_t batch_stride, int box_lines) {
  alignas(64) CUtensorMap map;
  const cuuint64_t dims[3] = {cuuint64_t(length), cuuint64_t(lines), cuuint64_t(batches)};
  const cuuint64_t strides[2] = {cuuint64_t(pitch) * 2, cuuint64_t(batches == 1 ? pitch * lines : batch_stride) * 2};
  const cuuint32_t box[3] = {64, cuuint32_t(box_lines), 1}, steps[3] = {1, 1, 1};
  const CUresult status =
      tensor_map_encoder()(&map, type == DType::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3,
                           const_cast<void*>(data), dims, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                           CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) throw CudaFailure{cudaErrorInvalidValue, "cuTensorMapEncodeTiled"};
  return map;
}

template <int kN, bool kHalf, int kTransA, int kTransB>
void launch_hopper(const CudaContext& context, const Gemm& p, const TileOutput& out) {
  using Layout = HopperLayout<kN>;
  const int batches_a = p.a.batch == 0 ? 1 : int(p.batch), batches_b = p.b.batch == 0 ? 1 : int(p.batch);
  const CUtensorMap a = kTransA ? tensor_map(p.a.data, p.type, p.m, p.k, p.a.col, batches_a, p.a.batch, kDepth)
                                : tensor_map(p.a.data, p.type, p.k, p.m, p.a.row, batches_a, p.a.batch, kRows);
  const CUtensorMap b = kTransB ? tensor_map(p.b.data, p.type, p.n, p.k, p.b.row, batches_b, p.b.batch, kDepth)
                                : tensor_map(p.b.data, p.type, p.k, p.n, p.b.col, batches_b, p.b.batch, kN);
  const auto kernel = hopper_kernel<kN, kHalf, kTransA, kTransB>;
  check_cuda(allow_shared(kernel, Layout::kSharedBytes), "the shared memory of a product");
  const int64_t tiles = (p.m + kRows - 1) / kRows * ((p.n + kN - 1) / kN) * p.batch, most = context.multiprocessors();
  context.launch(kernel, dim3(unsigned(tiles < most ? tiles : most)), dim3(384), Layout::kSharedBytes, a, b, out, batches_a,
                 batches_b);
}

template <int kN, bool kHalf>
void launch_transposes(const CudaContext& context, const Gemm& p, const TileOutput& out) {
  const bool trans_a = p.a.col != 1, trans_b = p.b.col == 1;
  if (trans_a)
    return trans_b ? launch_hopper<kN, kHalf, 1, 1>(context, p, out) : launch_hopper<kN, kHalf, 1, 0>(context, p, out);
  return trans_b ? launch_hopper<kN, kHalf, 0, 1>(context, p, out) : launch_hopper<kN, kHalf, 0, 0>(context, p, out);
}

}  // namespace

void run_hopper(const CudaContext& context, const Gemm& p, const TileOutput& out, GemmKernel kernel) {
  if (kernel == GemmKernel::hopper_256) {
    return p.type == DType::f16 ? launch_transposes<256, true>(context, p, out)
                                : launch_transposes<256, false>(context, p, out);
  }
  p.type == DType::f16 ? launch_transposes<128, true>(context, p, out) : launch_transposes<128, false>(context, p, out);
}

}  // namespace tk::cuda
