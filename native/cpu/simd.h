// The SIMD layer: one vector of f32 (VecF), one of i32 (VecI) and one Mask over their lanes, as wide as the level allows.
// Everything above it is written once. Lives in the level's namespace; every function is forced inline.
//
// Each simd_<isa>.h defines the same names:
//   kVecWidth lanes; kHasFma: fmadd rounds once
//   load store                  f32 and i32, any alignment; load_u8 widens kVecWidth bytes, store_u8 narrows lanes 0..255
//   stream_store stream_fence   past the caches; the address is a multiple of the vector's size; fence before others read
//   set1 set1i                  all lanes equal
//   + - * / fmadd fnmadd        fmadd a * b + c, fnmadd c - a * b; i32 wraps
//   vmax vmin                   f32: the second operand where either is NaN and where they are equal, as the x86 instructions
//   do vsqrt vfloor vceil vround   vround: halves to even & | ^ shift_left shift_right (arithmetic)                 i32 as_int
//   as_float             the same bits to_float to_int_trunc to_int_round (halves to even)       values outside int32 give some
//   value < <= > >= == !=             Mask; with NaN all are false except !=. i32: < > == & | ! mask_bits             on Mask;
//   bit i is lane i select(m, a, b)             m ? a : b per lane swap_lanes<D> first_lane    lane i gets lane i ^ D
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(TK_CUDA_KERNELS)
#include "cpu/simd_scalar.h"  // a CUDA thread is one lane
#elif defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the undefined operand inside its own unmasked AVX-512 intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
#define TK_SIMD_AVX512 1
#include "cpu/simd_avx512.h"
#elif defined(__AVX2__) && (defined(__FMA__) || defined(_MSC_VER))
#include <immintrin.h>
#define TK_SIMD_AVX2 1
#include "cpu/simd_avx2.h"
#elif defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define TK_SIMD_SSE2 1
#include "cpu/simd_sse2.h"
#elif defined(__ARM_NEON) || defined(_M_ARM64)
#include <arm_neon.h>
#define TK_SIMD_NEON 1
#include "cpu/simd_neon.h"
#else
#define TK_SIMD_SCALAR 1
#include "cpu/simd_scalar.h"
#endif

TK_BEGIN_LEVEL

TK_INLINE VecF zero() { return set1(0.0f); }

// The first 0 <= n <= kVecWidth lanes; the rest are `fill` on load and untouched on store. Nothing outside them is accessed.
#if !TK_SIMD_AVX512 && !TK_SIMD_AVX2
TK_INLINE VecF load_part(const float* p, int n, float fill = 0.0f) {
  float lanes[kVecWidth];
  for (int i = 0; i < kVecWidth; ++i) lanes[i] = i < n ? p[i] : fill;
  return load(lanes);
}
TK_INLINE VecI load_part(const int32_t* p, int n, int32_t fill = 0) {
  int32_t lanes[kVecWidth];
  for (int i = 0; i < kVecWidth; ++i) lanes[i] = i < n ? p[i] : fill;
  return load(lanes);
}
TK_INLINE void store_part(float* p, VecF a, int n) {
  float lanes[kVecWidth];
  store(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
TK_INLINE void store_part(int32_t* p, VecI a, int n) {
  int32_t lanes[kVecWidth];
  store(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
#endif
TK_INLINE VecI load_u8_part(const uint8_t* p, int n, uint8_t fill = 0) {
  uint8_t lanes[kVecWidth];
  for (int i = 0; i < kVecWidth; ++i) lanes[i] = i < n ? p[i] : fill;
  return load_u8(lanes);
}
TK_INLINE void store_u8_part(uint8_t* p, VecI a, int n) {
  uint8_t lanes[kVecWidth];
  store_u8(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

constexpr uint32_t kAllLanes = (1u << kVecWidth) - 1;
TK_INLINE bool any(Mask m) { return mask_bits(m) != 0; }
TK_INLINE bool all(Mask m) { return mask_bits(m) == kAllLanes; }

TK_INLINE VecF vabs(VecF a) { return as_float(as_int(a) & set1i(INT32_MAX)); }
TK_INLINE VecF vneg(VecF a) { return as_float(as_int(a) ^ set1i(INT32_MIN)); }
// The magnitude of a with the sign of s.
TK_INLINE VecF copy_sign(VecF a, VecF s) { return as_float((as_int(a) & set1i(INT32_MAX)) | (as_int(s) & set1i(INT32_MIN))); }
TK_INLINE Mask is_nan(VecF a) { return a != a; }
// 1 or 0 per lane.
TK_INLINE VecI to_bool(Mask m) { return select(m, set1i(1), set1i(0)); }

template <int Distance>
TK_INLINE VecI swap_lanes(VecI a) {
  return as_int(swap_lanes<Distance>(as_float(a)));
}

// Folds all lanes into one value by halves, always in this order. op: commutative (Vec, Vec) -> Vec.
template <class Vec, class Op>
TK_INLINE auto fold_lanes(Vec a, const Op& op) {
  if constexpr (kVecWidth >= 16) a = op(a, swap_lanes<8>(a));
  if constexpr (kVecWidth >= 8) a = op(a, swap_lanes<4>(a));
  if constexpr (kVecWidth >= 4) a = op(a, swap_lanes<2>(a));
  if constexpr (kVecWidth >= 2) a = op(a, swap_lanes<1>(a));
  return first_lane(a);
}
TK_INLINE float sum_lanes(VecF a) {
  return fold_lanes(a, [](VecF x, VecF y) { return x + y; });
}
TK_INLINE float max_lanes(VecF a) {
  return fold_lanes(a, [](VecF x, VecF y) { return vmax(x, y); });
}

TK_END_LEVEL
