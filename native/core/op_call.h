// An op call as a kernel sees it: operands with shapes, attributes, scratch memory. Plain data; owns nothing.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "core/error.h"

// TK_HOST_INLINE is for what calls host code and so can never be part of a CUDA kernel.
#if defined(TK_CUDA_KERNELS)
#define TK_INLINE __host__ __device__ inline __attribute__((always_inline))
#define TK_HOST_INLINE inline
#elif defined(_MSC_VER)
#define TK_INLINE __forceinline
#else
#define TK_INLINE inline __attribute__((always_inline))
#endif
#if !defined(TK_HOST_INLINE)
#define TK_HOST_INLINE TK_INLINE
#endif

namespace tk {

constexpr int kMaxRank = 8;

// One tensor of a call: dense, row-major. data is null only when size is 0.
struct Operand {
  void* data = nullptr;
  int64_t size = 0;  // elements
  DType dtype = DType::f32;
  uint8_t rank = 0;
  int64_t dims[kMaxRank] = {};

  TK_INLINE float* f32() const { return static_cast<float*>(data); }
  TK_INLINE int32_t* i32() const { return static_cast<int32_t*>(data); }
  TK_INLINE uint8_t* u8() const { return static_cast<uint8_t*>(data); }
  TK_INLINE int64_t bytes() const { return size * dtype_bytes(dtype); }
};

// Operands stand in the order of ops.def; each starred group has star_count members, one after the other.
// An op with star groups a*, b* and two fixed operands before them has operands [f0, f1, a0..an-1, b0..bn-1].
struct OpCall {
  uint16_t op = 0;
  int32_t num_operands = 0;
  int32_t star_count = 0;
  const Operand* operands = nullptr;
  int32_t num_ints = 0;
  int32_t num_floats = 0;
  const int64_t* ints = nullptr;
  const double* floats = nullptr;
  void* workspace = nullptr;  // 64-byte aligned, as many bytes as the op's workspace function asked for
  int64_t workspace_bytes = 0;

  TK_INLINE const Operand& operator[](int index) const { return operands[index]; }
};

// Position of a name in a space-separated list such as "stride_h stride_w"; -1 when absent. A trailing '*' marks a list
// that takes all remaining values.
constexpr int attr_index(const char* spec, const char* name) {
  int index = 0;
  const char* s = spec;
  while (*s) {
    while (*s == ' ') ++s;
    const char* n = name;
    const char* t = s;
    while (*n && *t == *n) {
      ++n;
      ++t;
    }
    if (*n == 0 && (*t == 0 || *t == ' ' || *t == '*') && t != s) return index;
    while (*s && *s != ' ') ++s;
    ++index;
  }
  return -1;
}

namespace attrs {
#define TK_OP(name, operands, ints, floats, dtypes, kind, cost, workspace) \
  static constexpr char name##_ints[] = ints;                              \
  static constexpr char name##_floats[] = floats;
#include "ops/ops.def"
}  // namespace attrs

template <int Index>
struct CheckedIndex {
  static_assert(Index >= 0, "ops.def has no such attribute");
  static constexpr int value = Index;
};

}  // namespace tk

// Reads attribute `field` of op `name`: TK_INT(call, conv2d, stride_h). A wrong name does not compile.
#define TK_INT(call, name, field) ((call).ints[::tk::CheckedIndex<::tk::attr_index(::tk::attrs::name##_ints, #field)>::value])
#define TK_FLOAT(call, name, field) \
  ((call).floats[::tk::CheckedIndex<::tk::attr_index(::tk::attrs::name##_floats, #field)>::value])
// The trailing list `field*`: pointer to its first value.
#define TK_INTS(call, name, field) ((call).ints + ::tk::CheckedIndex<::tk::attr_index(::tk::attrs::name##_ints, #field)>::value)
