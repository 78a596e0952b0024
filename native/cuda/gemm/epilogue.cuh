// What a kernel does with a finished sum: GemmEpilogue for one element, and for a tile of sums in shared memory.
#pragma once
#include "cuda/gemm/gemm.h"
// context.h first.
#include "ops/common/activation_math.h"

namespace tk::cuda {

__device__ inline float apply_activation(int kind, float x) {
  switch (kind) {
    case 1: return activation::relu::f(VecF{x}).v;
    case 2: return activation::sigmoid::f(VecF{x}).v;
    case 3: return activation::tanh::f(VecF{x}).v;
    case 4: return activation::gelu::f(VecF{x}).v;
    case 5: return activation::gelu_tanh::f(VecF{x}).v;
    case 6: return activation::silu::f(VecF{x}).v;
    case 7: return activation::mish::f(VecF{x}).v;
    default: return x;
  }
}
__device__ inline float activation_slope(int kind, float saved) {
  switch (kind) {
    case 1: return activation::relu::derivative(VecF{saved}).v;
    case 2: return activation::sigmoid::derivative(VecF{saved}).v;
    case 3: return activation::tanh::derivative(VecF{saved}).v;
    case 4: return activation::gelu::derivative(VecF{saved}).v;
    case 5: return activation::gelu_tanh::derivative(VecF{saved}).v;
    case 6: return activation::silu::derivative(VecF{saved}).v;
    case 7: return activation::mish::derivative(VecF{saved}).v;
    default: return 1.0f;
  }
}

template <class T>
__device__ inline float to_float(T x) {
  return float(x);
}

__device__ inline float load_as(DType type, const void* x, int64_t at) {
  if (type == DType::f32) return static_cast<const float*>(x)[at];
  if (type == DType::bf16) return float(static_cast<const __nv_bfloat16*>(x)[at]);
  return float(static_cast<const __half*>(x)[at]);
}
__device__ inline void store_as(DType type, void* y, int64_t at, float v) {
  if (type == DType::f32) {
    static_cast<float*>(y)[at] = v;
  } else if (type == DType::bf16) {
    static_cast<__nv_bfloat16*>(y)[at] = __float2bfloat16(v);
  } else {
    static_cast<__half*>(y)[at] = __float2half(v);
  }
}

// The value to store for sum `v` of column `col` at position `at` of y.
__device__ inline float finish_sum(const GemmEpilogue& e, float v, int64_t col, int64_t at) {
  if (e.bias != nullptr) v = v + load_as(e.type, e.bias, col);
  if (e.residual != nullptr) v = v + load_as(e.type, e.residual, at);
  if (e.saved != nullptr) store_as(e.type, e.saved, at, v);
  if (e.gradient_at != nullptr) return v * activation_slope(e.activation, load_as(e.type, e.gradient_at, at));
  return e.activation == 0 ? v : apply_activation(e.activation, v);
}

}  // namespace tk::cuda
