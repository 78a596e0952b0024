// Random numbers as a pure function of key and position, equal bit for bit on every device: integer arithmetic and f32
// + - * / sqrt, each rounded on its own. Compile with contraction off; no library function with its own rounding appears.
//
// Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; constants from there.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/op_call.h"

#if defined(__CUDACC__)
#define TK_PHILOX_FN __host__ __device__ __forceinline__
#else
#define TK_PHILOX_FN TK_INLINE
#endif

namespace tk {
namespace philox {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;
constexpr int kLanes = 4;  // 32-bit words of one block

// out[4] from counter[4] and key[2].
TK_PHILOX_FN void block(const uint32_t* counter, const uint32_t* key, uint32_t* out) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t p0 = uint64_t(c0) * kMultiplier0, p1 = uint64_t(c2) * kMultiplier1;
    c0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
    c1 = uint32_t(p1);
    c2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c3 = uint32_t(p0);
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

// Blocks that hold n words.
TK_PHILOX_FN int64_t blocks_for(int64_t n) { return (n + kLanes - 1) / kLanes; }

// 24 random bits, 0 .. 2^24 - 1: as many as an f32 holds at equal spacing.
TK_PHILOX_FN int32_t bits24(uint32_t word) { return int32_t(word >> 8); }

// k * 2^-24 in [0, 1).
TK_PHILOX_FN float uniform(uint32_t word) { return float(bits24(word)) * 0x1p-24f; }

// Smallest bits24 value that survives dropout at this rate: kept with probability 1 - rate to within 2^-24.
TK_PHILOX_FN int32_t dropout_threshold(double rate) {
  const double scaled = rate * 0x1p24;
  const int32_t whole = int32_t(scaled);
  return double(whole) < scaled ? whole + 1 : whole;
}

// Integer in [min, min + range), range 1 .. 2^32, as the upper word of word * range. A value's probability differs from
// 1 / range by less than 2^-32.
TK_PHILOX_FN int32_t uniform_int(uint32_t word, uint32_t min, uint64_t range) {
  return int32_t(min + uint32_t((uint64_t(word) * range) >> 32));
}

TK_PHILOX_FN float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
TK_PHILOX_FN uint32_t to_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Natural logarithm of x > 0, normal; error below 2 units in the last place. x = m * 2^e with m in [sqrt(1/2), sqrt(2));
// ln m = 2 artanh(s), s = (m - 1) / (m + 1), by its Taylor series: |s| < 0.172, so the first term left out is below 4e-10.
TK_PHILOX_FN float log_positive(float x) {
  constexpr uint32_t kSqrtHalf = 0x3F3504F3;
  const uint32_t shifted = to_bits(x) - kSqrtHalf;
  const int32_t exponent = int32_t(shifted) >> 23;
  const float m = from_bits((shifted & 0x007FFFFFu) + kSqrtHalf);
  const float s = (m - 1.0f) / (m + 1.0f), z = s * s;
  const float tail = z * (1.0f / 3 + z * (1.0f / 5 + z * (1.0f / 7 + z * (1.0f / 9))));
  const float e = float(exponent);
  // ln 2 in two parts: the first has 12 bits, so that its product with e is exact.
  constexpr float kLn2High = 0x1.62ep-1f, kLn2Low = 0x1.0bfbe8p-15f;
  return e * kLn2High + (e * kLn2Low + (2.0f * s + 2.0f * s * tail));
}

// Two independent standard normals from two words: Box and Muller 1958, r = sqrt(-2 ln u), (r cos t, r sin t).
//   u = (2j + 1) * 2^-31, j the upper 30 bits of word_u, rounded to f32: never 0, fine-grained in the
//       tails; |z| is at most sqrt(62 ln 2) = 6.56.
//   t = 2 pi * word_t / 2^32: reduced to [-pi/4, pi/4] in integers, so the angle's error is one rounding; Taylor series.
TK_PHILOX_FN void normal_pair(uint32_t word_u, uint32_t word_t, float* first, float* second) {
  const float u = float(int32_t((word_u >> 1) | 1u)) * 0x1p-31f;
  const float r = ::sqrtf(-2.0f * log_positive(u));
  const uint32_t quadrant = (word_t + 0x20000000u) >> 30;
  const float a = float(int32_t(word_t - (quadrant << 30))) * 0x1.921fb6p-30f;  // 2 pi / 2^32
  const float z = a * a;
  const float sine = a - a * z * (1.0f / 6 - z * (1.0f / 120 - z * (1.0f / 5040 - z * (1.0f / 362880))));
  const float cosine = 1.0f - z * (0.5f - z * (1.0f / 24 - z * (1.0f / 720 - z * (1.0f / 40320))));
  // Quadrants 1 and 3 swap the two; cosine is negative in 1 and 2, sine in 2 and 3.
  const uint32_t swap = 0u - (quadrant & 1u);
  const uint32_t sine_bits = to_bits(sine), cosine_bits = to_bits(cosine);
  const uint32_t x = (cosine_bits & ~swap) | (sine_bits & swap);
  const uint32_t y = (sine_bits & ~swap) | (cosine_bits & swap);
  *first = r * from_bits(x ^ (((quadrant + 1u) & 2u) << 30));
  *second = r * from_bits(y ^ ((quadrant & 2u) << 30));
}

}  // namespace philox
}  // namespace tk
