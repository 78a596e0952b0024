// Attention of f16 and bf16 on the tensor cores (mma.sync, sm_80 and up), scores and sums in f32. A block owns 64 queries, or,
// for the gradients of keys and values, 64 keys, and meets the other side in tiles of 64, in rising order. Scores, weights and
// their gradients stay in registers: the accumulator of one product is laid out as the left operand of the next. Heads of up to
// 256 elements, padded with zeros in shared memory to 32, 64, 128 or 256.
//
// The backward pass makes the scores twice, once for the queries' gradient and once for the keys', and adds everything up in
// registers in a fixed order: seven products in place of five, and no atomics.
// Source: Dao 2023, arXiv:2307.08691.
#pragma once
#include "cuda/context.h"
#include "cuda/ptx.cuh"
// context.h first.
#include "ops/attention/attention_view_cuda.cuh"

TK_BEGIN_CUDA
namespace {

constexpr int kTile = 64;  // queries, and keys, of a tile; 16 to a warp
constexpr int kTileThreads = 128;
constexpr int64_t kMostTiledSize = 256;

// Whether heads fit: q and v of a call.
bool is_tiled(const Operand& q, const Operand& v) {
  return (q.dtype == DType::f16 || q.dtype == DType::bf16) && q.rank == 4 && v.rank == 4 && q.dims[3] <= kMostTiledSize &&
         v.dims[3] <= kMostTiledSize;
}

template <class T>
__device__ __forceinline__ unsigned pack_pair(float low, float high) {
  if constexpr (std::is_same_v<T, __half>) {
    return unsigned(__half_as_ushort(__float2half(low))) | unsigned(__half_as_ushort(__float2half(high))) << 16;
  } else {
    return unsigned(__bfloat16_as_ushort(__float2bfloat16(low))) | unsigned(__bfloat16_as_ushort(__float2bfloat16(high))) << 16;
  }
}

template <class T>
__device__ __forceinline__ void mma_of(float (&sum)[4], const unsigned (&left)[4], const unsigned* right) {
  if constexpr (std::is_same_v<T, __half>) {
    ptx::mma_f16(sum, left, right);
  } else {
    ptx::mma_bf16(sum, left, right);
  }
}

// 64 rows of a head in shared memory; the pitch puts the 8 rows that ldmatrix reads at once into different banks.
template <int kSize>
struct RowTile {
  static constexpr int kPitch = kSize + 8;
  static constexpr int kElements = kTile * kPitch;
};

// Begins to fetch places first .. first + 63 of a head; elements that do not exist are 0.
template <int kSize, int kThreadCount, class T>
__device__ __forceinline__ void fetch_rows(T* tile, const HeadsView<T>& from, int64_t batch, int64_t head, int64_t first,
                                           bool vector) {
  constexpr int kChunks = kSize / 8;
#pragma unroll 4
  for (int i = int(threadIdx.x); i < kTile * kChunks; i += kThreadCount) {
    const int row = i / kChunks, d = i % kChunks * 8;
    T* to = tile + row * RowTile<kSize>::kPitch + d;
    const bool is_place = first + row < from.places;
    if (vector) {
      const bool inside = is_place && d < from.size;
      ptx::cp_async16(to, inside ? from.at(batch, first + row, head) + d : from.data, inside ? 16 : 0);
    } else {
      for (int e = 0; e < 8; ++e) to[e] = is_place && d + e < from.size ? from.at(batch, first + row, head)[d + e] : T(0.0f);
    }
  }
}

// A warp's piece of a matrix of scores: 16 rows, kCols columns.
template <int kCols>
struct ScoreSums {
  float of[kCols / 8][4];
};
// Columns of a tile that the backward pass works on at once: with long heads the sums need most of the registers.
template <int kSize>
constexpr int kGradCols = kSize > 64 ? 32 : 64;

// sums = rows row0 .. row0 + 15 of `left` times kCols rows of `right`.
template <int kSize, int kCols, class T>
__device__ __forceinline__ void multiply_rows(ScoreSums<kCols>& sums, const T* left, int row0, const T* right) {
  constexpr int kPitch = RowTile<kSize>::kPitch;
  const int lane = int(threadIdx.x) % 32;
#pragma unroll
  for (auto& tile : sums.of) {
#pragma unroll
    for (float& value : tile) value = 0.0f;
  }
#pragma unroll
  for (int d = 0; d < kSize; d += 16) {
    unsigned rows[4];
    ptx::ldmatrix_x4(rows, left + (row0 + lane % 16) * kPitch + d + lane / 16 * 8);
#pragma unroll
    for (int j = 0; j < kCols / 16; ++j) {
      unsigned cols[4];
      ptx::ldmatrix_x4(cols, right + (j * 16 + lane % 8 + lane / 16 * 8) * kPitch + d + lane / 8 % 2 * 8);
      mma_of<T>(sums.of[2 * j], rows, cols);
      mma_of<T>(sums.of[2 * j + 1], rows, cols + 2);
    }
  }
}

// sums += weights times the rows of `right`, columns col0 .. col0 + 8 kTiles - 1.
template <int kSize, int kTiles, int kCols, class T>
__device__ __forceinline__ void add_product(float (&sums)[kTiles][4], const ScoreSums<kCols>& weights, const T* right,
                                            int col0) {
  constexpr int kPitch = RowTile<kSize>::kPitch;
  const int lane = int(threadIdx.x) % 32;
#pragma unroll
  for (int j = 0; j < kCols / 16; ++j) {
    const float(&first)[4] = weights.of[2 * j];
    const float(&second)[4] = weights.of[2 * j + 1];
    const unsigned rows[4] = {pack_pair<T>(first[0], first[1]), pack_pair<T>(first[2], first[3]),
                              pack_pair<T>(second[0], second[1]), pack_pair<T>(second[2], second[3])};
#pragma unroll
    for (int c = 0; c < kTiles; c += 2) {
      unsigned cols[4];
      ptx::ldmatrix_x4_trans(cols, right + (j * 16 + lane % 16) * kPitch + col0 + c * 8 + lane / 16 * 8);
      mma_of<T>(sums[c], rows, cols);
      mma_of<T>(sums[c + 1], rows, cols + 2);
    }
  }
}

// Writes a warp's 16 rows, row0 .. of its tile, as places of a head: through shared memory, in whole rows.
template <int kSize, int kTiles, class T>
__device__ __forceinline__ void store_rows(T* tile, const float (&sums)[kTiles][4], int row0, int col0, float scale_low,
                                           float scale_high) {
  constexpr int kPitch = RowTile<kSize>::kPitch;
  const int lane = int(threadIdx.x) % 32, group = lane / 4, quad = lane % 4;
#pragma unroll
  for (int c = 0; c < kTiles; ++c) {
    const int col = col0 + c * 8 + quad * 2;
    *reinterpret_cast<unsigned*>(tile + (row0 + group) * kPitch + col) =
        pack_pair<T>(sums[c][0] * scale_low, sums[c][1] * scale_low);
    *reinterpret_cast<unsigned*>(tile + (row0 + group + 8) * kPitch + col) =
        pack_pair<T>(sums[c][2] * scale_high, sums[c][3] * scale_high);
  }
}
template <int kSize, int kThreadCount, class T>
__device__ __forceinline__ void write_rows(const T* tile, const HeadsView<T>& to, int64_t batch, int64_t head, int64_t first,
                                           bool vector) {
  constexpr int kChunks = kSize / 8;
  for (int i = int(threadIdx.x); i < kTile * kChunks; i += kThreadCount) {
    const int row = i / kChunks, d = i % kChunks * 8;
    if (first + row >= to.places || d >= to.size) continue;
    const T* from = tile + row * RowTile<kSize>::kPitch + d;
    T* target = to.at(batch, first + row, head) + d;
    if (vector) {
      *reinterpret_cast<uint4*>(target) = *reinterpret_cast<const uint4*>(from);
    } else {
      for (int e = 0; e < 8 && d + e < to.size; ++e) target[e] = from[e];
    }
  }
}

__device__ __forceinline__ float over_quad(float value, bool maximum) {
#pragma unroll
  for (int distance = 1; distance < 4; distance *= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, value, distance);
    value = maximum ? fmaxf(value, other) : value + other;
  }
  return value;
}

