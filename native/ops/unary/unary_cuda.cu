#include "cuda/context.h"
// context.h first: it chooses the formulas' one-lane form.
#include "ops/common/unary_math.h"
#include "ops/unary/unary.h"

TK_BEGIN_CUDA
namespace {

// The scalar each vector type of the formulas carries, and how it is stored.
__device__ inline VecF to_lane(float x) { return {x}; }
__device__ inline VecI to_lane(int32_t x) { return {x}; }
__device__ inline uint8_t to_lane(uint8_t x) { return x; }
__device__ inline float from_lane(VecF y) { return y.v; }
__device__ inline int32_t from_lane(VecI y) { return y.v; }
__device__ inline uint8_t from_lane(Mask y) { return y.v; }
__device__ inline uint8_t from_lane(uint8_t y) { return y; }

// Four elements at once where both addresses allow it: 16-byte loads and stores for f32 and i32.
template <class T>
struct alignas(4 * sizeof(T)) Quad {
  T of[4];
};

template <class Op, class In, class Out>
void map_elements(const CudaContext& context, const Op& op, const void* x_data, void* y_data, int64_t n) {
  const In* x = static_cast<const In*>(x_data);
  Out* y = static_cast<Out*>(y_data);
  int64_t done = 0;
  if (uintptr_t(x) % sizeof(Quad<In>) == 0 && uintptr_t(y) % sizeof(Quad<Out>) == 0) {
    const auto* x4 = reinterpret_cast<const Quad<In>*>(x);
    auto* y4 = reinterpret_cast<Quad<Out>*>(y);
    for_each(context, n / 4, [=] __device__(int64_t i) {
      const Quad<In> in = x4[i];
      Quad<Out> out;
      for (int k = 0; k < 4; ++k) out.of[k] = from_lane(op.f(to_lane(in.of[k])));
      y4[i] = out;
    });
    done = n / 4 * 4;
  }
  for_each(context, n - done, [=] __device__(int64_t i) { y[done + i] = from_lane(op.f(to_lane(x[done + i]))); });
}

template <class Op>
void run_unary(const OpCall& call, const CudaContext& context, const Op& op) {
  const Operand& x = call[0];
  const Operand& y = call[1];
  TK_CHECK_EQ(x.size, y.size);
  if constexpr (requires { op.f(VecF{}); }) {
    if (x.dtype == DType::f32) {
      if constexpr (std::is_same_v<decltype(op.f(VecF{})), VecF>) {
        return map_elements<Op, float, float>(context, op, x.data, y.data, y.size);
      } else {
        return map_elements<Op, float, uint8_t>(context, op, x.data, y.data, y.size);
      }
    }
  }
  if constexpr (requires { op.f(VecI{}); }) {
    if (x.dtype == DType::i32) return map_elements<Op, int32_t, int32_t>(context, op, x.data, y.data, y.size);
  }
  if constexpr (requires { op.f(uint8_t(0)); }) {
    if (x.dtype == DType::u8) return map_elements<Op, uint8_t, uint8_t>(context, op, x.data, y.data, y.size);
  }
  fail_check(__FILE__, __LINE__, "dtype of x", int64_t(x.dtype));
}

// A bound of clip as an int32 limit and value. x > bound is x > floor(bound); x < bound is x < ceil(bound).
int32_t clamp_to_int32(double value) {
  return value >= 2147483647.0 ? INT32_MAX : value <= -2147483648.0 ? INT32_MIN : int32_t(value);
}

}  // namespace

#define TK_OP(...)
#define TK_UNARY(name, dtypes, cost) \
  void name##_cuda(const OpCall& call, CudaContext& context) { run_unary(call, context, unary::name{}); }
#include "ops/ops.def"

void leaky_relu_cuda(const OpCall& call, CudaContext& context) {
  run_unary(call, context, unary::LeakyRelu{float(TK_FLOAT(call, leaky_relu, alpha))});
}

void step_cuda(const OpCall& call, CudaContext& context) {
  const double alpha = TK_FLOAT(call, step, alpha);
  run_unary(call, context, unary::Step{float(alpha), clamp_to_int32(alpha)});
}

void clip_cuda(const OpCall& call, CudaContext& context) {
  const double low = TK_FLOAT(call, clip, min), high = TK_FLOAT(call, clip, max);
  run_unary(call, context,
            unary::Clip{float(low), float(high), clamp_to_int32(::ceil(low)), clamp_to_int32(low),
                        clamp_to_int32(::floor(high)), clamp_to_int32(high)});
}

void copy_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].bytes(), call[1].bytes());
  if (call[0].data == call[1].data || call[1].size == 0) return;
  context.copy(call[1].data, call[0].data, size_t(call[1].bytes()));
}

TK_END_CUDA
