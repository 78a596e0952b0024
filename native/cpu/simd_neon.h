// The SIMD layer for 64-bit ARM (Advanced SIMD): 4 lanes. Included by simd.h.
#pragma once

TK_BEGIN_LEVEL

constexpr int kVecWidth = 4;
constexpr bool kHasFma = true;
struct VecF {
  float32x4_t v;
};
struct VecI {
  int32x4_t v;
};
struct Mask {
  uint32x4_t v;
};

TK_INLINE VecF load(const float* p) { return {vld1q_f32(p)}; }
TK_INLINE VecI load(const int32_t* p) { return {vld1q_s32(p)}; }
TK_INLINE VecI load_u8(const uint8_t* p) {
  uint32_t bytes;
  std::memcpy(&bytes, p, 4);
  const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(bytes)));
  return {vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)))};
}
TK_INLINE void store(float* p, VecF a) { vst1q_f32(p, a.v); }
TK_INLINE void store(int32_t* p, VecI a) { vst1q_s32(p, a.v); }
TK_INLINE void store_u8(uint8_t* p, VecI a) {
  const uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(a.v));
  const uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(words, words))), 0);
  std::memcpy(p, &bytes, 4);
}
TK_INLINE void stream_store(float* p, VecF a) { vst1q_f32(p, a.v); }
TK_INLINE void stream_store(int32_t* p, VecI a) { vst1q_s32(p, a.v); }
TK_INLINE void stream_fence() {}
TK_INLINE VecF set1(float x) { return {vdupq_n_f32(x)}; }
TK_INLINE VecI set1i(int32_t x) { return {vdupq_n_s32(x)}; }

TK_INLINE VecF operator+(VecF a, VecF b) { return {vaddq_f32(a.v, b.v)}; }
TK_INLINE VecF operator-(VecF a, VecF b) { return {vsubq_f32(a.v, b.v)}; }
TK_INLINE VecF operator*(VecF a, VecF b) { return {vmulq_f32(a.v, b.v)}; }
TK_INLINE VecF operator/(VecF a, VecF b) { return {vdivq_f32(a.v, b.v)}; }
TK_INLINE VecF fmadd(VecF a, VecF b, VecF c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
TK_INLINE VecF fnmadd(VecF a, VecF b, VecF c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
TK_INLINE VecF vmax(VecF a, VecF b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
TK_INLINE VecF vmin(VecF a, VecF b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
TK_INLINE VecF vsqrt(VecF a) { return {vsqrtq_f32(a.v)}; }
TK_INLINE VecF vfloor(VecF a) { return {vrndmq_f32(a.v)}; }
TK_INLINE VecF vceil(VecF a) { return {vrndpq_f32(a.v)}; }
TK_INLINE VecF vround(VecF a) { return {vrndnq_f32(a.v)}; }

TK_INLINE VecI operator+(VecI a, VecI b) { return {vaddq_s32(a.v, b.v)}; }
TK_INLINE VecI operator-(VecI a, VecI b) { return {vsubq_s32(a.v, b.v)}; }
TK_INLINE VecI operator*(VecI a, VecI b) { return {vmulq_s32(a.v, b.v)}; }
TK_INLINE VecI operator&(VecI a, VecI b) { return {vandq_s32(a.v, b.v)}; }
TK_INLINE VecI operator|(VecI a, VecI b) { return {vorrq_s32(a.v, b.v)}; }
TK_INLINE VecI operator^(VecI a, VecI b) { return {veorq_s32(a.v, b.v)}; }
template <int Bits>
TK_INLINE VecI shift_left(VecI a) {
  return {vshlq_n_s32(a.v, Bits)};
}
template <int Bits>
TK_INLINE VecI shift_right(VecI a) {
  return {vshrq_n_s32(a.v, Bits)};
}
TK_INLINE VecI vmax(VecI a, VecI b) { return {vmaxq_s32(a.v, b.v)}; }
TK_INLINE VecI vmin(VecI a, VecI b) { return {vminq_s32(a.v, b.v)}; }

TK_INLINE VecI as_int(VecF a) { return {vreinterpretq_s32_f32(a.v)}; }
TK_INLINE VecF as_float(VecI a) { return {vreinterpretq_f32_s32(a.v)}; }
TK_INLINE VecF to_float(VecI a) { return {vcvtq_f32_s32(a.v)}; }
TK_INLINE VecI to_int_trunc(VecF a) { return {vcvtq_s32_f32(a.v)}; }
TK_INLINE VecI to_int_round(VecF a) { return {vcvtnq_s32_f32(a.v)}; }

TK_INLINE Mask operator<(VecF a, VecF b) { return {vcltq_f32(a.v, b.v)}; }
TK_INLINE Mask operator<=(VecF a, VecF b) { return {vcleq_f32(a.v, b.v)}; }
TK_INLINE Mask operator>(VecF a, VecF b) { return {vcgtq_f32(a.v, b.v)}; }
TK_INLINE Mask operator>=(VecF a, VecF b) { return {vcgeq_f32(a.v, b.v)}; }
TK_INLINE Mask operator==(VecF a, VecF b) { return {vceqq_f32(a.v, b.v)}; }
TK_INLINE Mask operator!=(VecF a, VecF b) { return {vmvnq_u32(vceqq_f32(a.v, b.v))}; }
TK_INLINE Mask operator<(VecI a, VecI b) { return {vcltq_s32(a.v, b.v)}; }
TK_INLINE Mask operator>(VecI a, VecI b) { return {vcgtq_s32(a.v, b.v)}; }
TK_INLINE Mask operator==(VecI a, VecI b) { return {vceqq_s32(a.v, b.v)}; }

TK_INLINE Mask operator&(Mask a, Mask b) { return {vandq_u32(a.v, b.v)}; }
TK_INLINE Mask operator|(Mask a, Mask b) { return {vorrq_u32(a.v, b.v)}; }
TK_INLINE Mask operator!(Mask a) { return {vmvnq_u32(a.v)}; }
TK_INLINE uint32_t mask_bits(Mask a) {
  alignas(16) static constexpr uint32_t kLaneBit[4] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(a.v, vld1q_u32(kLaneBit)));
}
TK_INLINE VecF select(Mask m, VecF a, VecF b) { return {vbslq_f32(m.v, a.v, b.v)}; }
TK_INLINE VecI select(Mask m, VecI a, VecI b) { return {vbslq_s32(m.v, a.v, b.v)}; }

template <int Distance>
TK_INLINE VecF swap_lanes(VecF a) {
  if constexpr (Distance == 2) return {vextq_f32(a.v, a.v, 2)};
  if constexpr (Distance == 1) return {vrev64q_f32(a.v)};
}
TK_INLINE float first_lane(VecF a) { return vgetq_lane_f32(a.v, 0); }
TK_INLINE int32_t first_lane(VecI a) { return vgetq_lane_s32(a.v, 0); }

TK_END_LEVEL