// Whether every query of a tile sees every key of another without asking.
template <class T>
__device__ __forceinline__ bool is_open(const AttentionView<T>& a, int64_t i0, int64_t j0) {
  return a.mask.data == nullptr && i0 + kTile <= a.q.places && j0 + kTile <= a.k.places &&
         (!a.causal || j0 + kTile - 1 <= i0 + a.shift);
}

// Which weights of a warp's piece are kept, 16 rows and kCols columns: bit 4 c + r for element r of this lane in columns 8 c
// and up. kKeysDown: rows are keys and columns queries, else the other way round. row0 and col0 are multiples of 8. Each lane
// makes the bits of four keys of a query in every 8 columns, and lanes exchange them. Every lane of the warp takes part.
template <bool kKeysDown, int kCols>
__device__ __forceinline__ unsigned kept_bits(const DropoutView& dropout, int64_t batch, int64_t head, int64_t row0,
                                              int64_t col0) {
  static_assert(kCols <= 64);
  const int lane = int(threadIdx.x) % 32, group = lane / 4, quad = lane % 4;
  unsigned bits = 0;
  // Rolled up: unrolled, the rounds of the generator would be most of the kernel.
#pragma unroll 1
  for (int c = 0; c < kCols / 8; ++c) {
    unsigned here = 0;
    if constexpr (kKeysDown) {
      // Of four lanes with neighbouring keys each makes those of one query (bit 0 of its number) and one half of the rows (bit
      // 1), and needs one bit of what each has made.
      const int number = group % 4;
      const unsigned own =
          dropout.kept_of_four(batch, head, col0 + c * 8 + quad * 2 + number % 2, row0 + group / 4 * 4 + number / 2 * 8);
#pragma unroll
      for (int r = 0; r < 4; ++r) here |= (__shfl_sync(0xffffffffu, own, (lane & ~12) | r * 4) >> number & 1) << r;
    } else {
      // Of two neighbours one makes the row above, the other the row below, and each needs two bits of both.
      const unsigned own = dropout.kept_of_four(batch, head, row0 + group + quad % 2 * 8, col0 + c * 8 + quad / 2 * 4);
      const unsigned other = __shfl_xor_sync(0xffffffffu, own, 1);
      here = quad % 2 == 0 ? (own & 3) | (other & 3) << 2 : other >> 2 | own >> 2 << 2;
    }
    bits |= here << 4 * c;
  }
  return bits;
}
// Element i of a lane is multiplied by its factor, bit i of `kept`.
template <int kCols>
__device__ __forceinline__ void drop_scores(ScoreSums<kCols>& scores, const DropoutView& dropout, unsigned kept) {
#pragma unroll
  for (int i = 0; i < kCols / 2; ++i) {
    float& score = scores.of[i / 4][i % 4];
    score = drop(score, dropout.factor(kept >> i & 1));
  }
}

