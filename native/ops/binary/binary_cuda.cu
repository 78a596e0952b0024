#include "cuda/context.h"
// context.h first: it chooses the formulas' one-lane form.
#include "ops/binary/binary.h"
#include "ops/common/binary_math.h"
#include "ops/common/broadcast.h"

TK_BEGIN_CUDA
namespace {

// Where element i of y finds its inputs.
struct BroadcastIndex {
  Unravel unravel;
  int64_t strides[kMaxInputs][kMaxRank];

  explicit BroadcastIndex(const BroadcastPlan& plan) {
    unravel.rank = plan.rank;
    unravel.small = plan.total <= INT32_MAX;
    for (int axis = 0; axis < plan.rank; ++axis) unravel.dims[axis] = plan.dims[axis];
    for (int input = 0; input < kMaxInputs; ++input) {
      for (int axis = 0; axis < kMaxRank; ++axis) strides[input][axis] = plan.strides[input][axis];
    }
  }
  template <int kInputs>
  __device__ void find(int64_t i, int64_t (&offsets)[kInputs]) const {
    for (int input = 0; input < kInputs; ++input) offsets[input] = 0;
    unravel(i, [&](int axis, int64_t index) {
      for (int input = 0; input < kInputs; ++input) offsets[input] += index * strides[input][axis];
    });
  }
};

__device__ inline VecF as_lane(float x) { return {x}; }
__device__ inline VecI as_lane(int32_t x) { return {x}; }
__device__ inline uint8_t as_lane(uint8_t x) { return x; }
__device__ inline float lane_value(VecF y) { return y.v; }
__device__ inline int32_t lane_value(VecI y) { return y.v; }
__device__ inline uint8_t lane_value(Mask y) { return y.v; }
__device__ inline uint8_t lane_value(uint8_t y) { return y; }

template <class Op, class In, class Out>
void map_pairs(const OpCall& call, const CudaContext& context) {
  const BroadcastPlan plan = plan_broadcast(call);
  const In* a = static_cast<const In*>(call[0].data);
  const In* b = static_cast<const In*>(call[1].data);
  Out* y = static_cast<Out*>(call[2].data);
  if (plan.total == 0) return;
  if (plan.dense[0] && plan.dense[1]) {
    for_each(context, plan.total, [=] __device__(int64_t i) { y[i] = lane_value(Op::f(as_lane(a[i]), as_lane(b[i]))); });
    return;
  }
  const BroadcastIndex index(plan);
  for_each(context, plan.total, [=] __device__(int64_t i) {
    int64_t at[2];
    index.find(i, at);
    y[i] = lane_value(Op::f(as_lane(a[at[0]]), as_lane(b[at[1]])));
  });
}

template <class Op>
void run_binary(const OpCall& call, const CudaContext& context) {
  const DType dtype = call[0].dtype;
  if constexpr (requires { Op::f(VecF{}, VecF{}); }) {
    if (dtype == DType::f32) {
      if constexpr (std::is_same_v<decltype(Op::f(VecF{}, VecF{})), VecF>) {
        return map_pairs<Op, float, float>(call, context);
      } else {
        return map_pairs<Op, float, uint8_t>(call, context);
      }
    }
  }
  if constexpr (requires { Op::f(VecI{}, VecI{}); }) {
    if (dtype == DType::i32) {
      if constexpr (std::is_same_v<decltype(Op::f(VecI{}, VecI{})), VecI>) {
        return map_pairs<Op, int32_t, int32_t>(call, context);
      } else {
        return map_pairs<Op, int32_t, uint8_t>(call, context);
      }
    }
  }
  if constexpr (requires { Op::f(uint8_t(0), uint8_t(0)); }) {
    if (dtype == DType::u8) return map_pairs<Op, uint8_t, uint8_t>(call, context);
  }
  fail_check(__FILE__, __LINE__, "dtype of a", int64_t(dtype));
}

template <class T>
void select_pairs(const OpCall& call, const CudaContext& context) {
  const BroadcastPlan plan = plan_broadcast(call);
  if (plan.total == 0) return;
  const uint8_t* condition = call[0].u8();
  const T* a = static_cast<const T*>(call[1].data);
  const T* b = static_cast<const T*>(call[2].data);
  T* y = static_cast<T*>(call[3].data);
  const BroadcastIndex index(plan);
  for_each(context, plan.total, [=] __device__(int64_t i) {
    int64_t at[3];
    index.find(i, at);
    y[i] = condition[at[0]] != 0 ? a[at[1]] : b[at[2]];
  });
}

}  // namespace

#define TK_OP(...)
#define TK_UNARY(...)
#define TK_BINARY(name, dtypes, cost) \
  void name##_cuda(const OpCall& call, CudaContext& context) { run_binary<binary::name>(call, context); }
#include "ops/ops.def"

void select_cuda(const OpCall& call, CudaContext& context) {
  dtype_bytes(call[1].dtype) == 4 ? select_pairs<uint32_t>(call, context) : select_pairs<uint8_t>(call, context);
}

TK_END_CUDA
