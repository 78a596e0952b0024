// The SIMD layer for AVX-512 (F, DQ, BW, VL): 16 lanes, masks in mask registers. Included by simd.h.
#pragma once

TK_BEGIN_LEVEL

constexpr int kVecWidth = 16;
constexpr bool kHasFma = true;
struct VecF {
  __m512 v;
};
struct VecI {
  __m512i v;
};
struct Mask {
  __mmask16 v;
};

TK_INLINE VecF load(const float* p) { return {_mm512_loadu_ps(p)}; }
TK_INLINE VecI load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
TK_INLINE VecI load_u8(const uint8_t* p) {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
TK_INLINE void store(float* p, VecF a) { _mm512_storeu_ps(p, a.v); }
TK_INLINE void store(int32_t* p, VecI a) { _mm512_storeu_si512(p, a.v); }
TK_INLINE void store_u8(uint8_t* p, VecI a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v)); }
TK_INLINE void stream_store(float* p, VecF a) { _mm512_stream_ps(p, a.v); }
TK_INLINE void stream_store(int32_t* p, VecI a) { _mm512_stream_si512(reinterpret_cast<__m512i*>(p), a.v); }
TK_INLINE void stream_fence() { _mm_sfence(); }
TK_INLINE VecF set1(float x) { return {_mm512_set1_ps(x)}; }
TK_INLINE VecI set1i(int32_t x) { return {_mm512_set1_epi32(x)}; }

TK_INLINE __mmask16 first_lanes(int n) { return __mmask16((1u << n) - 1); }
TK_INLINE VecF load_part(const float* p, int n, float fill = 0.0f) {
  return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_lanes(n), p)};
}
TK_INLINE VecI load_part(const int32_t* p, int n, int32_t fill = 0) {
  return {_mm512_mask_loadu_epi32(_mm512_set1_epi32(fill), first_lanes(n), p)};
}
TK_INLINE void store_part(float* p, VecF a, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }
TK_INLINE void store_part(int32_t* p, VecI a, int n) { _mm512_mask_storeu_epi32(p, first_lanes(n), a.v); }

TK_INLINE VecF operator+(VecF a, VecF b) { return {_mm512_add_ps(a.v, b.v)}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {_mm512_sub_ps(a.v, b.v)}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {_mm512_mul_ps(a.v, b.v)}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {_mm512_div_ps(a.v, b.v)}; }
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
TK_INLINE VecF fnmadd(VecF a, VecF b, VecF c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
TK_INLINE VecF vmax(VecF a, VecF b) { return {_mm512_max_ps(a.v, b.v)}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {_mm512_min_ps(a.v, b.v)}; }
TK_INLINE VecF vsqrt(VecF a) { return {_mm512_sqrt_ps(a.v)}; }
TK_INLINE VecF vfloor(VecF a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
TK_INLINE VecF vceil(VecF a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
TK_INLINE VecF vround(VecF a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

TK_INLINE VecI operator+(VecI a, VecI b) { return {_mm512_add_epi32(a.v, b.v)}; }
TK_INLINE VecI operator-(VecI a, VecI b) { return {_mm512_sub_epi32(a.v, b.v)}; }
TK_INLINE VecI operator*(VecI a, VecI b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
TK_INLINE VecI operator&(VecI a, VecI b) { return {_mm512_and_si512(a.v, b.v)}; }
TK_INLINE VecI operator|(VecI a, VecI b) { return {_mm512_or_si512(a.v, b.v)}; }
TK_INLINE VecI operator^(VecI a, VecI b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int Bits>
TK_INLINE VecI shift_left(VecI a) {
  return {_mm512_slli_epi32(a.v, Bits)};
}
template <int Bits>
TK_INLINE VecI shift_right(VecI a) {
  return {_mm512_srai_epi32(a.v, Bits)};
}
TK_INLINE VecI vmax(VecI a, VecI b) { return {_mm512_max_epi32(a.v, b.v)}; }
TK_INLINE VecI vmin(VecI a, VecI b) { return {_mm512_min_epi32(a.v, b.v)}; }

TK_INLINE VecI as_int(VecF a) { return {_mm512_castps_si512(a.v)}; }
TK_INLINE VecF as_float(VecI a) { return {_mm512_castsi512_ps(a.v)}; }
TK_INLINE VecF to_float(VecI a) { return {_mm512_cvtepi32_ps(a.v)}; }
TK_INLINE VecI to_int_trunc(VecF a) { return {_mm512_cvttps_epi32(a.v)}; }
TK_INLINE VecI to_int_round(VecF a) { return {_mm512_cvtps_epi32(a.v)}; }

TK_INLINE Mask operator<(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
TK_INLINE Mask operator<=(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
TK_INLINE Mask operator>(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
TK_INLINE Mask operator>=(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
TK_INLINE Mask operator==(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
TK_INLINE Mask operator!=(VecF a, VecF b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
TK_INLINE Mask operator<(VecI a, VecI b) { return {_mm512_cmplt_epi32_mask(a.v, b.v)}; }
TK_INLINE Mask operator>(VecI a, VecI b) { return {_mm512_cmpgt_epi32_mask(a.v, b.v)}; }
TK_INLINE Mask operator==(VecI a, VecI b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }

TK_INLINE Mask operator&(Mask a, Mask b) { return {__mmask16(a.v & b.v)}; }
TK_INLINE Mask operator|(Mask a, Mask b) { return {__mmask16(a.v | b.v)}; }
TK_INLINE Mask operator!(Mask a) { return {__mmask16(~a.v)}; }
TK_INLINE uint32_t mask_bits(Mask a) { return a.v; }
TK_INLINE VecF select(Mask m, VecF a, VecF b) { return {_mm512_mask_blend_ps(m.v, b.v, a.v)}; }
TK_INLINE VecI select(Mask m, VecI a, VecI b) { return {_mm512_mask_blend_epi32(m.v, b.v, a.v)}; }

template <int Distance>
TK_INLINE VecF swap_lanes(VecF a) {
  if constexpr (Distance == 8) return {_mm512_shuffle_f32x4(a.v, a.v, 0x4E)};
  if constexpr (Distance == 4) return {_mm512_shuffle_f32x4(a.v, a.v, 0xB1)};
  if constexpr (Distance == 2) return {_mm512_permute_ps(a.v, 0x4E)};
  if constexpr (Distance == 1) return {_mm512_permute_ps(a.v, 0xB1)};
}
TK_INLINE float first_lane(VecF a) { return _mm512_cvtss_f32(a.v); }
TK_INLINE int32_t first_lane(VecI a) { return _mm_cvtsi128_si32(_mm512_castsi512_si128(a.v)); }

TK_END_LEVEL