constexpr float kLog2e = 1.4426950408889634f;

// Block (queries / 64, head, batch). The keys of the next tile come while this one's weights are formed, values while scores
// are.
template <class T, int kSize>
__global__ void __launch_bounds__(kTileThreads)
    attention_tiles_kernel(const AttentionView<T> a, const HeadsView<T> y, float* log_sum, bool vector) {
  DYNAMIC_SMEM(T, queries);
  T *keys = queries + RowTile<kSize>::kElements, *values = keys + RowTile<kSize>::kElements;
  const int lane = int(threadIdx.x) % 32, row0 = int(threadIdx.x) / 32 * 16, group = lane / 4, quad = lane % 4;
  // The longest first, so that no block begins last that has the most to do.
  const int64_t number = a.causal ? int64_t(gridDim.x) - 1 - blockIdx.x : int64_t(blockIdx.x);
  const int64_t i0 = number * kTile, head = blockIdx.y, batch = blockIdx.z, key_head = head / a.group;
  const int64_t query_end = i0 + kTile < a.q.places ? i0 + kTile : a.q.places, end = a.key_end(query_end);
  float sums[kSize / 8][4] = {};
  float maximum[2] = {-INFINITY, -INFINITY}, total[2] = {0.0f, 0.0f};
  fetch_rows<kSize, kTileThreads>(queries, a.q, batch, head, i0, vector);
  if (end > 0) fetch_rows<kSize, kTileThreads>(keys, a.k, batch, key_head, 0, vector);
  ptx::cp_async_commit();
  for (int64_t j0 = 0; j0 < end; j0 += kTile) {
    fetch_rows<kSize, kTileThreads>(values, a.v, batch, key_head, j0, vector);
    ptx::cp_async_commit();
    ptx::cp_async_wait<1>();
    __syncthreads();
    ScoreSums<kTile> scores;
    multiply_rows<kSize>(scores, queries, row0, keys);
    __syncthreads();
    if (j0 + kTile < end) fetch_rows<kSize, kTileThreads>(keys, a.k, batch, key_head, j0 + kTile, vector);
    ptx::cp_async_commit();
    const bool open = is_open(a, i0, j0);
    float largest[2] = {maximum[0], maximum[1]};
#pragma unroll
    for (int c = 0; c < kTile / 8; ++c) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        float& score = scores.of[c][r];
        score =
            open ? score * a.scale : a.score(score, batch, head, i0 + row0 + group + r / 2 * 8, j0 + c * 8 + quad * 2 + r % 2);
        largest[r / 2] = fmaxf(largest[r / 2], score);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      largest[half] = over_quad(largest[half], true);
      const float base = largest[half] == -INFINITY ? 0.0f : largest[half];
      const float shrink = maximum[half] == -INFINITY ? 0.0f : exp2f((maximum[half] - base) * kLog2e);
      float added = 0.0f;
#pragma unroll
      for (int c = 0; c < kTile / 8; ++c) {
#pragma unroll
        for (int r = 2 * half; r < 2 * half + 2; ++r) {
          const float weight = exp2f((scores.of[c][r] - base) * kLog2e);
          scores.of[c][r] = weight;
          added += weight;
        }
      }
      total[half] = total[half] * shrink + added;
      maximum[half] = largest[half];
#pragma unroll
      for (int c = 0; c < kSize / 8; ++c) sums[c][2 * half] *= shrink, sums[c][2 * half + 1] *= shrink;
    }
    // The sums of all weights are taken.
    if (a.dropout.state != nullptr) {
      drop_scores(scores, a.dropout, kept_bits<false, kTile>(a.dropout, batch, head, i0 + row0, j0));
    }
    ptx::cp_async_wait<1>();
    __syncthreads();
    add_product<kSize, kSize / 8>(sums, scores, values, 0);
    __syncthreads();
  }
  ptx::cp_async_wait<0>();
  float share[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float all = over_quad(total[half], false);
    share[half] = all != 0 ? 1.0f / all : 0.0f;
    const int64_t query = i0 + row0 + group + half * 8;
    if (quad == 0 && query < a.q.places) {
      log_sum[(batch * a.q.heads + head) * a.q.places + query] = all != 0 ? maximum[half] + logf(all) : -INFINITY;
    }
  }
  // Nothing but zeros was added up where no key is seen; what a fetch without keys has left in the tile is overwritten.
  __syncthreads();
  store_rows<kSize, kSize / 8>(queries, sums, row0, 0, share[0], share[1]);
  __syncthreads();
  write_rows<kSize, kTileThreads>(queries, y, batch, head, i0, vector);
}

