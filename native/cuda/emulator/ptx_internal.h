// Shared between ptx.cc, tma.cc and wgmma.cc.
#pragma once
#include <cuda.h>
#include <cstdint>
#include <cstring>

namespace tk::emulator {
inline float from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}
inline float bf16_val(uint16_t h) { return from_bits(uint32_t(h) << 16); }
inline float f16_val(uint16_t h) {
  static const float* table = [] {
    float* t = new float[65536];
    for (int i = 0; i < 65536; i++) {
      __half_raw r;
      r.x = uint16_t(i);
      t[i] = __half2float(__half(r));
    }
    return t;
  }();
  return table[h];
}

// Swizzle on address bits: 128B: 4-6 ^= 7-9; 64B: 4-5 ^= 7-8; 32B: 4 ^= 7.
inline uint32_t swizzle(uint32_t a, int mode) {
  switch (mode) {
    case CU_TENSOR_MAP_SWIZZLE_128B: return a ^ ((a >> 7 & 7) << 4);
    case CU_TENSOR_MAP_SWIZZLE_64B: return a ^ ((a >> 7 & 3) << 4);
    case CU_TENSOR_MAP_SWIZZLE_32B: return a ^ ((a >> 7 & 1) << 4);
    default: return a;
  }
}
}  // namespace tk::emulator
