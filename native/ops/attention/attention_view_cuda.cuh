// What a call of attention means to its kernels, for operands of f32, f16 and bf16.
#pragma once
#include "cuda/block_reduce.cuh"
#include "cuda/context.h"
// context.h first.
#include "ops/attention/attention.h"
#include "ops/common/philox.h"
#include "ops/common/vector_math.h"

TK_BEGIN_CUDA
namespace {

// [B, T, heads, size] as one matrix per batch and head, `row` floats from place to place.
template <class T>
struct HeadsView {
  T* data;
  int64_t places, heads, size;
  HeadsView() = default;
  explicit HeadsView(const Operand& x) : data(static_cast<T*>(x.data)), places(x.dims[1]), heads(x.dims[2]), size(x.dims[3]) {
    TK_CHECK_EQ(x.rank, 4);
  }
  HeadsView(void* data, int64_t places, int64_t heads, int64_t size)
      : data(static_cast<T*>(data)), places(places), heads(heads), size(size) {}
  // Whether 16 bytes from an eighth element on are aligned.
  bool in_vectors() const { return reinterpret_cast<uintptr_t>(data) % 16 == 0 && size * int64_t(sizeof(T)) % 16 == 0; }
  __device__ T* at(int64_t batch, int64_t place, int64_t head) const {
    return data + ((batch * places + place) * heads + head) * size;
  }
};

struct MaskView {
  const void* data = nullptr;  // null: none
  bool additive = false;
  int64_t batch = 0, head = 0, query = 0, key = 0;  // strides in elements, 0 where it repeats
};

// Which weights are dropped: a pure function of the random state, head, query and key.
struct DropoutView {
  const int32_t* state = nullptr;  // null: none
  int32_t threshold = 0;
  float scale = 1;  // 1 / (1 - rate)
  int64_t row_blocks = 0, rows = 0, heads = 0;

  // Bit e: whether the weight of query i and key j + e is kept; j a multiple of 4.
  __device__ unsigned kept_of_four(int64_t b, int64_t h, int64_t i, int64_t j) const {
    const uint64_t counter = (uint64_t(uint32_t(state[3])) << 32 | uint32_t(state[2])) +
                             uint64_t(((b * heads + h) * rows + i) * row_blocks + j / philox::kLanes);
    const uint32_t counters[4] = {uint32_t(counter), uint32_t(counter >> 32), 0, 0};
    const uint32_t key[2] = {uint32_t(state[0]), uint32_t(state[1])};
    uint32_t words[philox::kLanes];
    philox::block(counters, key, words);
    unsigned kept = 0;
    for (int e = 0; e < philox::kLanes; ++e) kept |= unsigned(philox::bits24(words[e]) >= threshold) << e;
    return kept;
  }
  // What a weight is multiplied by.
  __device__ float factor(bool kept) const { return kept ? scale : 0.0f; }
};
// 0 where it is dropped, be x infinite or NaN.
__device__ inline float drop(float x, float factor) { return factor == 0 ? 0.0f : x * factor; }

template <class T>
struct AttentionView {
  int64_t batch = 0;
  HeadsView<T> q, k, v;
  MaskView mask;
  DropoutView dropout;
  bool causal = false;
  int64_t shift = 0, group = 1;
  float scale = 0;

