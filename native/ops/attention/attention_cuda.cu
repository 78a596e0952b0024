#include "cuda/block_reduce.cuh"
// context.h first.
#include "ops/attention/attention_hopper_cuda.cuh"
#include "ops/attention/attention_tiles_cuda.cuh"

// f32 on the plain cores; f16 and bf16 run on the tensor cores (attention_tiles_cuda.cuh, attention_hopper_cuda.cuh). A
// block owns 32 queries (or, for the gradients of keys and values, 32 keys) of one head and meets the other side in blocks of
// 32, in rising order. Scores live in shared memory, 32 x 32 at a time; heads of any size go through in pieces of 32.
TK_BEGIN_CUDA
namespace {

constexpr int kBlock = 32;
constexpr int kAttentionThreads = 128;
constexpr int kPitch = kBlock + 1;  // floats of a row in shared memory: one more, so that columns lie in different banks

// A 32 x 32 piece in shared memory.
struct Piece {
  float at[kBlock][kPitch];
};

// Thread (row, col) owns rows row, row + 16 and columns col + 8 c of a piece.
struct Owner {
  int row, col;
  __device__ Owner() : row(int(threadIdx.x) / 8), col(int(threadIdx.x) % 8) {}
  template <class Body>
  __device__ void each(const Body& body) const {
    for (int r = 0; r < 2; ++r) {
      for (int c = 0; c < 4; ++c) body(r, c, row + 16 * r, col + 8 * c);
    }
  }
};

// piece[r][d] = rows[r][d0 + d], 0 outside; row r of the piece is place first + r.
__device__ inline void load_piece(Piece* piece, const HeadsView<float>& from, int64_t batch, int64_t head, int64_t first,
                                  int64_t d0) {
  for (int i = int(threadIdx.x); i < kBlock * kBlock; i += kAttentionThreads) {
    const int r = i / kBlock, d = i % kBlock;
    const bool inside = first + r < from.places && d0 + d < from.size;
    piece->at[r][d] = inside ? from.at(batch, first + r, head)[d0 + d] : 0.0f;
  }
}

// sum[r][c] = products of rows of `a` from place a0 on with rows of `b` from b0 on. Every thread of the block takes part.
__device__ inline void row_products(float (&sum)[2][4], const HeadsView<float>& a, int64_t a_head, int64_t a0,
                                    const HeadsView<float>& b, int64_t b_head, int64_t b0, int64_t batch, Piece* left,
                                    Piece* right) {
  const Owner owner;
  for (auto& row : sum) {
    for (float& value : row) value = 0.0f;
  }
  for (int64_t d0 = 0; d0 < a.size; d0 += kBlock) {
    __syncthreads();
    load_piece(left, a, batch, a_head, a0, d0);
    load_piece(right, b, batch, b_head, b0, d0);
    __syncthreads();
    for (int d = 0; d < kBlock; ++d) {
      float left_part[2], right_part[4];
      for (int r = 0; r < 2; ++r) left_part[r] = left->at[owner.row + 16 * r][d];
      for (int c = 0; c < 4; ++c) right_part[c] = right->at[owner.col + 8 * c][d];
      for (int r = 0; r < 2; ++r) {
        for (int c = 0; c < 4; ++c) sum[r][c] = fmaf(left_part[r], right_part[c], sum[r][c]);
      }
    }
  }
}

// out[r][.] = out[r][.] * shrink[r] + sum over j of weight(r, j) * rows of `b` from b0 on; out has b.size columns per row, in
// shared memory. weights are read across (kTransposed: weight(r, j) = weights[j][r]).
template <bool kTransposed>
__device__ inline void add_weighted(float* out, const Piece& weights, const float* shrink, const HeadsView<float>& b,
                                    int64_t b_head, int64_t b0, int64_t batch, Piece* right) {
  const Owner owner;
  for (int64_t d0 = 0; d0 < b.size; d0 += kBlock) {
    __syncthreads();
    load_piece(right, b, batch, b_head, b0, d0);
    __syncthreads();
    float sum[2][4] = {};
    for (int j = 0; j < kBlock; ++j) {
      float left_part[2], right_part[4];
      for (int r = 0; r < 2; ++r) {
        const int row = owner.row + 16 * r;
        left_part[r] = kTransposed ? weights.at[j][row] : weights.at[row][j];
      }
      for (int c = 0; c < 4; ++c) right_part[c] = right->at[j][owner.col + 8 * c];
      for (int r = 0; r < 2; ++r) {
        for (int c = 0; c < 4; ++c) sum[r][c] = fmaf(left_part[r], right_part[c], sum[r][c]);
      }
    }
    owner.each([&](int r, int c, int row, int col) {
      if (d0 + col >= b.size) return;
      float* to = out + row * b.size + d0 + col;
      *to = fmaf(*to, shrink == nullptr ? 1.0f : shrink[row], sum[r][c]);
    });
  }
}

__device__ inline float exp_flush_of(float x) { return vexp_flush(VecF{x}).v; }

// piece[r][c] = body(piece[r][c], the factor of dropout of query i0 + r and key j0 + c); a thread takes four keys at a time.
template <class Body>
__device__ inline void each_factor(const AttentionView<float>& a, Piece* piece, int64_t batch, int64_t head, int64_t i0,
                                   int64_t j0, const Body& body) {
  constexpr int kFours = kBlock / philox::kLanes;
#pragma unroll 1
  for (int n = int(threadIdx.x); n < kBlock * kFours; n += kAttentionThreads) {
    const int row = n / kFours, col = n % kFours * philox::kLanes;
    const unsigned kept = a.dropout.kept_of_four(batch, head, i0 + row, j0 + col);
    for (int e = 0; e < philox::kLanes; ++e) {
      piece->at[row][col + e] = body(piece->at[row][col + e], a.dropout.factor(kept >> e & 1));
    }
  }
}

struct ForwardShared {
  Piece left, right, weights;
  float maximum[kBlock], total[kBlock], shrink[kBlock];
};
int64_t forward_shared_bytes(int64_t size) { return int64_t(sizeof(ForwardShared)) + kBlock * size * int64_t(sizeof(float)); }

// Block (queries / 32, head, batch).
__global__ void __launch_bounds__(kAttentionThreads)
    attention_kernel(AttentionView<float> a, HeadsView<float> y, float* log_sum) {
  DYNAMIC_SMEM(ForwardShared, shared);
  float* out = reinterpret_cast<float*>(shared + 1);
  const Owner owner;
  const int thread = int(threadIdx.x);
  const int64_t i0 = int64_t(blockIdx.x) * kBlock, head = blockIdx.y, batch = blockIdx.z, key_head = head / a.group;
  const int64_t query_end = i0 + kBlock < a.q.places ? i0 + kBlock : a.q.places, size = a.v.size;
  for (int64_t i = thread; i < kBlock * size; i += kAttentionThreads) out[i] = 0.0f;
  if (thread < kBlock) shared->maximum[thread] = -INFINITY, shared->total[thread] = 0.0f;
  const int64_t keys = a.key_end(query_end);
  for (int64_t j0 = 0; j0 < keys; j0 += kBlock) {
    float score[2][4];
    row_products(score, a.q, head, i0, a.k, key_head, j0, batch, &shared->left, &shared->right);
    owner.each([&](int r, int c, int row, int col) {
      shared->weights.at[row][col] = a.score(score[r][c], batch, head, i0 + row, j0 + col);
    });
    __syncthreads();
    // Four threads per row: neighbours in a warp.
    const int row = thread / 4, quarter = thread % 4;
    float largest = shared->maximum[row];
    for (int j = quarter; j < kBlock; j += 4) {
      const float s = shared->weights.at[row][j];
      largest = s > largest ? s : largest;
    }
    for (int distance = 1; distance < 4; distance *= 2) {
      const float other = __shfl_xor_sync(0xffffffffu, largest, distance);
      largest = other > largest ? other : largest;
    }
    const float base = largest == -INFINITY ? 0.0f : largest;
    double added = 0;
    for (int j = quarter; j < kBlock; j += 4) {
      const float e = exp_flush_of(shared->weights.at[row][j] - base);
      shared->weights.at[row][j] = e;
      added += double(e);
    }
    for (int distance = 1; distance < 4; distance *= 2) added += __shfl_xor_sync(0xffffffffu, added, distance);
    if (quarter == 0) {
      const float shrink = largest == shared->maximum[row] ? 1.0f : exp_flush_of(shared->maximum[row] - base);
      shared->total[row] = float(double(shared->total[row] * shrink) + added);
      shared->shrink[row] = shrink;
      shared->maximum[row] = largest;
    }
    if (a.dropout.state != nullptr) {
      __syncthreads();  // the sums of all weights are taken
      each_factor(a, &shared->weights, batch, head, i0, j0, [](float weight, float factor) { return drop(weight, factor); });
    }
    add_weighted<false>(out, shared->weights, shared->shrink, a.v, key_head, j0, batch, &shared->right);
  }
  __syncthreads();
  for (int64_t i = thread; i < kBlock * size; i += kAttentionThreads) {
    const int64_t row = i / size;
    if (i0 + row >= a.q.places) continue;
    const float total = shared->total[row];
    y.at(batch, i0 + row, head)[i % size] = total != 0 ? out[i] * float(1.0 / double(total)) : 0.0f;
  }
  if (thread < kBlock && i0 + thread < a.q.places) {
    const float total = shared->total[thread];
    log_sum[(batch * a.q.heads + head) * a.q.places + i0 + thread] =
        total != 0 ? float(double(shared->maximum[thread]) + log(double(total))) : -INFINITY;
  }
}

struct GradShared {
  Piece left, right, p, ds;
};

// P, dropped weights as 0, and dS of queries i0.. and keys j0.., into shared memory.
__device__ inline void block_gradients(const GradView<float>& g, GradShared* shared, int64_t batch, int64_t head, int64_t i0,
                                       int64_t j0) {
  const AttentionView<float>& a = g.a;
  const Owner owner;
  float score[2][4], dp[2][4];
  const bool drops = a.dropout.state != nullptr;
  if (drops) {
    __syncthreads();  // the last block's weights are used
    each_factor(a, &shared->p, batch, head, i0, j0, [](float, float factor) { return factor; });
  }
  row_products(score, a.q, head, i0, a.k, head / a.group, j0, batch, &shared->left, &shared->right);
  row_products(dp, g.dy, head, i0, a.v, head / a.group, j0, batch, &shared->left, &shared->right);
  owner.each([&](int r, int c, int row, int col) {
    float p = 0, ds = 0;
    if (i0 + row < a.q.places) {
      const int64_t at = g.row_of(batch, head, i0 + row);
      const float log_sum = g.log_sum[at];
      if (log_sum != -INFINITY) {
        const float exponent = a.score(score[r][c], batch, head, i0 + row, j0 + col) - log_sum;
        p = exp_flush_of(exponent > 0 ? 0.0f : exponent);
        const float factor = drops ? shared->p.at[row][col] : 1.0f;
        ds = p == 0 ? 0.0f : p * (drop(dp[r][c], factor) - g.delta[at]) * a.scale;
        p = drop(p, factor);
      }
    }
    shared->p.at[row][col] = p;
    shared->ds.at[row][col] = ds;
  });
  __syncthreads();
}

// Block (queries / 32, head, batch): dq.
__global__ void __launch_bounds__(kAttentionThreads) query_gradient_kernel(GradView<float> g) {
  DYNAMIC_SMEM(GradShared, shared);
  float* out = reinterpret_cast<float*>(shared + 1);
  const int64_t i0 = int64_t(blockIdx.x) * kBlock, head = blockIdx.y, batch = blockIdx.z, size = g.a.q.size;
  const int64_t query_end = i0 + kBlock < g.a.q.places ? i0 + kBlock : g.a.q.places;
  for (int64_t i = threadIdx.x; i < kBlock * size; i += kAttentionThreads) out[i] = 0.0f;
  const int64_t keys = g.a.key_end(query_end);
  for (int64_t j0 = 0; j0 < keys; j0 += kBlock) {
    block_gradients(g, shared, batch, head, i0, j0);
    add_weighted<false>(out, shared->ds, nullptr, g.a.k, head / g.a.group, j0, batch, &shared->right);
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < (query_end - i0) * size; i += kAttentionThreads) {
    g.dq.at(batch, i0 + i / size, head)[i % size] = out[i];
  }
}

// Block (keys / 32, head of the keys, batch): dk and dv, over the query heads of the group and blocks of queries. Four blocks
// to a multiprocessor: left to itself the compiler goes for more, and spills.
__global__ void __launch_bounds__(kAttentionThreads, 4) key_gradient_kernel(GradView<float> g) {
  DYNAMIC_SMEM(GradShared, shared);
  const int64_t j0 = int64_t(blockIdx.x) * kBlock, key_head = blockIdx.y, batch = blockIdx.z;
  const int64_t size = g.a.k.size, value_size = g.a.v.size;
  const int64_t key_end = j0 + kBlock < g.a.k.places ? j0 + kBlock : g.a.k.places;
  float *dk = reinterpret_cast<float*>(shared + 1), *dv = dk + kBlock * size;
  for (int64_t i = threadIdx.x; i < kBlock * (size + value_size); i += kAttentionThreads) dk[i] = 0.0f;
  const int64_t first = g.a.query_begin(j0) / kBlock * kBlock;
  for (int64_t head = key_head * g.a.group; head < (key_head + 1) * g.a.group; ++head) {
    for (int64_t i0 = first; i0 < g.a.q.places; i0 += kBlock) {
      block_gradients(g, shared, batch, head, i0, j0);
      add_weighted<true>(dv, shared->p, nullptr, g.dy, head, i0, batch, &shared->right);
      add_weighted<true>(dk, shared->ds, nullptr, g.a.q, head, i0, batch, &shared->right);
    }
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < (key_end - j0) * size; i += kAttentionThreads) {
    g.dk.at(batch, j0 + i / size, key_head)[i % size] = dk[i];
  }
  for (int64_t i = threadIdx.x; i < (key_end - j0) * value_size; i += kAttentionThreads) {
    g.dv.at(batch, j0 + i / value_size, key_head)[i % value_size] = dv[i];
  }
}

template <class Kernel, class... Args>
void launch_blocks(const CudaContext& context, Kernel* kernel, int64_t places, int64_t heads, int64_t batch, int64_t bytes,
                   const Args&... args) {
  if (places == 0 || heads == 0 || batch == 0) return;
  TK_CHECK(heads <= 65535 && batch <= 65535);  // a grid's y and z
  if (bytes > 48 * 1024) check_cuda(allow_shared(kernel, size_t(bytes)), "the shared memory of attention");
  context.launch(kernel, dim3(unsigned((places + kBlock - 1) / kBlock), unsigned(heads), unsigned(batch)),
                 dim3(kAttentionThreads), size_t(bytes), args...);
}

template <class T>
void attention_half(const OpCall& call, const CudaContext& context) {
  const AttentionView<T> a = read_attention_call<T>(call);
  const HeadsView<T> y(call[5].data, a.q.places, a.q.heads, a.v.size);
  if (takes_hopper(a, y, context)) return attention_hopper(context, a, y, call[6].f32());
  attention_tiles(context, a, y, call[6].f32());
}

}  // namespace

