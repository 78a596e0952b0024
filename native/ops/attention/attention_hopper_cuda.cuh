// Attention forward on Hopper: f16 and bf16, heads of up to 128 elements. A block owns 128 queries of one head. One warpgroup
// fetches them, and tile after tile of 128 keys and values, with the tensor memory accelerator; two multiply with wgmma, 64
// queries each. Scores and sums stay in registers; weights, rounded, are the left operand of the second product from there.
//
// What overlaps: a warpgroup issues the scores of a tile, then the second product of the tile before, and makes its weights
// while that runs. The two take turns at issuing, so that the exponentials of one fall into the products of the other. Source:
// Shah et al. 2024, arXiv:2407.08608.
#pragma once
#include "cuda/attention_choice.h"
#include "cuda/ptx.cuh"
#include "cuda/tensor_map.cuh"
// The above first.
#include "ops/attention/attention_tiles_cuda.cuh"

TK_BEGIN_CUDA
namespace {

constexpr int kHopperQueries = 128, kHopperKeys = 128, kHopperThreads = 384;
constexpr int kHopperRows = 64;                            // queries of a warpgroup
constexpr int kLineElements = 64, kLineBytes = 128;        // of a swizzled line
constexpr int kHopperBoxBytes = kHopperKeys * kLineBytes;  // 64 elements of 128 places; queries come in boxes of the same size

// kSize: 64 or 128, to which heads are padded with zeros.
template <int kSize>
struct AttentionLayout {
  static constexpr int kBoxes = kSize / kLineElements, kTileBytes = kBoxes * kHopperBoxBytes, kStages = 2;
  static constexpr int kKeysAt = kTileBytes, kValuesAt = kKeysAt + kStages * kTileBytes;
  static constexpr int kBarriersAt = kValuesAt + kStages * kTileBytes;
  static constexpr int kSharedBytes = kBarriersAt + (1 + 4 * kStages) * int(sizeof(uint64_t));
};

// Where 16-byte chunk `chunk` of a row of results lies in shared memory, laid out like the queries: chunks of neighbouring rows
// in different banks.
__device__ __forceinline__ int staged_byte(int row, int chunk) {
  return chunk / 8 * kHopperBoxBytes + row * kLineBytes + (chunk % 8 ^ (row & 7)) * 16;
}

// Whether 64 queries from i0 on see all 128 keys from j0 on.
template <class T>
__device__ __forceinline__ bool is_open_to(const AttentionView<T>& a, int64_t i0, int64_t j0) {
  return a.mask.data == nullptr && i0 + kHopperRows <= a.q.places && j0 + kHopperKeys <= a.k.places &&
         (!a.causal || j0 + kHopperKeys - 1 <= i0 + a.shift);
}

// Scores of a warp's 16 rows to weights, in units of the exponent of 2: maximum and total of a thread's two rows, and what its
// sums so far are to be multiplied by.
template <class T>
__device__ __forceinline__ void weigh(float (&scores)[kHopperKeys / 2], const AttentionView<T>& a, int64_t batch, int64_t head,
                                      int64_t row0, int64_t key0, bool open, float (&maximum)[2], float (&total)[2],
                                      float (&shrink)[2]) {
  const int lane = int(threadIdx.x) % 32, group = lane / 4, quad = lane % 4;
  if (open) {
    const float scale = a.scale * kLog2e;
#pragma unroll
    for (float& score : scores) score *= scale;
  } else {
#pragma unroll
    for (int i = 0; i < kHopperKeys / 2; ++i) {
      const int64_t query = row0 + group + i / 2 % 2 * 8, key = key0 + i / 4 * 8 + quad * 2 + i % 2;
      scores[i] = a.score(scores[i], batch, head, query, key) * kLog2e;
    }
  }
  float largest[2] = {maximum[0], maximum[1]};
#pragma unroll
  for (int i = 0; i < kHopperKeys / 2; ++i) largest[i / 2 % 2] = fmaxf(largest[i / 2 % 2], scores[i]);
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    largest[row] = over_quad(largest[row], true);
    const float base = largest[row] == -INFINITY ? 0.0f : largest[row];
    shrink[row] = maximum[row] == -INFINITY ? 0.0f : ptx::exp2_flush(maximum[row] - base);
    float added = 0.0f;
#pragma unroll
    for (int i = 0; i < kHopperKeys / 4; ++i) {
      float& score = scores[i / 2 * 4 + row * 2 + i % 2];
      score = ptx::exp2_flush(score - base);
      added += score;
    }
    total[row] = total[row] * shrink[row] + added;
    maximum[row] = largest[row];
  }
}

