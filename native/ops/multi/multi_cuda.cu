#include "ops/common/multi_tensor_cuda.cuh"
// context.h first.
#include "ops/multi/multi.h"

TK_BEGIN_CUDA
namespace {

// Squares in double stay in range and lose nothing, so neither overflow nor tiny values need a second pass.
struct SquaresFold {
  static constexpr int kGroups = 1, kSums = 2;
  static constexpr unsigned kWrites = 0;
  __device__ void prepare(int64_t, int64_t, double*) {}
  __device__ void operator()(float (&value)[1], double* sums) const {
    sums[0] += double(value[0]) * double(value[0]);
    sums[1] += fabsf(value[0]) < INFINITY ? 0.0 : 1.0;
  }
};

struct ScaleUpdate {
  static constexpr int kGroups = 2;
  static constexpr unsigned kReads = 1, kWrites = 2;
  const float* factor;
  float by = 0;
  __device__ void prepare() { by = *factor; }
  __device__ void operator()(float (&value)[2]) const { value[1] = value[0] * by; }
};

__device__ inline float clip_factor(float norm, float limit) {
  const float ratio = float(double(limit) / (double(norm) + 1e-6));
  return ratio < 1.0f ? ratio : 1.0f;
}

struct ClipUpdate {
  static constexpr int kGroups = 2;
  static constexpr unsigned kReads = 1, kWrites = 2;
  const float *norm, *limit;
  float by = 0;
  __device__ void prepare() { by = clip_factor(*norm, *limit); }
  __device__ void operator()(float (&value)[2]) const { value[1] = value[0] * by; }
};

// Clips each member by the norm that the sums of its chunks make.
struct ClipEachFold {
  static constexpr int kGroups = 2, kSums = 0;
  static constexpr unsigned kWrites = 2;
  const double* chunk_sums;
  const float* limit;
  float by = 0;
  __device__ void prepare(int64_t first, int64_t end, double* shared) {
    double total = 0;
    for (int64_t c = first + threadIdx.x; c < end; c += blockDim.x) total += chunk_sums[2 * c];
    total = block_reduce(total, shared, [](double a, double b) { return a + b; });
    by = clip_factor(float(sqrt(total)), *limit);
  }
  __device__ void operator()(float (&value)[2], double*) const { value[1] = value[0] * by; }
};

struct ClampUpdate {
  static constexpr int kGroups = 2;
  static constexpr unsigned kReads = 1, kWrites = 2;
  const float* limit;
  float high = 0;
  __device__ void prepare() { high = *limit; }
  __device__ void operator()(float (&value)[2]) const {
    const float v = value[0];
    value[1] = v > high ? high : v < -high ? -high : v;
  }
};

}  // namespace

int64_t multi_norm_cuda_workspace(const OpCall& call) { return 2 * count_sum_chunks(call, 0) * int64_t(sizeof(double)); }

void multi_norm_cuda(const OpCall& call, CudaContext& context) {
  const Operand &norm_operand = call[call.star_count], &finite_operand = call[call.star_count + 1];
  TK_CHECK_EQ(norm_operand.size, 1);
  TK_CHECK_EQ(finite_operand.size, 1);
  double* sums = static_cast<double*>(call.workspace);
  fold_members(call, context, 0, sums, SquaresFold{});
  const int64_t chunks = count_sum_chunks(call, 0);
  float* norm = norm_operand.f32();
  uint8_t* finite = finite_operand.u8();
  for_each(context, 1, [=] __device__(int64_t) {
    double total = 0, wrong = 0;
    for (int64_t i = 0; i < chunks; ++i) total += sums[2 * i], wrong += sums[2 * i + 1];
    norm[0] = float(sqrt(total));
    finite[0] = wrong == 0;
  });
}

void multi_scale_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].size, 1);
  update_members(call, context, 1, ScaleUpdate{call[0].f32()});
}

void multi_clip_norm_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].size, 1);
  TK_CHECK_EQ(call[1].size, 1);
  update_members(call, context, 2, ClipUpdate{call[0].f32(), call[1].f32()});
}

int64_t multi_clip_each_cuda_workspace(const OpCall& call) { return 2 * count_sum_chunks(call, 1) * int64_t(sizeof(double)); }

void multi_clip_each_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].size, 1);
  check_members(call, 1, 2, 3);
  double* sums = static_cast<double*>(call.workspace);
  fold_members(call, context, 1, sums, SquaresFold{});
  fold_members(call, context, 1, static_cast<double*>(nullptr), ClipEachFold{sums, call[0].f32()});
}

void multi_clamp_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].size, 1);
  update_members(call, context, 1, ClampUpdate{call[0].f32()});
}

TK_END_CUDA