// Weights, dropped ones as 0, and score gradients from the two products of a piece. kKeysDown: its rows are keys and its
// columns queries.
template <bool kKeysDown, int kCols, class T>
__device__ __forceinline__ void score_gradients(const GradView<T>& g, ScoreSums<kCols>& scores, ScoreSums<kCols>& products,
                                                int64_t batch, int64_t head, int64_t row0, int64_t col0, const float* log_sums,
                                                const float* deltas, bool open) {
  const int lane = int(threadIdx.x) % 32, group = lane / 4, quad = lane % 4;
  const DropoutView& dropout = g.a.dropout;
  unsigned kept = 0;
  if (dropout.state != nullptr) {
    kept = kept_bits<kKeysDown, kCols>(dropout, batch, head, row0, col0);
    drop_scores(products, dropout, kept);
  }
#pragma unroll
  for (int c = 0; c < kCols / 8; ++c) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int row = group + r / 2 * 8, col = c * 8 + quad * 2 + r % 2, query = kKeysDown ? col : row;
      const int64_t i = kKeysDown ? col0 + col : row0 + row, j = kKeysDown ? row0 + row : col0 + col;
      const float log_sum = log_sums[query];
      const float score = open ? scores.of[c][r] * g.a.scale : g.a.score(scores.of[c][r], batch, head, i, j);
      const float exponent = score - log_sum;
      const float p = log_sum == -INFINITY ? 0.0f : exp2f((exponent > 0 ? 0.0f : exponent) * kLog2e);
      scores.of[c][r] = p;
      products.of[c][r] = p == 0 ? 0.0f : p * (products.of[c][r] - deltas[query]) * g.a.scale;
    }
  }
  if (dropout.state != nullptr) drop_scores(scores, dropout, kept);
}

