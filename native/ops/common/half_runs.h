// Runs of numbers of a 16-bit storage dtype to and from f32. Results are those of core/half.h, bit for bit.
#pragma once
#include "core/half.h"
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// F16C comes with every processor of the AVX2 level.
TK_INLINE void narrow_to_f16(const float* x, uint16_t* y, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  }
#endif
  for (; i < n; ++i) y[i] = f32_to_f16(x[i]);
}
TK_INLINE void widen_f16(const uint16_t* x, float* y, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i))));
  }
#endif
  for (; i < n; ++i) y[i] = f16_to_f32(x[i]);
}
TK_INLINE void narrow_to_bf16(const float* x, uint16_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = f32_to_bf16(x[i]);
}
TK_INLINE void widen_bf16(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = bf16_to_f32(x[i]);
}

// type: f16 or bf16.
TK_INLINE void narrow_run(DType type, const float* x, uint16_t* y, int64_t n) {
  type == DType::bf16 ? narrow_to_bf16(x, y, n) : narrow_to_f16(x, y, n);
}
TK_INLINE void widen_run(DType type, const uint16_t* x, float* y, int64_t n) {
  type == DType::bf16 ? widen_bf16(x, y, n) : widen_f16(x, y, n);
}

TK_END_LEVEL
