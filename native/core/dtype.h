// Storage dtypes: what a buffer's bytes are. The logical dtype (float32, int32, bool) belongs to tfjs and never enters native
// code.
#pragma once
#include <cstdint>

namespace tk {

enum class DType : uint8_t { f32 = 0, i32 = 1, u8 = 2, f16 = 3, bf16 = 4 };
constexpr int kNumDTypes = 5;

constexpr int64_t dtype_bytes(DType dtype) {
  return dtype == DType::f32 || dtype == DType::i32 ? 4 : dtype == DType::u8 ? 1 : 2;
}

constexpr const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::i32: return "i32";
    case DType::u8: return "u8";
    case DType::f16: return "f16";
    case DType::bf16: return "bf16";
  }
  return "?";
}

}  // namespace tk