// Of 64 queries: log_sum and delta into shared memory; -infinity, which means no weight, where there is none.
template <class T>
__device__ __forceinline__ void fetch_statistics(const GradView<T>& g, int64_t batch, int64_t head, int64_t i0, float* log_sums,
                                                 float* deltas) {
  const int i = int(threadIdx.x);
  if (i >= kTile) return;
  const bool inside = i0 + i < g.a.q.places;
  log_sums[i] = inside ? g.log_sum[g.row_of(batch, head, i0 + i)] : -INFINITY;
  deltas[i] = inside ? g.delta[g.row_of(batch, head, i0 + i)] : 0.0f;
}

// Block (queries / 64, head, batch): dq. Two blocks to a multiprocessor: left to itself the compiler goes for three, and
// spills.
template <class T, int kSize>
__global__ void __launch_bounds__(kTileThreads, 2) query_gradient_tiles_kernel(const GradView<T> g, bool vector) {
  DYNAMIC_SMEM(T, queries);
  constexpr int kElements = RowTile<kSize>::kElements;
  T *gradients = queries + kElements, *keys = gradients + kElements, *values = keys + kElements;
  float *log_sums = reinterpret_cast<float*>(values + kElements), *deltas = log_sums + kTile;
  const AttentionView<T>& a = g.a;
  const int row0 = int(threadIdx.x) / 32 * 16;
  const int64_t number = a.causal ? int64_t(gridDim.x) - 1 - blockIdx.x : int64_t(blockIdx.x);
  const int64_t i0 = number * kTile, head = blockIdx.y, batch = blockIdx.z, key_head = head / a.group;
  const int64_t query_end = i0 + kTile < a.q.places ? i0 + kTile : a.q.places, end = a.key_end(query_end);
  float sums[kSize / 8][4] = {};
  fetch_rows<kSize, kTileThreads>(queries, a.q, batch, head, i0, vector);
  fetch_rows<kSize, kTileThreads>(gradients, g.dy, batch, head, i0, vector);
  fetch_statistics(g, batch, head, i0, log_sums, deltas);
  for (int64_t j0 = 0; j0 < end; j0 += kTile) {
    fetch_rows<kSize, kTileThreads>(keys, a.k, batch, key_head, j0, vector);
    fetch_rows<kSize, kTileThreads>(values, a.v, batch, key_head, j0, vector);
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
    __syncthreads();
    const bool open = is_open(a, i0, j0);
#pragma unroll 1
    for (int j = 0; j < kTile; j += kGradCols<kSize>) {
      const int at = j * RowTile<kSize>::kPitch;
      ScoreSums<kGradCols<kSize>> scores, products;
      multiply_rows<kSize>(scores, queries, row0, keys + at);
      multiply_rows<kSize>(products, gradients, row0, values + at);
      score_gradients<false>(g, scores, products, batch, head, i0 + row0, j0 + j, log_sums + row0, deltas + row0, open);
      add_product<kSize, kSize / 8>(sums, products, keys + at, 0);
    }
    __syncthreads();
  }
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  __syncthreads();
  store_rows<kSize, kSize / 8>(queries, sums, row0, 0, 1.0f, 1.0f);
  __syncthreads();
  write_rows<kSize, kTileThreads>(queries, g.dq, batch, head, i0, vector);
}

