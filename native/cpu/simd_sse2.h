// The SIMD layer for plain x86-64 (SSE2): 4 lanes, no fused multiply-add, no rounding instructions. Included by simd.h.
#pragma once

TK_BEGIN_LEVEL

constexpr int kVecWidth = 4;
constexpr bool kHasFma = false;
struct VecF {
  __m128 v;
};
struct VecI {
  __m128i v;
};
struct Mask {
  __m128 v;
};

TK_INLINE VecF load(const float* p) { return {_mm_loadu_ps(p)}; }
TK_INLINE VecI load(const int32_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
TK_INLINE VecI load_u8(const uint8_t* p) {
  int32_t bytes;
  std::memcpy(&bytes, p, 4);
  const __m128i words = _mm_unpacklo_epi8(_mm_cvtsi32_si128(bytes), _mm_setzero_si128());
  return {_mm_unpacklo_epi16(words, _mm_setzero_si128())};
}
TK_INLINE void store(float* p, VecF a) { _mm_storeu_ps(p, a.v); }
TK_INLINE void store(int32_t* p, VecI a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), a.v); }
TK_INLINE void store_u8(uint8_t* p, VecI a) {
  const __m128i words = _mm_packs_epi32(a.v, a.v);
  const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  std::memcpy(p, &bytes, 4);
}
TK_INLINE void stream_store(float* p, VecF a) { _mm_stream_ps(p, a.v); }
TK_INLINE void stream_store(int32_t* p, VecI a) { _mm_stream_si128(reinterpret_cast<__m128i*>(p), a.v); }
TK_INLINE void stream_fence() { _mm_sfence(); }
TK_INLINE VecF set1(float x) { return {_mm_set1_ps(x)}; }
TK_INLINE VecI set1i(int32_t x) { return {_mm_set1_epi32(x)}; }

TK_INLINE VecF operator+(VecF a, VecF b) { return {_mm_add_ps(a.v, b.v)}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {_mm_sub_ps(a.v, b.v)}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {_mm_mul_ps(a.v, b.v)}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {_mm_div_ps(a.v, b.v)}; }
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return a * b + c; }
TK_INLINE VecF fnmadd(VecF a, VecF b, VecF c) { return c - a * b; }
TK_INLINE VecF vmax(VecF a, VecF b) { return {_mm_max_ps(a.v, b.v)}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {_mm_min_ps(a.v, b.v)}; }
TK_INLINE VecF vsqrt(VecF a) { return {_mm_sqrt_ps(a.v)}; }

TK_INLINE VecI operator+(VecI a, VecI b) { return {_mm_add_epi32(a.v, b.v)}; }
TK_INLINE VecI operator-(VecI a, VecI b) { return {_mm_sub_epi32(a.v, b.v)}; }
TK_INLINE VecI operator*(VecI a, VecI b) {
  const __m128i even = _mm_mul_epu32(a.v, b.v);
  const __m128i odd = _mm_mul_epu32(_mm_srli_epi64(a.v, 32), _mm_srli_epi64(b.v, 32));
  return {
      _mm_unpacklo_epi32(_mm_shuffle_epi32(even, _MM_SHUFFLE(0, 0, 2, 0)), _mm_shuffle_epi32(odd, _MM_SHUFFLE(0, 0, 2, 0)))};
}
TK_INLINE VecI operator&(VecI a, VecI b) { return {_mm_and_si128(a.v, b.v)}; }
TK_INLINE VecI operator|(VecI a, VecI b) { return {_mm_or_si128(a.v, b.v)}; }
TK_INLINE VecI operator^(VecI a, VecI b) { return {_mm_xor_si128(a.v, b.v)}; }
template <int Bits>
TK_INLINE VecI shift_left(VecI a) {
  return {_mm_slli_epi32(a.v, Bits)};
}
template <int Bits>
TK_INLINE VecI shift_right(VecI a) {
  return {_mm_srai_epi32(a.v, Bits)};
}