  // Keys from here on are hidden from all queries before `query_end`.
  __device__ int64_t key_end(int64_t query_end) const {
    if (!causal) return k.places;
    const int64_t end = query_end + shift;
    return end < 0 ? 0 : end < k.places ? end : k.places;
  }
  // The first query that sees a key from `key` on.
  __device__ int64_t query_begin(int64_t key) const {
    if (!causal || key - shift <= 0) return 0;
    return key - shift < q.places ? key - shift : q.places;
  }
  // The score of query i and key j from their product; -inf where hidden.
  __device__ float score(float product, int64_t b, int64_t h, int64_t i, int64_t j) const {
    if (i >= q.places || j >= k.places || (causal && j > i + shift)) return -INFINITY;
    const float value = product * scale;
    if (mask.data == nullptr) return value;
    const int64_t at = b * mask.batch + h * mask.head + i * mask.query + j * mask.key;
    if (!mask.additive) return static_cast<const uint8_t*>(mask.data)[at] != 0 ? value : -INFINITY;
    const float term = static_cast<const float*>(mask.data)[at];
    return term == -INFINITY ? term : value + term;  // what is hidden stays hidden, be its score NaN
  }
};

template <class T>
AttentionView<T> read_view(const Operand& q, const Operand& k, const Operand& v, const Operand& mask, const Operand& random,
                           bool causal, int64_t shift, double scale, double rate) {
  AttentionView<T> a;
  a.batch = q.dims[0];
  a.q = HeadsView<T>(q), a.k = HeadsView<T>(k), a.v = HeadsView<T>(v);
  a.causal = causal, a.shift = shift, a.scale = float(scale);
  TK_CHECK(k.dims[0] == a.batch && v.dims[0] == a.batch);
  TK_CHECK_EQ(a.k.size, a.q.size);
  TK_CHECK(a.v.places == a.k.places && a.v.heads == a.k.heads);
  TK_CHECK(a.k.heads > 0 && a.q.heads % a.k.heads == 0);
  a.group = a.q.heads / a.k.heads;
  if (random.size != 0) {
    TK_CHECK(random.size == 4 && rate >= 0 && rate < 1);
    a.dropout = {
        random.i32(), philox::dropout_threshold(rate), float(1 / (1 - rate)), philox::blocks_for(a.k.places), a.q.places,
        a.q.heads};
  }
  if (mask.rank != 4) {
    TK_CHECK_EQ(mask.size, 0);
    return a;
  }
  const int64_t full[4] = {a.batch, a.q.heads, a.q.places, a.k.places};
  int64_t* const strides[4] = {&a.mask.batch, &a.mask.head, &a.mask.query, &a.mask.key};
  int64_t stride = 1;
  for (int d = 3; d >= 0; --d) {
    TK_CHECK(mask.dims[d] == full[d] || mask.dims[d] == 1);
    *strides[d] = mask.dims[d] == 1 ? 0 : stride;
    stride *= mask.dims[d];
  }
  a.mask.data = mask.data;
  a.mask.additive = mask.dtype == DType::f32;
  return a;
}

template <class T>
struct GradView {
  AttentionView<T> a;
  HeadsView<T> dy, y, dq, dk, dv;
  const float* log_sum;
  float* delta;  // [B, NH, Tq]
  __device__ int64_t row_of(int64_t batch, int64_t head, int64_t query) const {
    return (batch * a.q.heads + head) * a.q.places + query;
  }
};

// The operands of `attention`.
template <class T>
AttentionView<T> read_attention_call(const OpCall& call) {
  const AttentionView<T> a =
      read_view<T>(call[0], call[1], call[2], call[3], call[4], TK_INT(call, attention, causal) != 0,
                   TK_INT(call, attention, shift), TK_FLOAT(call, attention, scale), TK_FLOAT(call, attention, rate));
  TK_CHECK_EQ(call[5].size, a.batch * a.q.places * a.q.heads * a.v.size);
  TK_CHECK_EQ(call[6].size, a.batch * a.q.heads * a.q.places);
  return a;
}

template <class T>
GradView<T> read_grad_view(const OpCall& call) {
  const Operand &q = call[1], &k = call[2], &v = call[3];
  GradView<T> g;
  g.a = read_view<T>(q, k, v, call[4], call[5], TK_INT(call, attention_grad, causal) != 0, TK_INT(call, attention_grad, shift),
                     TK_FLOAT(call, attention_grad, scale), TK_FLOAT(call, attention_grad, rate));
  const AttentionView<T>& a = g.a;
  TK_CHECK_EQ(call[0].size, a.batch * a.q.places * a.q.heads * a.v.size);
  TK_CHECK_EQ(call[6].size, call[0].size);
  TK_CHECK_EQ(call[7].size, a.batch * a.q.heads * a.q.places);
  TK_CHECK_EQ(call[8].size, q.size);
  TK_CHECK_EQ(call[9].size, k.size);
  TK_CHECK_EQ(call[10].size, v.size);
  g.dy = {call[0].data, a.q.places, a.q.heads, a.v.size};
  g.y = {call[6].data, a.q.places, a.q.heads, a.v.size};
  g.dq = {call[8].data, a.q.places, a.q.heads, a.q.size};
  g.dk = {call[9].data, a.k.places, a.k.heads, a.k.size};
  g.dv = {call[10].data, a.k.places, a.k.heads, a.v.size};
  g.log_sum = call[7].f32();
  g.delta = static_cast<float*>(call.workspace);
  return g;
}

// delta = dy . y of every query and head; a warp each.
template <class T>
__global__ void __launch_bounds__(kThreads) delta_kernel(GradView<T> g, int64_t rows) {
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t per_block = blockDim.x / kWarp;
  for (int64_t row = int64_t(blockIdx.x) * per_block + threadIdx.x / kWarp; row < rows; row += int64_t(gridDim.x) * per_block) {
    const int64_t query = row % g.a.q.places, head = row / g.a.q.places % g.a.q.heads, batch = row / g.a.q.places / g.a.q.heads;
    const T *from = g.y.at(batch, query, head), *with = g.dy.at(batch, query, head);
    double sum = 0;
    for (int64_t d = lane; d < g.y.size; d += kWarp) sum += double(float(from[d]) * float(with[d]));
    for (int distance = kWarp / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
    if (lane == 0) g.delta[row] = float(sum);
  }
}

template <class T>
void launch_delta(const CudaContext& context, const GradView<T>& g, int64_t rows) {
  if (rows == 0) return;
  const int64_t per_block = rows < kThreads / kWarp ? rows : kThreads / kWarp, wanted = (rows + per_block - 1) / per_block;
  context.launch(delta_kernel<T>, dim3(unsigned(wanted < kMaxBlocks ? wanted : kMaxBlocks)), dim3(unsigned(per_block * kWarp)),
                 0, g, rows);
}

}  // namespace
TK_END_CUDA
