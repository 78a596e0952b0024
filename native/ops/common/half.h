// Conversions between f32 and the 16-bit storage dtypes: nearest, halves to even; NaN stays NaN. Every level gives the same bits.
#pragma once

#include "cpu/kernel.h"

TK_BEGIN_LEVEL

TK_INLINE uint32_t float_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
TK_INLINE float bits_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

TK_INLINE uint16_t float_to_bfloat(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  const uint32_t quiet = bits >> 16 | 0x40;
  return uint16_t((bits & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded);
}
TK_INLINE float bfloat_to_float(uint16_t h) { return bits_float(uint32_t(h) << 16); }

TK_INLINE uint16_t float_to_half(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return uint16_t(sign | 0x7E00 | (magnitude >> 13 & 0x1FF));  // NaN, made quiet
  if (magnitude >= 0x477FF000) return uint16_t(sign | 0x7C00);                              // 65520 and up round to infinity
  if (magnitude < 0x38800000) {
    // Denormal half: adding 0.5 puts the last bit of the half at the last bit of the sum, which rounds it.
    return uint16_t(sign | (float_bits(bits_float(magnitude) + 0.5f) - 0x3F000000));
  }
  const uint32_t rebiased = magnitude - 0x38000000;
  return uint16_t(sign | (rebiased + 0xFFF + (rebiased >> 13 & 1)) >> 13);
}
TK_INLINE float half_to_float(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000) << 16;
  const uint32_t magnitude = h & 0x7FFF;
  if (magnitude >= 0x7C00) return bits_float(sign | (magnitude == 0x7C00 ? 0x7F800000 : 0x7FC00000 | magnitude << 13));
  // The exponent field is 112 too small; the product mends it, also for denormals.
  return bits_float(sign | float_bits(bits_float(magnitude << 13) * 5.192296858534828e33f));
}

TK_INLINE void floats_to_halves(const float* x, uint16_t* y, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  }
#endif
  for (; i < n; ++i) y[i] = float_to_half(x[i]);
}
TK_INLINE void halves_to_floats(const uint16_t* x, float* y, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i))));
  }
#endif
  for (; i < n; ++i) y[i] = half_to_float(x[i]);
}

TK_END_LEVEL
