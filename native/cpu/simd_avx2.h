// The SIMD layer for AVX2 with FMA: 8 lanes, masks as lanes of all ones or zeros. Included by simd.h.
#pragma once

TK_BEGIN_LEVEL

constexpr int kVecWidth = 8;
constexpr bool kHasFma = true;
struct VecF {
  __m256 v;
};
struct VecI {
  __m256i v;
};
struct Mask {
  __m256 v;
};

TK_INLINE VecF load(const float* p) { return {_mm256_loadu_ps(p)}; }
TK_INLINE VecI load(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
TK_INLINE VecI load_u8(const uint8_t* p) {
  return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
}
TK_INLINE void store(float* p, VecF a) { _mm256_storeu_ps(p, a.v); }
TK_INLINE void store(int32_t* p, VecI a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
TK_INLINE void store_u8(uint8_t* p, VecI a) {
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}
TK_INLINE void stream_store(float* p, VecF a) { _mm256_stream_ps(p, a.v); }
TK_INLINE void stream_store(int32_t* p, VecI a) { _mm256_stream_si256(reinterpret_cast<__m256i*>(p), a.v); }
TK_INLINE void stream_fence() { _mm_sfence(); }
TK_INLINE VecF set1(float x) { return {_mm256_set1_ps(x)}; }
TK_INLINE VecI set1i(int32_t x) { return {_mm256_set1_epi32(x)}; }

// A window into eight ones followed by eight zeros: the lane mask of the first n lanes.
alignas(64) constexpr int32_t kLaneWindow[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
TK_INLINE __m256i first_lanes(int n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLaneWindow + 8 - n)); }
TK_INLINE VecF load_part(const float* p, int n, float fill = 0.0f) {
  const __m256i lanes = first_lanes(n);
  return {_mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, lanes), _mm256_castsi256_ps(lanes))};
}
TK_INLINE VecI load_part(const int32_t* p, int n, int32_t fill = 0) {
  const __m256i lanes = first_lanes(n);
  return {_mm256_blendv_epi8(_mm256_set1_epi32(fill), _mm256_maskload_epi32(p, lanes), lanes)};
}
TK_INLINE void store_part(float* p, VecF a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a.v); }
TK_INLINE void store_part(int32_t* p, VecI a, int n) { _mm256_maskstore_epi32(p, first_lanes(n), a.v); }

TK_INLINE VecF operator+(VecF a, VecF b) { return {_mm256_add_ps(a.v, b.v)}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {_mm256_sub_ps(a.v, b.v)}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {_mm256_mul_ps(a.v, b.v)}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {_mm256_div_ps(a.v, b.v)}; }
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
TK_INLINE VecF fnmadd(VecF a, VecF b, VecF c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
TK_INLINE VecF vmax(VecF a, VecF b) { return {_mm256_max_ps(a.v, b.v)}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {_mm256_min_ps(a.v, b.v)}; }
TK_INLINE VecF vsqrt(VecF a) { return {_mm256_sqrt_ps(a.v)}; }
TK_INLINE VecF vfloor(VecF a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
TK_INLINE VecF vceil(VecF a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
TK_INLINE VecF vround(VecF a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

TK_INLINE VecI operator+(VecI a, VecI b) { return {_mm256_add_epi32(a.v, b.v)}; }
TK_INLINE VecI operator-(VecI a, VecI b) { return {_mm256_sub_epi32(a.v, b.v)}; }
TK_INLINE VecI operator*(VecI a, VecI b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
TK_INLINE VecI operator&(VecI a, VecI b) { return {_mm256_and_si256(a.v, b.v)}; }
TK_INLINE VecI operator|(VecI a, VecI b) { return {_mm256_or_si256(a.v, b.v)}; }
TK_INLINE VecI operator^(VecI a, VecI b) { return {_mm256_xor_si256(a.v, b.v)}; }
template <int Bits>
TK_INLINE VecI shift_left(VecI a) {
  return {_mm256_slli_epi32(a.v, Bits)};
}
template <int Bits>
TK_INLINE VecI shift_right(VecI a) {
  return {_mm256_srai_epi32(a.v, Bits)};
}
TK_INLINE VecI vmax(VecI a, VecI b) { return {_mm256_max_epi32(a.v, b.v)}; }
TK_INLINE VecI vmin(VecI a, VecI b) { return {_mm256_min_epi32(a.v, b.v)}; }

TK_INLINE VecI as_int(VecF a) { return {_mm256_castps_si256(a.v)}; }
TK_INLINE VecF as_float(VecI a) { return {_mm256_castsi256_ps(a.v)}; }
TK_INLINE VecF to_float(VecI a) { return {_mm256_cvtepi32_ps(a.v)}; }
TK_INLINE VecI to_int_trunc(VecF a) { return {_mm256_cvttps_epi32(a.v)}; }
TK_INLINE VecI to_int_round(VecF a) { return {_mm256_cvtps_epi32(a.v)}; }

TK_INLINE Mask operator<(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
TK_INLINE Mask operator<=(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
TK_INLINE Mask operator>(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
TK_INLINE Mask operator>=(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
TK_INLINE Mask operator==(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
TK_INLINE Mask operator!=(VecF a, VecF b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)}; }
TK_INLINE Mask operator<(VecI a, VecI b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(b.v, a.v))}; }
TK_INLINE Mask operator>(VecI a, VecI b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(a.v, b.v))}; }
TK_INLINE Mask operator==(VecI a, VecI b) { return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))}; }

TK_INLINE Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.v, b.v)}; }
TK_INLINE Mask operator|(Mask a, Mask b) { return {_mm256_or_ps(a.v, b.v)}; }
TK_INLINE Mask operator!(Mask a) { return {_mm256_xor_ps(a.v, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))}; }
TK_INLINE uint32_t mask_bits(Mask a) { return uint32_t(_mm256_movemask_ps(a.v)); }
TK_INLINE VecF select(Mask m, VecF a, VecF b) { return {_mm256_blendv_ps(b.v, a.v, m.v)}; }
TK_INLINE VecI select(Mask m, VecI a, VecI b) { return {_mm256_blendv_epi8(b.v, a.v, _mm256_castps_si256(m.v))}; }

template <int Distance>
TK_INLINE VecF swap_lanes(VecF a) {
  if constexpr (Distance == 4) return {_mm256_permute2f128_ps(a.v, a.v, 1)};
  if constexpr (Distance == 2) return {_mm256_permute_ps(a.v, 0x4E)};
  if constexpr (Distance == 1) return {_mm256_permute_ps(a.v, 0xB1)};
}
TK_INLINE float first_lane(VecF a) { return _mm256_cvtss_f32(a.v); }
TK_INLINE int32_t first_lane(VecI a) { return _mm_cvtsi128_si32(_mm256_castsi256_si128(a.v)); }

TK_END_LEVEL
