// The SIMD layer: one vector of f32 (VecF), one of i32 (VecI) and one mask, as wide as the level allows. Everything above it is
// written once. Lives in the level's namespace; every function is forced inline.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#define TK_SIMD_AVX512 1
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define TK_SIMD_AVX2 1
#elif defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define TK_SIMD_SSE2 1
#elif defined(__ARM_NEON) || defined(_M_ARM64)
#include <arm_neon.h>
#define TK_SIMD_NEON 1
#else
#define TK_SIMD_SCALAR 1
#endif

TK_BEGIN_LEVEL

#if TK_SIMD_AVX512
constexpr int kVecWidth = 16;
struct VecF {
  __m512 v;
};
TK_INLINE VecF load(const float* p) { return {_mm512_loadu_ps(p)}; }
TK_INLINE void store(float* p, VecF a) { _mm512_storeu_ps(p, a.v); }
TK_INLINE void stream_store(float* p, VecF a) { _mm512_stream_ps(p, a.v); }
TK_INLINE VecF set1(float x) { return {_mm512_set1_ps(x)}; }
TK_INLINE VecF operator+(VecF a, VecF b) { return {_mm512_add_ps(a.v, b.v)}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {_mm512_sub_ps(a.v, b.v)}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {_mm512_mul_ps(a.v, b.v)}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {_mm512_div_ps(a.v, b.v)}; }
// a * b + c; one rounding where the level has fused multiply-add, two where it has not.
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// The second operand where either is NaN, as the x86 instructions do.
TK_INLINE VecF vmax(VecF a, VecF b) { return {_mm512_max_ps(a.v, b.v)}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {_mm512_min_ps(a.v, b.v)}; }
TK_INLINE VecF vsqrt(VecF a) { return {_mm512_sqrt_ps(a.v)}; }
#elif TK_SIMD_AVX2
constexpr int kVecWidth = 8;
struct VecF {
  __m256 v;
};
TK_INLINE VecF load(const float* p) { return {_mm256_loadu_ps(p)}; }
TK_INLINE void store(float* p, VecF a) { _mm256_storeu_ps(p, a.v); }
TK_INLINE void stream_store(float* p, VecF a) { _mm256_stream_ps(p, a.v); }
TK_INLINE VecF set1(float x) { return {_mm256_set1_ps(x)}; }
TK_INLINE VecF operator+(VecF a, VecF b) { return {_mm256_add_ps(a.v, b.v)}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {_mm256_sub_ps(a.v, b.v)}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {_mm256_mul_ps(a.v, b.v)}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {_mm256_div_ps(a.v, b.v)}; }
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
TK_INLINE VecF vmax(VecF a, VecF b) { return {_mm256_max_ps(a.v, b.v)}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {_mm256_min_ps(a.v, b.v)}; }
TK_INLINE VecF vsqrt(VecF a) { return {_mm256_sqrt_ps(a.v)}; }
#elif TK_SIMD_SSE2
constexpr int kVecWidth = 4;
struct VecF {
  __m128 v;
};
TK_INLINE VecF load(const float* p) { return {_mm_loadu_ps(p)}; }
TK_INLINE void store(float* p, VecF a) { _mm_storeu_ps(p, a.v); }
TK_INLINE void stream_store(float* p, VecF a) { _mm_stream_ps(p, a.v); }
TK_INLINE VecF set1(float x) { return {_mm_set1_ps(x)}; }
TK_INLINE VecF operator+(VecF a, VecF b) { return {_mm_add_ps(a.v, b.v)}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {_mm_sub_ps(a.v, b.v)}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {_mm_mul_ps(a.v, b.v)}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {_mm_div_ps(a.v, b.v)}; }
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return a * b + c; }
TK_INLINE VecF vmax(VecF a, VecF b) { return {_mm_max_ps(a.v, b.v)}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {_mm_min_ps(a.v, b.v)}; }
TK_INLINE VecF vsqrt(VecF a) { return {_mm_sqrt_ps(a.v)}; }
#elif TK_SIMD_NEON
constexpr int kVecWidth = 4;
struct VecF {
  float32x4_t v;
};
TK_INLINE VecF load(const float* p) { return {vld1q_f32(p)}; }
TK_INLINE void store(float* p, VecF a) { vst1q_f32(p, a.v); }
TK_INLINE void stream_store(float* p, VecF a) { vst1q_f32(p, a.v); }
TK_INLINE VecF set1(float x) { return {vdupq_n_f32(x)}; }
TK_INLINE VecF operator+(VecF a, VecF b) { return {vaddq_f32(a.v, b.v)}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {vsubq_f32(a.v, b.v)}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {vmulq_f32(a.v, b.v)}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {vdivq_f32(a.v, b.v)}; }
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
TK_INLINE VecF vmax(VecF a, VecF b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
TK_INLINE VecF vsqrt(VecF a) { return {vsqrtq_f32(a.v)}; }
#else
constexpr int kVecWidth = 1;
struct VecF {
  float v;
};
TK_INLINE VecF load(const float* p) { return {*p}; }
TK_INLINE void store(float* p, VecF a) { *p = a.v; }
TK_INLINE void stream_store(float* p, VecF a) { *p = a.v; }
TK_INLINE VecF set1(float x) { return {x}; }
TK_INLINE VecF operator+(VecF a, VecF b) { return {a.v + b.v}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {a.v - b.v}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {a.v * b.v}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {a.v / b.v}; }
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return {a.v * b.v + c.v}; }
TK_INLINE VecF vmax(VecF a, VecF b) { return {a.v > b.v ? a.v : b.v}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {a.v < b.v ? a.v : b.v}; }
TK_INLINE VecF vsqrt(VecF a) { return {std::sqrt(a.v)}; }
#endif

TK_INLINE VecF zero() { return set1(0.0f); }

// The first n < kVecWidth lanes; the rest are `fill` on load and untouched on store.
TK_INLINE VecF load_part(const float* p, int n, float fill = 0.0f) {
  float lanes[kVecWidth];
  for (int i = 0; i < kVecWidth; ++i) lanes[i] = i < n ? p[i] : fill;
  return load(lanes);
}
TK_INLINE void store_part(float* p, VecF a, int n) {
  float lanes[kVecWidth];
  store(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

TK_END_LEVEL