// Drops weights of a warp's 16 rows.
template <class T>
__device__ __forceinline__ void drop_weights(float (&scores)[kHopperKeys / 2], const AttentionView<T>& a, int64_t batch,
                                             int64_t head, int64_t row0, int64_t key0) {
  constexpr int kCols = kHopperKeys / 2;
#pragma unroll
  for (int part = 0; part < 2; ++part) {
    const unsigned kept = kept_bits<false, kCols>(a.dropout, batch, head, row0, key0 + part * kCols);
#pragma unroll
    for (int i = 0; i < kCols / 2; ++i) {
      float& weight = scores[part * (kCols / 2) + i];
      weight = drop(weight, a.dropout.factor(kept >> i & 1));
    }
  }
}

// Block (queries / 128, head, batch).
template <class T, int kSize>
__global__ void __launch_bounds__(kHopperThreads, 1)
    attention_hopper_kernel(const __grid_constant__ CUtensorMap map_q, const __grid_constant__ CUtensorMap map_k,
                            const __grid_constant__ CUtensorMap map_v, const AttentionView<T> a, const HeadsView<T> y,
                            float* log_sum) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using Layout = AttentionLayout<kSize>;
  constexpr int kStages = Layout::kStages;
  constexpr bool kHalf = std::is_same_v<T, __half>;
  DYNAMIC_SMEM(char, memory);
  uint64_t *query_full = reinterpret_cast<uint64_t*>(memory + Layout::kBarriersAt), *key_full = query_full + 1,
           *key_empty = key_full + kStages, *value_full = key_empty + kStages, *value_empty = value_full + kStages;
  const int thread = int(threadIdx.x), warpgroup = thread / 128;
  // The longest first, so that no block begins last that has the most to do.
  const int64_t number = a.causal ? int64_t(gridDim.x) - 1 - blockIdx.x : int64_t(blockIdx.x);
  const int64_t i0 = number * kHopperQueries, head = blockIdx.y, batch = blockIdx.z, key_head = head / a.group;
  const int64_t query_end = i0 + kHopperQueries < a.q.places ? i0 + kHopperQueries : a.q.places;
  const int tiles = int((a.key_end(query_end) + kHopperKeys - 1) / kHopperKeys);
  if (thread == 0) {
    ptx::mbarrier_init(query_full, 1);
    for (int i = 0; i < kStages; ++i) {
      ptx::mbarrier_init(key_full + i, 1);
      ptx::mbarrier_init(value_full + i, 1);
      // A stage is free when both warpgroups have read it.
      ptx::mbarrier_init(key_empty + i, 2);
      ptx::mbarrier_init(value_empty + i, 2);
    }
    ptx::fence_barrier_init();
    ptx::fence_proxy_async();
  }
  __syncthreads();
  if (warpgroup == 0) {
    ptx::setmaxnreg_dec<24>();
    if (thread == 0 && tiles > 0) {
      const auto fetch = [&](char* to, const CUtensorMap* map, int64_t place, int64_t of_head, uint64_t* full) {
        ptx::mbarrier_arrive_expect_tx(full, Layout::kTileBytes);
        for (int box = 0; box < Layout::kBoxes; ++box) {
          ptx::tma_load_4d(to + box * kHopperBoxBytes, map, box * kLineElements, int(of_head), int(place), int(batch), full);
        }
      };
      fetch(memory, &map_q, i0, head, query_full);
      for (int tile = 0; tile < tiles; ++tile) {
        const int stage = tile % kStages, parity = tile / kStages % 2;
        ptx::mbarrier_wait(key_empty + stage, parity ^ 1);
        fetch(memory + Layout::kKeysAt + stage * Layout::kTileBytes, &map_k, int64_t(tile) * kHopperKeys, key_head,
              key_full + stage);
        ptx::mbarrier_wait(value_empty + stage, parity ^ 1);
        fetch(memory + Layout::kValuesAt + stage * Layout::kTileBytes, &map_v, int64_t(tile) * kHopperKeys, key_head,
              value_full + stage);
      }
    }
  } else {
    ptx::setmaxnreg_inc<240>();
    const int consumer = warpgroup - 1, lane = thread % 32, warp = thread / 32 % 4, group = lane / 4, quad = lane % 4;
    char* queries = memory + consumer * kHopperRows * kLineBytes;
    const int64_t row0 = i0 + consumer * kHopperRows, query = row0 + warp * 16 + group;
    float scores[kHopperKeys / 2], sums[kSize / 2] = {};
    unsigned weights[kHopperKeys / 16][4];
    float maximum[2] = {-INFINITY, -INFINITY}, total[2] = {0.0f, 0.0f}, shrink[2];
    // Turns at issuing: the first warpgroup begins.
    const auto take_turn = [&] { ptx::bar_sync(1 + consumer, 256); };
    const auto pass_turn = [&](int tile) {
      if (consumer == 0 || tile + 1 < tiles) ptx::bar_arrive(2 - consumer, 256);
    };
    const auto release = [&](uint64_t* empty) {
      if (thread % 128 == 0) ptx::mbarrier_arrive(empty);
    };
    const auto issue_scores = [&](int tile) {
      const int stage = tile % kStages;
      const char* keys = memory + Layout::kKeysAt + stage * Layout::kTileBytes;
      ptx::mbarrier_wait(key_full + stage, tile / kStages % 2);
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < kSize / 16; ++k) {
        const int at = k / 4 * kHopperBoxBytes + k % 4 * 32;
        ptx::wgmma_n128<kHalf, 0, 0>(scores, ptx::desc_sw128(queries + at, 16, 1024), ptx::desc_sw128(keys + at, 16, 1024),
                                     k > 0);
      }
      ptx::wgmma_commit();
    };
    const auto issue_product = [&](int tile) {
      const int stage = tile % kStages;
      const char* values = memory + Layout::kValuesAt + stage * Layout::kTileBytes;
      ptx::mbarrier_wait(value_full + stage, tile / kStages % 2);
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < kHopperKeys / 16; ++k) {
        ptx::wgmma_registers<kHalf, 1>(sums, weights[k], ptx::desc_sw128(values + k * 16 * kLineBytes, kHopperBoxBytes, 1024),
                                       1);
      }
      ptx::wgmma_commit();
    };
    const auto weigh_tile = [&](int tile) {
      const int64_t key = int64_t(tile) * kHopperKeys;
      weigh(scores, a, batch, head, row0 + warp * 16, key, is_open_to(a, row0, key), maximum, total, shrink);
    };
    // Drops after the product before is done: while it runs there are no registers for the random bits.
    const auto round_weights = [&](int tile) {
      if (a.dropout.state != nullptr) {
        drop_weights(scores, a, batch, head, row0 + warp * 16, int64_t(tile) * kHopperKeys);
      }
#pragma unroll
      for (int k = 0; k < kHopperKeys / 16; ++k) {
#pragma unroll
        for (int j = 0; j < 4; ++j) weights[k][j] = pack_pair<T>(scores[k * 8 + j * 2], scores[k * 8 + j * 2 + 1]);
      }
    };
    if (tiles > 0) {
      if (consumer == 1) ptx::bar_arrive(1, 256);
      ptx::mbarrier_wait(query_full, 0);
      take_turn();
      issue_scores(0);
      pass_turn(0);
      ptx::wgmma_wait<0>();
      release(key_empty);
      weigh_tile(0);
      round_weights(0);
#pragma unroll 1
      for (int tile = 1; tile < tiles; ++tile) {
        take_turn();
        issue_scores(tile);
        issue_product(tile - 1);
        pass_turn(tile);
        ptx::wgmma_wait<1>();
        release(key_empty + tile % kStages);
        weigh_tile(tile);
        ptx::wgmma_wait<0>();
        release(value_empty + (tile - 1) % kStages);
#pragma unroll
        for (int i = 0; i < kSize / 2; ++i) sums[i] *= shrink[i / 2 % 2];
        round_weights(tile);
      }
      issue_product(tiles - 1);
      ptx::wgmma_wait<0>();
    }
    float share[2];
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const float all = over_quad(total[row], false);
      share[row] = all != 0 ? 1.0f / all : 0.0f;
      const int64_t place = query + row * 8;
      if (quad == 0 && place < a.q.places) {
        log_sum[(batch * a.q.heads + head) * a.q.places + place] = all != 0 ? maximum[row] / kLog2e + logf(all) : -INFINITY;
      }
    }
    // Through the warp's own part of what the queries of its warpgroup took, in whole rows.
    if (tiles > 0) ptx::bar_sync(3 + consumer, 128);
    char* staged = queries + warp * 16 * kLineBytes;
