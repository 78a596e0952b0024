// Copies and fills of short runs, shared by the ops that move data without looking at it.
#pragma once
#include "ops/common/elementwise.h"

TK_BEGIN_LEVEL

// Output bytes of one unit of parallel work in ops bound by memory: about 20 us of reading and writing on one core.
constexpr int64_t kMoveGrainBytes = 64 * 1024;

TK_INLINE int64_t move_grain(int64_t element_bytes) { return kMoveGrainBytes / element_bytes; }

template <int Bytes>
TK_INLINE void copy_ends(char* to, const char* from, int64_t bytes) {
  char head[Bytes], tail[Bytes];
  std::memcpy(head, from, Bytes);
  std::memcpy(tail, from + bytes - Bytes, Bytes);
  std::memcpy(to, head, Bytes);
  std::memcpy(to + bytes - Bytes, tail, Bytes);
}

// memcpy, without the cost of a call for up to 32 bytes: two overlapping moves of a fixed size.
TK_INLINE void copy_run(void* y, const void* x, int64_t bytes) {
  char* to = static_cast<char*>(y);
  const char* from = static_cast<const char*>(x);
  if (bytes > 32) {
    std::memcpy(to, from, size_t(bytes));
  } else if (bytes >= 16) {
    copy_ends<16>(to, from, bytes);
  } else if (bytes >= 8) {
    copy_ends<8>(to, from, bytes);
  } else if (bytes >= 4) {
    copy_ends<4>(to, from, bytes);
  } else if (bytes >= 2) {
    copy_ends<2>(to, from, bytes);
  } else if (bytes == 1) {
    *to = *from;
  }
}

// A run written past the caches: y and bytes are multiples of 64. A fence is needed before others read it.
TK_INLINE void stream_run(void* y, const void* x, int64_t bytes) {
  float* to = static_cast<float*>(y);
  const float* from = static_cast<const float*>(x);
  for (int64_t i = 0; i < bytes / 4; i += kVecWidth) stream_store(to + i, load(from + i));
}
// Whether runs of so many bytes each, one after the other from y on, are to be written so: y is large and all start lines.
TK_INLINE bool streams_runs(const void* y, int64_t total_bytes, int64_t run_bytes) {
  return total_bytes >= kStreamBytes && run_bytes % 64 == 0 && is_aligned(y, 64);
}

template <class T>
TK_INLINE void fill_run(T* y, int64_t n, T value) {
  for (int64_t i = 0; i < n; ++i) y[i] = value;
}

// The bit pattern of an attribute stored as one element of the given dtype: f32 rounds, i32 and u8 truncate.
TK_INLINE uint32_t element_bits(DType dtype, double value) {
  if (dtype == DType::f32) {
    const float f = float(value);
    uint32_t bits;
    std::memcpy(&bits, &f, sizeof bits);
    return bits;
  }
  return dtype == DType::i32 ? uint32_t(int32_t(value)) : uint32_t(uint8_t(value));
}

TK_END_LEVEL
