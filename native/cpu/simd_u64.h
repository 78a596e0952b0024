// Part of the SIMD layer: a vector of 64-bit lanes for 32 x 32 -> 64 bit multiplication, as counter-based random numbers need
// it. Lanes carry a 32-bit word in their lower half; what stands in the upper half does not matter to mul_low.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

#if TK_SIMD_AVX512
constexpr int kU64Width = 8;
struct VecU64 {
  __m512i v;
};
TK_INLINE VecU64 load_u64(const uint64_t* p) { return {_mm512_loadu_si512(p)}; }
TK_INLINE VecU64 set1_u64(uint64_t x) { return {_mm512_set1_epi64(int64_t(x))}; }
TK_INLINE VecU64 operator+(VecU64 a, VecU64 b) { return {_mm512_add_epi64(a.v, b.v)}; }
TK_INLINE VecU64 operator^(VecU64 a, VecU64 b) { return {_mm512_xor_si512(a.v, b.v)}; }
TK_INLINE VecU64 mul_low(VecU64 a, VecU64 b) { return {_mm512_mul_epu32(a.v, b.v)}; }
TK_INLINE VecU64 high_word(VecU64 a) { return {_mm512_srli_epi64(a.v, 32)}; }
TK_INLINE VecU64 join_words(VecU64 low, VecU64 high) {
  return {_mm512_mask_blend_epi32(0xAAAA, low.v, _mm512_slli_epi64(high.v, 32))};
}
TK_INLINE void store_pairs(uint32_t* p, VecU64 a, VecU64 b) {
  _mm512_storeu_si512(p, _mm512_unpacklo_epi64(a.v, b.v));
  _mm512_storeu_si512(p + 16, _mm512_unpackhi_epi64(a.v, b.v));
}
#elif TK_SIMD_AVX2
constexpr int kU64Width = 4;
struct VecU64 {
  __m256i v;
};
TK_INLINE VecU64 load_u64(const uint64_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
TK_INLINE VecU64 set1_u64(uint64_t x) { return {_mm256_set1_epi64x(int64_t(x))}; }
TK_INLINE VecU64 operator+(VecU64 a, VecU64 b) { return {_mm256_add_epi64(a.v, b.v)}; }
TK_INLINE VecU64 operator^(VecU64 a, VecU64 b) { return {_mm256_xor_si256(a.v, b.v)}; }
// Product of the lower halves.
TK_INLINE VecU64 mul_low(VecU64 a, VecU64 b) { return {_mm256_mul_epu32(a.v, b.v)}; }
// The upper half, moved down.
TK_INLINE VecU64 high_word(VecU64 a) { return {_mm256_srli_epi64(a.v, 32)}; }
// Lower half from `low`, upper half from the lower half of `high`.
TK_INLINE VecU64 join_words(VecU64 low, VecU64 high) {
  return {_mm256_blend_epi32(low.v, _mm256_slli_epi64(high.v, 32), 0xAA)};
}
// Lanes side by side in the order a0 b0, a2 b2, ... then a1 b1, a3 b3, ...: see pair_of_lane.
TK_INLINE void store_pairs(uint32_t* p, VecU64 a, VecU64 b) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_unpacklo_epi64(a.v, b.v));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), _mm256_unpackhi_epi64(a.v, b.v));
}
#elif TK_SIMD_SSE2
constexpr int kU64Width = 2;
struct VecU64 {
  __m128i v;
};
TK_INLINE VecU64 load_u64(const uint64_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
TK_INLINE VecU64 set1_u64(uint64_t x) { return {_mm_set1_epi64x(int64_t(x))}; }
TK_INLINE VecU64 operator+(VecU64 a, VecU64 b) { return {_mm_add_epi64(a.v, b.v)}; }
TK_INLINE VecU64 operator^(VecU64 a, VecU64 b) { return {_mm_xor_si128(a.v, b.v)}; }
TK_INLINE VecU64 mul_low(VecU64 a, VecU64 b) { return {_mm_mul_epu32(a.v, b.v)}; }
TK_INLINE VecU64 high_word(VecU64 a) { return {_mm_srli_epi64(a.v, 32)}; }
TK_INLINE VecU64 join_words(VecU64 low, VecU64 high) {
  return {_mm_or_si128(_mm_and_si128(low.v, _mm_set1_epi64x(0xFFFFFFFF)), _mm_slli_epi64(high.v, 32))};
}
TK_INLINE void store_pairs(uint32_t* p, VecU64 a, VecU64 b) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_unpacklo_epi64(a.v, b.v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 4), _mm_unpackhi_epi64(a.v, b.v));
}
#elif TK_SIMD_NEON
constexpr int kU64Width = 2;
struct VecU64 {
  uint64x2_t v;
};
TK_INLINE VecU64 load_u64(const uint64_t* p) { return {vld1q_u64(p)}; }
TK_INLINE VecU64 set1_u64(uint64_t x) { return {vdupq_n_u64(x)}; }
TK_INLINE VecU64 operator+(VecU64 a, VecU64 b) { return {vaddq_u64(a.v, b.v)}; }
TK_INLINE VecU64 operator^(VecU64 a, VecU64 b) { return {veorq_u64(a.v, b.v)}; }
TK_INLINE VecU64 mul_low(VecU64 a, VecU64 b) { return {vmull_u32(vmovn_u64(a.v), vmovn_u64(b.v))}; }
TK_INLINE VecU64 high_word(VecU64 a) { return {vshrq_n_u64(a.v, 32)}; }
TK_INLINE VecU64 join_words(VecU64 low, VecU64 high) { return {vsliq_n_u64(low.v, high.v, 32)}; }
TK_INLINE void store_pairs(uint32_t* p, VecU64 a, VecU64 b) {
  vst1q_u32(p, vreinterpretq_u32_u64(vzip1q_u64(a.v, b.v)));
  vst1q_u32(p + 4, vreinterpretq_u32_u64(vzip2q_u64(a.v, b.v)));
}
#else
constexpr int kU64Width = 1;
struct VecU64 {
  uint64_t v;
};
TK_INLINE VecU64 load_u64(const uint64_t* p) { return {*p}; }
TK_INLINE VecU64 set1_u64(uint64_t x) { return {x}; }
TK_INLINE VecU64 operator+(VecU64 a, VecU64 b) { return {a.v + b.v}; }
TK_INLINE VecU64 operator^(VecU64 a, VecU64 b) { return {a.v ^ b.v}; }
TK_INLINE VecU64 mul_low(VecU64 a, VecU64 b) { return {uint64_t(uint32_t(a.v)) * uint32_t(b.v)}; }
TK_INLINE VecU64 high_word(VecU64 a) { return {a.v >> 32}; }
TK_INLINE VecU64 join_words(VecU64 low, VecU64 high) { return {uint64_t(uint32_t(low.v)) | high.v << 32}; }
TK_INLINE void store_pairs(uint32_t* p, VecU64 a, VecU64 b) {
  p[0] = uint32_t(a.v);
  p[1] = uint32_t(a.v >> 32);
  p[2] = uint32_t(b.v);
  p[3] = uint32_t(b.v >> 32);
}
#endif

// Pair number under which store_pairs writes lane i: even lanes first.
constexpr uint64_t pair_of_lane(int lane) { return uint64_t(lane % 2 == 0 ? lane / 2 : (kU64Width + lane) / 2); }

TK_END_LEVEL
