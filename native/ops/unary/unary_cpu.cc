#include "ops/unary/unary.h"

#include "ops/common/elementwise.h"
#include "ops/common/unary_math.h"

TK_BEGIN_LEVEL
namespace {

// Applies the formula at `op` to n elements. stream: y is aligned to a vector and may be written past the caches.
using UnaryLoop = void (*)(const void* op, const void* x, void* y, int64_t n, bool stream);

// Cheap: bound by memory, so that the body may be repeated.
template <class Op, class In, class Out, bool Cheap>
void map_vectors(const void* op_data, const void* x_data, void* y_data, int64_t n, bool stream) {
  const Op op = *static_cast<const Op*>(op_data);
  const In* x = static_cast<const In*>(x_data);
  Out* y = static_cast<Out*>(y_data);
  int64_t i = 0;
  if constexpr (sizeof(Out) == 4) {
    if (Cheap && stream) i = for_streamed_lines(n, [&](int64_t at) { stream_lanes(y + at, op.f(load_lanes(x + at))); });
    if (stream) {
      for (; i + kVecWidth <= n; i += kVecWidth) stream_lanes(y + i, op.f(load_lanes(x + i)));
    }
  }
  for (; i + kVecWidth <= n; i += kVecWidth) store_lanes(y + i, op.f(load_lanes(x + i)));
  if (i < n) store_lanes_part(y + i, op.f(load_lanes_part(x + i, int(n - i))), int(n - i));
}

template <class Op>
void map_bytes(const void*, const void* x_data, void* y_data, int64_t n, bool) {
  const uint8_t* x = static_cast<const uint8_t*>(x_data);
  uint8_t* y = static_cast<uint8_t*>(y_data);
  for (int64_t i = 0; i < n; ++i) y[i] = Op::f(x[i]);
}

void run(const OpCall& call, CpuContext& context, UnaryLoop loop, const void* op, int64_t grain) {
  const Operand& x = call[0];
  const Operand& y = call[1];
  TK_CHECK_EQ(x.size, y.size);
  const int64_t x_bytes = dtype_bytes(x.dtype), y_bytes = dtype_bytes(y.dtype);
  const char* from = static_cast<const char*>(x.data);
  char* to = static_cast<char*>(y.data);
  // Units start at multiples of grain, so their addresses are as aligned as y's.
  const bool stream = y_bytes == 4 && y.bytes() >= kStreamBytes && from != to && is_aligned(to, 64);
  context.parallel_for(y.size, grain, [&](int64_t begin, int64_t end, int) {
    loop(op, from + begin * x_bytes, to + begin * y_bytes, end - begin, stream);
    if (stream) stream_fence();
  });
}

template <bool Cheap, class Op>
void run_op(const OpCall& call, CpuContext& context, const Op& op, int64_t grain) {
  const DType dtype = call[0].dtype;
  if constexpr (requires { op.f(VecF{}); }) {
    if (dtype == DType::f32) {
      if constexpr (requires { store_lanes(static_cast<float*>(nullptr), op.f(VecF{})); }) {
        return run(call, context, &map_vectors<Op, float, float, Cheap>, &op, grain);
      } else {
        return run(call, context, &map_vectors<Op, float, uint8_t, Cheap>, &op, grain);
      }
    }
  }
  if constexpr (requires { op.f(VecI{}); }) {
    if (dtype == DType::i32) return run(call, context, &map_vectors<Op, int32_t, int32_t, Cheap>, &op, grain);
  }
  if constexpr (requires { op.f(uint8_t(0)); }) {
    if (dtype == DType::u8) return run(call, context, &map_bytes<Op>, &op, grain);
  }
  fail_check(__FILE__, __LINE__, "dtype of x", int64_t(dtype));
}

constexpr int64_t kGrain_elements = kCheapGrain;
constexpr int64_t kGrain_transcend = kMathGrain;

// A bound of clip as an int32 limit and value. x > bound is x > floor(bound); x < bound is x < ceil(bound).
int32_t to_int32_clamped(double value) {
  return value >= 2147483647.0 ? INT32_MAX : value <= -2147483648.0 ? INT32_MIN : int32_t(value);
}

}  // namespace

#define TK_OP(...)
#define TK_UNARY(name, dtypes, cost)                                                   \
  void name##_cpu(const OpCall& call, CpuContext& context) {                           \
    run_op<kGrain_##cost == kCheapGrain>(call, context, unary::name{}, kGrain_##cost); \
  }
#include "ops/ops.def"

void leaky_relu_cpu(const OpCall& call, CpuContext& context) {
  run_op<true>(call, context, unary::LeakyRelu{float(TK_FLOAT(call, leaky_relu, alpha))}, kCheapGrain);
}

void step_cpu(const OpCall& call, CpuContext& context) {
  const double alpha = TK_FLOAT(call, step, alpha);
  run_op<true>(call, context, unary::Step{float(alpha), to_int32_clamped(alpha)}, kCheapGrain);
}

void clip_cpu(const OpCall& call, CpuContext& context) {
  const double low = TK_FLOAT(call, clip, min), high = TK_FLOAT(call, clip, max);
  const unary::Clip op = {float(low),
                          float(high),
                          to_int32_clamped(::ceil(low)),
                          to_int32_clamped(low),
                          to_int32_clamped(::floor(high)),
                          to_int32_clamped(high)};
  run_op<true>(call, context, op, kCheapGrain);
}

void copy_cpu(const OpCall& call, CpuContext& context) {
  const Operand& x = call[0];
  const Operand& y = call[1];
  TK_CHECK_EQ(x.bytes(), y.bytes());
  if (x.data == y.data) return;
  const char* from = static_cast<const char*>(x.data);
  char* to = static_cast<char*>(y.data);
  context.parallel_for(y.bytes(), kCheapGrain * 4,
                       [&](int64_t begin, int64_t end, int) { std::memcpy(to + begin, from + begin, size_t(end - begin)); });
}

TK_END_LEVEL
