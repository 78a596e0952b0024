// The SIMD layer where no vector instructions are known, and in CUDA kernels: one lane. Included by simd.h.
#pragma once

TK_BEGIN_LEVEL

constexpr int kVecWidth = 1;
#if defined(TK_CUDA_KERNELS)
constexpr bool kHasFma = true;
#else
constexpr bool kHasFma = false;
#endif
struct VecF {
  float v;
};
struct VecI {
  int32_t v;
};
struct Mask {
  bool v;
};

TK_INLINE VecF load(const float* p) { return {*p}; }
TK_INLINE VecI load(const int32_t* p) { return {*p}; }
TK_INLINE VecI load_u8(const uint8_t* p) { return {*p}; }
TK_INLINE void store(float* p, VecF a) { *p = a.v; }
TK_INLINE void store(int32_t* p, VecI a) { *p = a.v; }
TK_INLINE void store_u8(uint8_t* p, VecI a) { *p = uint8_t(a.v); }
TK_INLINE void stream_store(float* p, VecF a) { *p = a.v; }
TK_INLINE void stream_store(int32_t* p, VecI a) { *p = a.v; }
TK_INLINE void stream_fence() {}
TK_INLINE VecF set1(float x) { return {x}; }
TK_INLINE VecI set1i(int32_t x) { return {x}; }

TK_INLINE VecF operator+(VecF a, VecF b) { return {a.v + b.v}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {a.v - b.v}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {a.v * b.v}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {a.v / b.v}; }
#if defined(TK_CUDA_KERNELS)
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return {::fmaf(a.v, b.v, c.v)}; }
TK_INLINE VecF fnmadd(VecF a, VecF b, VecF c) { return {::fmaf(-a.v, b.v, c.v)}; }
#else
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return {a.v * b.v + c.v}; }
TK_INLINE VecF fnmadd(VecF a, VecF b, VecF c) { return {c.v - a.v * b.v}; }
#endif
TK_INLINE VecF vmax(VecF a, VecF b) { return {a.v > b.v ? a.v : b.v}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {a.v < b.v ? a.v : b.v}; }
TK_INLINE VecF vsqrt(VecF a) { return {::sqrtf(a.v)}; }
TK_INLINE VecF vfloor(VecF a) { return {::floorf(a.v)}; }
TK_INLINE VecF vceil(VecF a) { return {::ceilf(a.v)}; }
TK_INLINE VecF vround(VecF a) { return {::nearbyintf(a.v)}; }

// Unsigned inside: signed overflow is undefined in C++, and int32 tensors wrap.
TK_INLINE VecI operator+(VecI a, VecI b) { return {int32_t(uint32_t(a.v) + uint32_t(b.v))}; }
TK_INLINE VecI operator-(VecI a, VecI b) { return {int32_t(uint32_t(a.v) - uint32_t(b.v))}; }
TK_INLINE VecI operator*(VecI a, VecI b) { return {int32_t(uint32_t(a.v) * uint32_t(b.v))}; }
TK_INLINE VecI operator&(VecI a, VecI b) { return {a.v & b.v}; }
TK_INLINE VecI operator|(VecI a, VecI b) { return {a.v | b.v}; }
TK_INLINE VecI operator^(VecI a, VecI b) { return {a.v ^ b.v}; }
template <int Bits>
TK_INLINE VecI shift_left(VecI a) {
  return {int32_t(uint32_t(a.v) << Bits)};
}
template <int Bits>
TK_INLINE VecI shift_right(VecI a) {
  return {a.v >> Bits};
}
TK_INLINE VecI vmax(VecI a, VecI b) { return {a.v > b.v ? a.v : b.v}; }
TK_INLINE VecI vmin(VecI a, VecI b) { return {a.v < b.v ? a.v : b.v}; }

TK_INLINE VecI as_int(VecF a) {
  VecI r;
  std::memcpy(&r.v, &a.v, 4);
  return r;
}
TK_INLINE VecF as_float(VecI a) {
  VecF r;
  std::memcpy(&r.v, &a.v, 4);
  return r;
}
// Out of range a C++ conversion is undefined; the vector levels give some value, so this one gives INT32_MIN as x86 does.
TK_INLINE bool fits_int(float x) { return x >= -2147483648.0f && x < 2147483648.0f; }
TK_INLINE VecF to_float(VecI a) { return {float(a.v)}; }
TK_INLINE VecI to_int_trunc(VecF a) { return {fits_int(a.v) ? int32_t(a.v) : INT32_MIN}; }
TK_INLINE VecI to_int_round(VecF a) { return to_int_trunc(vround(a)); }

TK_INLINE Mask operator<(VecF a, VecF b) { return {a.v < b.v}; }
TK_INLINE Mask operator<=(VecF a, VecF b) { return {a.v <= b.v}; }
TK_INLINE Mask operator>(VecF a, VecF b) { return {a.v > b.v}; }
TK_INLINE Mask operator>=(VecF a, VecF b) { return {a.v >= b.v}; }
TK_INLINE Mask operator==(VecF a, VecF b) { return {a.v == b.v}; }
TK_INLINE Mask operator!=(VecF a, VecF b) { return {a.v != b.v}; }
TK_INLINE Mask operator<(VecI a, VecI b) { return {a.v < b.v}; }
TK_INLINE Mask operator>(VecI a, VecI b) { return {a.v > b.v}; }
TK_INLINE Mask operator==(VecI a, VecI b) { return {a.v == b.v}; }

TK_INLINE Mask operator&(Mask a, Mask b) { return {a.v && b.v}; }
TK_INLINE Mask operator|(Mask a, Mask b) { return {a.v || b.v}; }
TK_INLINE Mask operator!(Mask a) { return {!a.v}; }
TK_INLINE uint32_t mask_bits(Mask a) { return a.v ? 1u : 0u; }
TK_INLINE VecF select(Mask m, VecF a, VecF b) { return m.v ? a : b; }
TK_INLINE VecI select(Mask m, VecI a, VecI b) { return m.v ? a : b; }

template <int Distance>
TK_INLINE VecF swap_lanes(VecF a) {
  return a;
}
TK_INLINE float first_lane(VecF a) { return a.v; }
TK_INLINE int32_t first_lane(VecI a) { return a.v; }

TK_END_LEVEL