TK_INLINE VecI as_int(VecF a) { return {_mm_castps_si128(a.v)}; }
TK_INLINE VecF as_float(VecI a) { return {_mm_castsi128_ps(a.v)}; }
TK_INLINE VecF to_float(VecI a) { return {_mm_cvtepi32_ps(a.v)}; }
TK_INLINE VecI to_int_trunc(VecF a) { return {_mm_cvttps_epi32(a.v)}; }
TK_INLINE VecI to_int_round(VecF a) { return {_mm_cvtps_epi32(a.v)}; }

TK_INLINE Mask operator<(VecF a, VecF b) { return {_mm_cmplt_ps(a.v, b.v)}; }
TK_INLINE Mask operator<=(VecF a, VecF b) { return {_mm_cmple_ps(a.v, b.v)}; }
TK_INLINE Mask operator>(VecF a, VecF b) { return {_mm_cmpgt_ps(a.v, b.v)}; }
TK_INLINE Mask operator>=(VecF a, VecF b) { return {_mm_cmpge_ps(a.v, b.v)}; }
TK_INLINE Mask operator==(VecF a, VecF b) { return {_mm_cmpeq_ps(a.v, b.v)}; }
TK_INLINE Mask operator!=(VecF a, VecF b) { return {_mm_cmpneq_ps(a.v, b.v)}; }
TK_INLINE Mask operator<(VecI a, VecI b) { return {_mm_castsi128_ps(_mm_cmplt_epi32(a.v, b.v))}; }
TK_INLINE Mask operator>(VecI a, VecI b) { return {_mm_castsi128_ps(_mm_cmpgt_epi32(a.v, b.v))}; }
TK_INLINE Mask operator==(VecI a, VecI b) { return {_mm_castsi128_ps(_mm_cmpeq_epi32(a.v, b.v))}; }

TK_INLINE Mask operator&(Mask a, Mask b) { return {_mm_and_ps(a.v, b.v)}; }
TK_INLINE Mask operator|(Mask a, Mask b) { return {_mm_or_ps(a.v, b.v)}; }
TK_INLINE Mask operator!(Mask a) { return {_mm_xor_ps(a.v, _mm_castsi128_ps(_mm_set1_epi32(-1)))}; }
TK_INLINE uint32_t mask_bits(Mask a) { return uint32_t(_mm_movemask_ps(a.v)); }
TK_INLINE VecF select(Mask m, VecF a, VecF b) { return {_mm_or_ps(_mm_and_ps(m.v, a.v), _mm_andnot_ps(m.v, b.v))}; }
TK_INLINE VecI select(Mask m, VecI a, VecI b) { return as_int(select(m, as_float(a), as_float(b))); }
TK_INLINE VecI vmax(VecI a, VecI b) { return select(a > b, a, b); }
TK_INLINE VecI vmin(VecI a, VecI b) { return select(a < b, a, b); }

// From 2^23 on every float is whole. Below, the conversion to int is exact; the sign is put back so that -0.3 gives -0.
TK_INLINE VecF keep_whole(VecF a, VecF rounded) {
  const VecI sign = set1i(INT32_MIN);
  const VecF magnitude = as_float(as_int(a) & set1i(INT32_MAX));
  return select(magnitude < set1(8388608.0f), as_float(as_int(rounded) | (as_int(a) & sign)), a);
}
TK_INLINE VecF vfloor(VecF a) {
  const VecF t = to_float(to_int_trunc(a));
  return keep_whole(a, t - VecF{_mm_and_ps((t > a).v, _mm_set1_ps(1.0f))});
}
TK_INLINE VecF vceil(VecF a) {
  const VecF t = to_float(to_int_trunc(a));
  return keep_whole(a, t + VecF{_mm_and_ps((t < a).v, _mm_set1_ps(1.0f))});
}
TK_INLINE VecF vround(VecF a) { return keep_whole(a, to_float(to_int_round(a))); }

template <int Distance>
TK_INLINE VecF swap_lanes(VecF a) {
  if constexpr (Distance == 2) return {_mm_shuffle_ps(a.v, a.v, 0x4E)};
  if constexpr (Distance == 1) return {_mm_shuffle_ps(a.v, a.v, 0xB1)};
}
TK_INLINE float first_lane(VecF a) { return _mm_cvtss_f32(a.v); }
TK_INLINE int32_t first_lane(VecI a) { return _mm_cvtsi128_si32(a.v); }

TK_END_LEVEL
