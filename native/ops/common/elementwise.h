// Loops over the elements of dense arrays, shared by the elementwise families. The tail goes through the same formula as full
// vectors, so a result does not depend on its position.
#pragma once

#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// Elements per unit of parallel work: 10 to 30 us at 0.3 to 0.6 ns, 0.5 to 2 ns and 10 ns per element.
constexpr int64_t kCheapGrain = 32768;
constexpr int64_t kMathGrain = 16384;
constexpr int64_t kLibmGrain = 2048;

// Outputs from this size on are written past the caches: they would not be there any more when the next op reads them, and the
// stores then cost no read of the old contents (64 MB bias add: 27 instead of 19 GB/s on one Zen 3 core).
constexpr int64_t kStreamBytes = int64_t(16) << 20;

TK_INLINE bool is_aligned(const void* p, int64_t bytes) { return reinterpret_cast<uintptr_t>(p) % uintptr_t(bytes) == 0; }

TK_INLINE VecF load_lanes(const float* p) { return load(p); }
TK_INLINE VecI load_lanes(const int32_t* p) { return load(p); }
TK_INLINE VecI load_lanes(const uint8_t* p) { return load_u8(p); }
TK_INLINE VecF load_lanes_part(const float* p, int n) { return load_part(p, n); }
TK_INLINE VecI load_lanes_part(const int32_t* p, int n) { return load_part(p, n); }
TK_INLINE VecI load_lanes_part(const uint8_t* p, int n) { return load_u8_part(p, n); }
TK_INLINE void store_lanes(float* p, VecF a) { store(p, a); }
TK_INLINE void store_lanes(int32_t* p, VecI a) { store(p, a); }
TK_INLINE void store_lanes(uint8_t* p, Mask a) { store_u8(p, to_bool(a)); }
TK_INLINE void stream_lanes(float* p, VecF a) { stream_store(p, a); }
TK_INLINE void stream_lanes(int32_t* p, VecI a) { stream_store(p, a); }
TK_INLINE void store_lanes_part(float* p, VecF a, int n) { store_part(p, a, n); }
TK_INLINE void store_lanes_part(int32_t* p, VecI a, int n) { store_part(p, a, n); }
TK_INLINE void store_lanes_part(uint8_t* p, Mask a, int n) { store_u8_part(p, to_bool(a), n); }

// Calls body(i) for the vectors of as many whole pairs of lines as n elements hold; returns how many elements those are.
// Results that are written past the caches want whole lines, and two places at once: the hardware fetches ahead within a page
// only, so one goes on while the other starts on its next page (relu of 64 MB: 24 instead of 18 GB/s on one Zen 3 core). Four
// are too many for the buffers in which lines are put together, and ops of two operands read two places anyway.
template <class Body>
TK_INLINE int64_t for_streamed_lines(int64_t n, const Body& body) {
  constexpr int64_t kLine = 16;  // elements
  const int64_t half = n / (2 * kLine) * kLine;
  for (int64_t i = 0; i < half; i += kLine) {
    for (int64_t v = 0; v < kLine; v += kVecWidth) body(i + v);
    for (int64_t v = 0; v < kLine; v += kVecWidth) body(half + i + v);
  }
  return 2 * half;
}

TK_END_LEVEL