// Block (keys / 64, head of the keys, batch): dk and dv, over the query heads of the group and tiles of queries. Where a head
// is so long that both sums would not fit the registers of a thread, two warps share its columns and both form the scores.
template <int kSize>
struct KeyGradient {
  static constexpr int kParts = kSize > 128 ? 2 : 1, kThreadCount = kTileThreads * kParts, kTiles = kSize / 8 / kParts;
};
template <class T, int kSize>
__global__ void __launch_bounds__(KeyGradient<kSize>::kThreadCount)
    key_gradient_tiles_kernel(const GradView<T> g, bool vector) {
  DYNAMIC_SMEM(T, keys);
  constexpr int kElements = RowTile<kSize>::kElements, kThreadCount = KeyGradient<kSize>::kThreadCount,
                kTiles = KeyGradient<kSize>::kTiles;
  T *values = keys + kElements, *queries = values + kElements, *gradients = queries + kElements;
  float *log_sums = reinterpret_cast<float*>(gradients + kElements), *deltas = log_sums + kTile;
  const AttentionView<T>& a = g.a;
  const int warp = int(threadIdx.x) / 32, row0 = warp % 4 * 16, col0 = warp / 4 * kTiles * 8;
  const int64_t j0 = int64_t(blockIdx.x) * kTile, key_head = blockIdx.y, batch = blockIdx.z;
  float key_sums[kTiles][4] = {}, value_sums[kTiles][4] = {};
  fetch_rows<kSize, kThreadCount>(keys, a.k, batch, key_head, j0, vector);
  fetch_rows<kSize, kThreadCount>(values, a.v, batch, key_head, j0, vector);
  const int64_t first = a.query_begin(j0) / kTile * kTile;
  for (int64_t head = key_head * a.group; head < (key_head + 1) * a.group; ++head) {
    for (int64_t i0 = first; i0 < a.q.places; i0 += kTile) {
      fetch_rows<kSize, kThreadCount>(queries, a.q, batch, head, i0, vector);
      fetch_rows<kSize, kThreadCount>(gradients, g.dy, batch, head, i0, vector);
      ptx::cp_async_commit();
      fetch_statistics(g, batch, head, i0, log_sums, deltas);
      ptx::cp_async_wait<0>();
      __syncthreads();
      const bool open = is_open(a, i0, j0);
#pragma unroll 1
      for (int i = 0; i < kTile; i += kGradCols<kSize>) {
        const int at = i * RowTile<kSize>::kPitch;
        ScoreSums<kGradCols<kSize>> scores, products;
        multiply_rows<kSize>(scores, keys, row0, queries + at);
        multiply_rows<kSize>(products, values, row0, gradients + at);
        score_gradients<true>(g, scores, products, batch, head, j0 + row0, i0 + i, log_sums + i, deltas + i, open);
        add_product<kSize, kTiles>(value_sums, scores, gradients + at, col0);
        add_product<kSize, kTiles>(key_sums, products, queries + at, col0);
      }
      __syncthreads();
    }
  }
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  __syncthreads();
  store_rows<kSize, kTiles>(keys, key_sums, row0, col0, 1.0f, 1.0f);
  store_rows<kSize, kTiles>(values, value_sums, row0, col0, 1.0f, 1.0f);
  __syncthreads();
  write_rows<kSize, kThreadCount>(keys, g.dk, batch, key_head, j0, vector);
  write_rows<kSize, kThreadCount>(values, g.dv, batch, key_head, j0, vector);
}

