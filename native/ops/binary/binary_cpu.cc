#include "ops/binary/binary.h"

#include "ops/common/binary_math.h"
#include "ops/common/broadcast.h"

TK_BEGIN_LEVEL
namespace {

template <class Op, class In, class Out>
void map_vectors(const void* const* inputs, const int64_t* steps, void* y_data, int64_t n, bool stream) {
  const In* a = static_cast<const In*>(inputs[0]);
  const In* b = static_cast<const In*>(inputs[1]);
  Out* y = static_cast<Out*>(y_data);
  const int64_t a_step = steps[0] * kVecWidth, b_step = steps[1] * kVecWidth;
  int64_t i = 0;
  if constexpr (sizeof(Out) == 4) {
    if (stream) {
      for (; i + kVecWidth <= n; i += kVecWidth, a += a_step, b += b_step) {
        stream_lanes(y + i, Op::f(load_lanes(a), load_lanes(b)));
      }
    }
  }
  for (; i + kVecWidth <= n; i += kVecWidth, a += a_step, b += b_step) {
    store_lanes(y + i, Op::f(load_lanes(a), load_lanes(b)));
  }
  const int rest = int(n - i);
  if (rest > 0) store_lanes_part(y + i, Op::f(load_lanes_part(a, rest), load_lanes_part(b, rest)), rest);
}

// Blocks of constant length become vector code; a repeated operand holds one block.
template <class Op>
void map_bytes(const void* const* inputs, const int64_t* steps, void* y_data, int64_t n, bool) {
  const uint8_t* a = static_cast<const uint8_t*>(inputs[0]);
  const uint8_t* b = static_cast<const uint8_t*>(inputs[1]);
  uint8_t* y = static_cast<uint8_t*>(y_data);
  const int64_t a_step = steps[0] * kSplatBytes, b_step = steps[1] * kSplatBytes;
  for (; n >= kSplatBytes; n -= kSplatBytes, a += a_step, b += b_step, y += kSplatBytes) {
    uint8_t block[kSplatBytes];
    for (int64_t i = 0; i < kSplatBytes; ++i) block[i] = Op::f(a[i], b[i]);
    std::memcpy(y, block, size_t(kSplatBytes));
  }
  for (int64_t i = 0; i < n; ++i) y[i] = Op::f(a[i], b[i]);
}

template <class Op>
BroadcastLoop loop_of(DType dtype) {
  if constexpr (requires { store_lanes(static_cast<float*>(nullptr), Op::f(VecF{}, VecF{})); }) {
    if (dtype == DType::f32) return &map_vectors<Op, float, float>;
  } else if constexpr (requires { Op::f(VecF{}, VecF{}); }) {
    if (dtype == DType::f32) return &map_vectors<Op, float, uint8_t>;
  }
  if constexpr (requires { store_lanes(static_cast<int32_t*>(nullptr), Op::f(VecI{}, VecI{})); }) {
    if (dtype == DType::i32) return &map_vectors<Op, int32_t, int32_t>;
  } else if constexpr (requires { Op::f(VecI{}, VecI{}); }) {
    if (dtype == DType::i32) return &map_vectors<Op, int32_t, uint8_t>;
  }
  if constexpr (requires { Op::f(uint8_t(0), uint8_t(0)); }) {
    if (dtype == DType::u8) return &map_bytes<Op>;
  }
  fail_check(__FILE__, __LINE__, "dtype of a", int64_t(dtype));
}

constexpr int64_t kGrain_elements = kCheapGrain;
constexpr int64_t kGrain_transcend = kLibmGrain;

template <class T>
void select_elements(const void* const* inputs, const int64_t* steps, void* y_data, int64_t n, bool) {
  constexpr int64_t kBlock = kSplatBytes / int64_t(sizeof(T));
  const uint8_t* c = static_cast<const uint8_t*>(inputs[0]);
  const T* a = static_cast<const T*>(inputs[1]);
  const T* b = static_cast<const T*>(inputs[2]);
  T* y = static_cast<T*>(y_data);
  const int64_t c_step = steps[0] * kBlock, a_step = steps[1] * kBlock, b_step = steps[2] * kBlock;
  for (; n >= kBlock; n -= kBlock, c += c_step, a += a_step, b += b_step, y += kBlock) {
    T block[kBlock];
    for (int64_t i = 0; i < kBlock; ++i) {
      const T mask = T(-T(c[i] != 0));
      block[i] = T((a[i] & mask) | (b[i] & T(~mask)));
    }
    std::memcpy(y, block, size_t(kSplatBytes));
  }
  for (int64_t i = 0; i < n; ++i) y[i] = c[i] != 0 ? a[i] : b[i];
}

}  // namespace

#define TK_OP(...)
#define TK_UNARY(...)
#define TK_BINARY(name, dtypes, cost)                                                  \
  void name##_cpu(const OpCall& call, CpuContext& context) {                           \
    run_broadcast(call, context, loop_of<binary::name>(call[0].dtype), kGrain_##cost); \
  }
#include "ops/ops.def"

void select_cpu(const OpCall& call, CpuContext& context) {
  const bool words = dtype_bytes(call[1].dtype) == 4;
  run_broadcast(call, context, words ? &select_elements<uint32_t> : &select_elements<uint8_t>, kCheapGrain);
}

TK_END_LEVEL