#pragma unroll
    for (int i = 0; i < kSize / 2; i += 2) {
      const int row = i / 2 % 2;
      *reinterpret_cast<unsigned*>(staged + staged_byte(group + row * 8, i / 4) + quad * 4) =
          pack_pair<T>(sums[i] * share[row], sums[i + 1] * share[row]);
    }
    __syncwarp();
    constexpr int kChunks = kSize / 8;
#pragma unroll 1
    for (int i = lane; i < 16 * kChunks; i += 32) {
      const int row = i / kChunks, chunk = i % kChunks;
      const int64_t place = row0 + warp * 16 + row;
      if (place >= y.places || chunk * 8 >= y.size) continue;
      *reinterpret_cast<uint4*>(y.at(batch, place, head) + chunk * 8) =
          *reinterpret_cast<const uint4*>(staged + staged_byte(row, chunk));
    }
  }
#endif
}

// [B, T, heads, size] with boxes of one line of 128 places.
template <class T>
CUtensorMap heads_map(const HeadsView<T>& x, int64_t batch) {
  constexpr DType kType = std::is_same_v<T, __half> ? DType::f16 : DType::bf16;
  const cuuint64_t head = cuuint64_t(x.size) * sizeof(T), place = head * cuuint64_t(x.heads);
  return swizzled_tensor_map<4>(x.data, kType,
                                {cuuint64_t(x.size), cuuint64_t(x.heads), cuuint64_t(x.places), cuuint64_t(batch)},
                                {head, place, place * cuuint64_t(x.places)}, {kLineElements, 1, kHopperKeys, 1});
}