template <class Kernel, class... Args>
void launch_attention_tiles(const CudaContext& context, Kernel* kernel, int64_t places, int64_t heads, int64_t batch,
                            int threads, size_t bytes, const Args&... args) {
  if (places == 0 || heads == 0 || batch == 0) return;
  TK_CHECK(heads <= 65535 && batch <= 65535);  // a grid's y and z
  check_cuda(allow_shared(kernel, bytes), "the shared memory of attention");
  context.launch(kernel, dim3(unsigned((places + kTile - 1) / kTile), unsigned(heads), unsigned(batch)),
                 dim3(unsigned(threads)), bytes, args...);
}

// body(size): with the smallest padded size that holds the heads, as a constant.
template <class T, class Body>
void with_tile_size(const AttentionView<T>& a, const Body& body) {
  const int64_t size = a.q.size > a.v.size ? a.q.size : a.v.size;
  TK_CHECK(size <= kMostTiledSize);
  if (size <= 32) return body(std::integral_constant<int, 32>());
  if (size <= 64) return body(std::integral_constant<int, 64>());
  if (size <= 128) return body(std::integral_constant<int, 128>());
  body(std::integral_constant<int, 256>());
}

template <class T>
void attention_tiles(const CudaContext& context, const AttentionView<T>& a, const HeadsView<T>& y, float* log_sum) {
  const bool vector = a.q.in_vectors() && a.k.in_vectors() && a.v.in_vectors() && y.in_vectors();
  with_tile_size(a, [&](auto size) {
    constexpr int kSize = decltype(size)::value;
    launch_attention_tiles(context, attention_tiles_kernel<T, kSize>, a.q.places, a.q.heads, a.batch, kTileThreads,
                           3 * RowTile<kSize>::kElements * sizeof(T), a, y, log_sum, vector);
  });
}

template <class T>
void attention_grad_tiles(const OpCall& call, const CudaContext& context) {
  const GradView<T> g = read_grad_view<T>(call);
  const AttentionView<T>& a = g.a;
  const bool vector = a.q.in_vectors() && a.k.in_vectors() && a.v.in_vectors() && g.dy.in_vectors() && g.dq.in_vectors() &&
                      g.dk.in_vectors() && g.dv.in_vectors();
  launch_delta(context, g, call[7].size);
  with_tile_size(a, [&](auto size) {
    constexpr int kSize = decltype(size)::value;
    const size_t bytes = 4 * RowTile<kSize>::kElements * sizeof(T) + 2 * kTile * sizeof(float);
    launch_attention_tiles(context, query_gradient_tiles_kernel<T, kSize>, a.q.places, a.q.heads, a.batch, kTileThreads, bytes,
                           g, vector);
    launch_attention_tiles(context, key_gradient_tiles_kernel<T, kSize>, a.k.places, a.k.heads, a.batch,
                           KeyGradient<kSize>::kThreadCount, bytes, g, vector);
  });
}

}  // namespace
TK_END_CUDA
