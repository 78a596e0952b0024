// Part of the SIMD layer: transposes one square tile in registers, for elements of 4 bytes and of 1 byte.
//
// All versions use the same fact: interleaving row i with row i + N/2 for all i (two results each), done log2(N) times,
// transposes an N x N tile (perfect shuffle, Stone 1971).
#pragma once
#include "cpu/kernel.h"

// Neither the scalar layer nor CUDA's sources, which read geometry from headers that come by here, have vectors.
#define TK_HAS_BYTES16 (TK_SIMD_AVX512 || TK_SIMD_AVX2 || TK_SIMD_SSE2 || TK_SIMD_NEON)

TK_BEGIN_LEVEL

#if TK_SIMD_AVX512 || TK_SIMD_AVX2 || TK_SIMD_SSE2
using Bytes16 = __m128i;
TK_INLINE Bytes16 load_bytes16(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
TK_INLINE void store_bytes16(void* p, Bytes16 a) { _mm_storeu_si128(static_cast<__m128i*>(p), a); }
TK_INLINE Bytes16 interleave_low8(Bytes16 a, Bytes16 b) { return _mm_unpacklo_epi8(a, b); }
TK_INLINE Bytes16 interleave_high8(Bytes16 a, Bytes16 b) { return _mm_unpackhi_epi8(a, b); }
#elif TK_SIMD_NEON
using Bytes16 = uint8x16_t;
TK_INLINE Bytes16 load_bytes16(const void* p) { return vld1q_u8(static_cast<const uint8_t*>(p)); }
TK_INLINE void store_bytes16(void* p, Bytes16 a) { vst1q_u8(static_cast<uint8_t*>(p), a); }
TK_INLINE Bytes16 interleave_low8(Bytes16 a, Bytes16 b) { return vzip1q_u8(a, b); }
TK_INLINE Bytes16 interleave_high8(Bytes16 a, Bytes16 b) { return vzip2q_u8(a, b); }
#endif

#if TK_SIMD_SSE2
TK_INLINE Bytes16 interleave_low32(Bytes16 a, Bytes16 b) { return _mm_unpacklo_epi32(a, b); }
TK_INLINE Bytes16 interleave_high32(Bytes16 a, Bytes16 b) { return _mm_unpackhi_epi32(a, b); }
#elif TK_SIMD_NEON
TK_INLINE Bytes16 interleave_low32(Bytes16 a, Bytes16 b) {
  return vreinterpretq_u8_u32(vzip1q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}
TK_INLINE Bytes16 interleave_high32(Bytes16 a, Bytes16 b) {
  return vreinterpretq_u8_u32(vzip2q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}
#endif

// y[r*y_stride + c] = x[c*x_stride + r] for r, c below the tile's size.
#if TK_SIMD_AVX512 || TK_SIMD_AVX2
constexpr int kTile32 = 8;
TK_INLINE void transpose_tile(const uint32_t* x, int64_t x_stride, uint32_t* y, int64_t y_stride) {
  // Unpacks work inside 128-bit halves: the lower halves take rows 0..3 of x, the upper ones rows 4..7.
  for (int half = 0; half < 2; ++half, x += 4, y += 4 * y_stride) {
    __m256i a[4];
    for (int i = 0; i < 4; ++i) {
      a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(load_bytes16(x + i * x_stride)),
                                     load_bytes16(x + (i + 4) * x_stride), 1);
    }
    const __m256i b0 = _mm256_unpacklo_epi32(a[0], a[2]), b1 = _mm256_unpackhi_epi32(a[0], a[2]);
    const __m256i b2 = _mm256_unpacklo_epi32(a[1], a[3]), b3 = _mm256_unpackhi_epi32(a[1], a[3]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), _mm256_unpacklo_epi32(b0, b2));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + y_stride), _mm256_unpackhi_epi32(b0, b2));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + 2 * y_stride), _mm256_unpacklo_epi32(b1, b3));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + 3 * y_stride), _mm256_unpackhi_epi32(b1, b3));
  }
}
#else
constexpr int kTile32 = 4;
TK_INLINE void transpose_tile(const uint32_t* x, int64_t x_stride, uint32_t* y, int64_t y_stride) {
#if !TK_HAS_BYTES16
  for (int r = 0; r < kTile32; ++r)
    for (int c = 0; c < kTile32; ++c) y[r * y_stride + c] = x[c * x_stride + r];
#else
  const Bytes16 a0 = load_bytes16(x), a1 = load_bytes16(x + x_stride);
  const Bytes16 a2 = load_bytes16(x + 2 * x_stride), a3 = load_bytes16(x + 3 * x_stride);
  const Bytes16 b0 = interleave_low32(a0, a2), b1 = interleave_high32(a0, a2);
  const Bytes16 b2 = interleave_low32(a1, a3), b3 = interleave_high32(a1, a3);
  store_bytes16(y, interleave_low32(b0, b2));
  store_bytes16(y + y_stride, interleave_high32(b0, b2));
  store_bytes16(y + 2 * y_stride, interleave_low32(b1, b3));
  store_bytes16(y + 3 * y_stride, interleave_high32(b1, b3));
#endif
}
#endif

constexpr int kTile8 = 16;
TK_INLINE void transpose_tile(const uint8_t* x, int64_t x_stride, uint8_t* y, int64_t y_stride) {
#if !TK_HAS_BYTES16
  for (int r = 0; r < kTile8; ++r)
    for (int c = 0; c < kTile8; ++c) y[r * y_stride + c] = x[c * x_stride + r];
#else
  Bytes16 a[16], b[16];
  for (int i = 0; i < 16; ++i) a[i] = load_bytes16(x + i * x_stride);
  for (int stage = 0; stage < 2; ++stage) {
    for (int i = 0; i < 8; ++i) {
      b[2 * i] = interleave_low8(a[i], a[i + 8]);
      b[2 * i + 1] = interleave_high8(a[i], a[i + 8]);
    }
    for (int i = 0; i < 8; ++i) {
      a[2 * i] = interleave_low8(b[i], b[i + 8]);
      a[2 * i + 1] = interleave_high8(b[i], b[i + 8]);
    }
  }
  for (int i = 0; i < 16; ++i) store_bytes16(y + i * y_stride, a[i]);
#endif
}

TK_END_LEVEL
