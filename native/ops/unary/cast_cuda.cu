#include "cuda/context.h"
// context.h first.
#include "core/half.h"
#include "ops/unary/unary.h"

TK_BEGIN_CUDA
namespace {

struct Half {
  uint16_t bits;
};
struct Bfloat {
  uint16_t bits;
};

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(int32_t x) { return float(x); }
__device__ inline float widen(uint8_t x) { return float(x); }
__device__ inline float widen(Half x) { return f16_to_f32(x.bits); }
__device__ inline float widen(Bfloat x) { return bf16_to_f32(x.bits); }

__device__ inline void narrow(float x, float* y) { *y = x; }
// ToInt32 of ECMAScript: towards zero, modulo 2^32; NaN and infinities give 0. From 2^56 on a float is a multiple of 2^32.
__device__ inline void narrow(float x, int32_t* y) {
  *y = fabsf(x) < 72057594037927936.0f ? int32_t(uint32_t(uint64_t(int64_t(x)))) : 0;
}
__device__ inline void narrow(float x, uint8_t* y) { *y = x != 0.0f; }
__device__ inline void narrow(float x, Half* y) { y->bits = f32_to_f16(x); }
__device__ inline void narrow(float x, Bfloat* y) { y->bits = f32_to_bf16(x); }

template <class From, class To>
__device__ inline void convert(From x, To* y) {
  if constexpr (std::is_same_v<From, int32_t> && std::is_same_v<To, uint8_t>) {
    *y = x != 0;
  } else if constexpr (std::is_same_v<From, uint8_t> && std::is_same_v<To, int32_t>) {
    *y = x;
  } else {
    narrow(widen(x), y);
  }
}

template <class From, class To>
void cast_elements(const CudaContext& context, const void* x_data, void* y_data, int64_t n) {
  const From* x = static_cast<const From*>(x_data);
  To* y = static_cast<To*>(y_data);
  for_each(context, n, [=] __device__(int64_t i) { convert(x[i], y + i); });
}

template <class From>
void cast_from(const OpCall& call, const CudaContext& context) {
  const void* x = call[0].data;
  const Operand& y = call[1];
  switch (y.dtype) {
    case DType::f32: return cast_elements<From, float>(context, x, y.data, y.size);
    case DType::i32: return cast_elements<From, int32_t>(context, x, y.data, y.size);
    case DType::u8: return cast_elements<From, uint8_t>(context, x, y.data, y.size);
    case DType::f16: return cast_elements<From, Half>(context, x, y.data, y.size);
    case DType::bf16: return cast_elements<From, Bfloat>(context, x, y.data, y.size);
  }
}

}  // namespace

void copy_cuda(const OpCall& call, CudaContext& context);

void cast_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].size, call[1].size);
  if (call[0].dtype == call[1].dtype) return copy_cuda(call, context);
  switch (call[0].dtype) {
    case DType::f32: return cast_from<float>(call, context);
    case DType::i32: return cast_from<int32_t>(call, context);
    case DType::u8: return cast_from<uint8_t>(call, context);
    case DType::f16: return cast_from<Half>(call, context);
    case DType::bf16: return cast_from<Bfloat>(call, context);
  }
}

TK_END_CUDA
