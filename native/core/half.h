// Conversions of the 16-bit storage dtypes. IEEE 754 binary16 and bfloat16; rounding to nearest even; a NaN becomes quiet and
// keeps its leading payload bits, as the F16C instructions do it.
#pragma once
#include <cstdint>
#include <cstring>

#include "core/op_call.h"

namespace tk {

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

TK_INLINE float bf16_to_f32(uint16_t h) { return bits_float(uint32_t(h) << 16); }
TK_INLINE uint16_t f32_to_bf16(float x) {
  const uint32_t bits = float_bits(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t(bits >> 16 | 0x40u);
  return uint16_t((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

TK_INLINE float f16_to_f32(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000u) << 16;
  const uint32_t magnitude = h & 0x7fffu;
  if (magnitude > 0x7c00u) return bits_float(sign | 0x7fc00000u | magnitude << 13);
  if (magnitude == 0x7c00u) return bits_float(sign | 0x7f800000u);
  // Scaling by 2^112 moves the exponent bias from 15 to 127 and normalises subnormal numbers exactly.
  return bits_float(sign | float_bits(bits_float(magnitude << 13) * bits_float(uint32_t(127 + 112) << 23)));
}
TK_INLINE uint16_t f32_to_f16(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return uint16_t(sign | 0x7e00u | (magnitude >> 13 & 0x1ffu));
  if (magnitude >= 0x477ff000u) return uint16_t(sign | 0x7c00u);  // rounds to 65536 or beyond
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5 rounds to a multiple of 2^-24, which then stands in the low mantissa bits.
    return uint16_t(sign | (float_bits(bits_float(magnitude) + 0.5f) - 0x3f000000u));
  }
  return uint16_t(sign | ((magnitude + 0xfffu + (magnitude >> 13 & 1u) - (112u << 23)) >> 13));
}

}  // namespace tk