template <class T>
bool takes_hopper(const AttentionView<T>& a, const HeadsView<T>& y, const CudaContext& context) {
  const bool aligned = a.q.in_vectors() && a.k.in_vectors() && a.v.in_vectors() && y.in_vectors();
  return attention_kernel_for({a.q.places, a.k.places, a.q.size > a.v.size ? a.q.size : a.v.size, aligned,
                               context.settings().has_wgmma}) == AttentionKernel::hopper;
}

template <int kSize, class T>
void launch_attention_hopper(const CudaContext& context, const AttentionView<T>& a, const HeadsView<T>& y, float* log_sum) {
  if (a.q.heads == 0 || a.batch == 0) return;
  TK_CHECK(a.q.heads <= 65535 && a.batch <= 65535);  // a grid's y and z
  constexpr int kBytes = AttentionLayout<kSize>::kSharedBytes;
  const auto kernel = attention_hopper_kernel<T, kSize>;
  check_cuda(allow_shared(kernel, kBytes), "the shared memory of attention");
  const unsigned blocks = unsigned((a.q.places + kHopperQueries - 1) / kHopperQueries);
  context.launch(kernel, dim3(blocks, unsigned(a.q.heads), unsigned(a.batch)), dim3(kHopperThreads), kBytes,
                 heads_map(a.q, a.batch), heads_map(a.k, a.batch), heads_map(a.v, a.batch), a, y, log_sum);
}

template <class T>
void attention_hopper(const CudaContext& context, const AttentionView<T>& a, const HeadsView<T>& y, float* log_sum) {
  if (a.q.size <= 64 && a.v.size <= 64) return launch_attention_hopper<64>(context, a, y, log_sum);
  launch_attention_hopper<128>(context, a, y, log_sum);
}

}  // namespace
TK_END_CUDA