bool attention_cuda_takes_half(const OpCall& call) {
  return is_tiled(call[0], call[2]) && call[1].dtype == call[0].dtype && call[2].dtype == call[0].dtype &&
         call[5].dtype == call[0].dtype && call[6].dtype == DType::f32;
}

void attention_cuda(const OpCall& call, CudaContext& context) {
  if (call[0].dtype == DType::bf16) return attention_half<__nv_bfloat16>(call, context);
  if (call[0].dtype == DType::f16) return attention_half<__half>(call, context);
  const AttentionView<float> a = read_attention_call<float>(call);
  launch_blocks(context, attention_kernel, a.q.places, a.q.heads, a.batch, forward_shared_bytes(a.v.size), a,
                HeadsView<float>(call[5].data, a.q.places, a.q.heads, a.v.size), call[6].f32());
}

bool attention_grad_cuda_takes_half(const OpCall& call) {
  const DType type = call[1].dtype;
  for (const int i : {0, 2, 3, 6, 8, 9, 10}) {
    if (call[i].dtype != type) return false;
  }
  return is_tiled(call[1], call[3]) && call[7].dtype == DType::f32;
}

int64_t attention_grad_cuda_workspace(const OpCall& call) { return call[7].size * int64_t(sizeof(float)); }

void attention_grad_cuda(const OpCall& call, CudaContext& context) {
  if (call[1].dtype == DType::bf16) return attention_grad_tiles<__nv_bfloat16>(call, context);
  if (call[1].dtype == DType::f16) return attention_grad_tiles<__half>(call, context);
  const GradView<float> g = read_grad_view<float>(call);
  const AttentionView<float>& a = g.a;
  launch_delta(context, g, call[7].size);
  const int64_t bytes = sizeof(GradShared);
  launch_blocks(context, query_gradient_kernel, a.q.places, a.q.heads, a.batch,
                bytes + kBlock * a.q.size * int64_t(sizeof(float)), g);
  launch_blocks(context, key_gradient_kernel, a.k.places, a.k.heads, a.batch,
                bytes + kBlock * (a.k.size + a.v.size) * int64_t(sizeof(float)), g);
}

TK_END_CUDA
