#include "ops/unary/unary.h"

#include "ops/common/elementwise.h"
#include "ops/common/half_runs.h"

TK_BEGIN_LEVEL
namespace {

// ToInt32 of ECMAScript: towards zero, modulo 2^32; NaN and infinities give 0. From 2^56 on a float is a multiple of 2^32.
int32_t to_int32(float x) {
  if (!(::fabsf(x) < 72057594037927936.0f)) return 0;
  return int32_t(uint32_t(uint64_t(int64_t(x))));
}

TK_INLINE VecI to_int32(VecF x) {
  const VecI y = to_int_trunc(x);
  const Mask inside = vabs(x) < set1(2147483648.0f);
  if (all(inside)) return y;
  float lanes[kVecWidth];
  int32_t result[kVecWidth];
  store(lanes, x);
  for (int i = 0; i < kVecWidth; ++i) result[i] = to_int32(lanes[i]);
  return load(result);
}

// Each converts n elements. Same-size conversions may run in place.
using CastLoop = void (*)(const void* x, void* y, int64_t n);

void f32_to_i32(const void* from, void* to, int64_t n) {
  const float* x = static_cast<const float*>(from);
  int32_t* y = static_cast<int32_t*>(to);
  int64_t i = 0;
  for (; i + kVecWidth <= n; i += kVecWidth) store(y + i, to_int32(load(x + i)));
  if (i < n) store_part(y + i, to_int32(load_part(x + i, int(n - i))), int(n - i));
}
void i32_to_f32(const void* from, void* to, int64_t n) {
  const int32_t* x = static_cast<const int32_t*>(from);
  float* y = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + kVecWidth <= n; i += kVecWidth) store(y + i, to_float(load(x + i)));
  if (i < n) store_part(y + i, to_float(load_part(x + i, int(n - i))), int(n - i));
}
void u8_to_f32(const void* from, void* to, int64_t n) {
  const uint8_t* x = static_cast<const uint8_t*>(from);
  float* y = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + kVecWidth <= n; i += kVecWidth) store(y + i, to_float(load_u8(x + i)));
  if (i < n) store_part(y + i, to_float(load_u8_part(x + i, int(n - i))), int(n - i));
}
void f32_to_u8(const void* from, void* to, int64_t n) {
  const float* x = static_cast<const float*>(from);
  uint8_t* y = static_cast<uint8_t*>(to);
  int64_t i = 0;
  for (; i + kVecWidth <= n; i += kVecWidth) store_lanes(y + i, load(x + i) != zero());
  if (i < n) store_lanes_part(y + i, load_part(x + i, int(n - i)) != zero(), int(n - i));
}
void i32_to_u8(const void* from, void* to, int64_t n) {
  const int32_t* x = static_cast<const int32_t*>(from);
  uint8_t* y = static_cast<uint8_t*>(to);
  int64_t i = 0;
  for (; i + kVecWidth <= n; i += kVecWidth) store_lanes(y + i, !(load(x + i) == set1i(0)));
  if (i < n) store_lanes_part(y + i, !(load_part(x + i, int(n - i)) == set1i(0)), int(n - i));
}
void u8_to_i32(const void* from, void* to, int64_t n) {
  const uint8_t* x = static_cast<const uint8_t*>(from);
  int32_t* y = static_cast<int32_t*>(to);
  for (int64_t i = 0; i < n; ++i) y[i] = x[i];
}
void f32_to_halves(const void* from, void* to, int64_t n) {
  narrow_to_f16(static_cast<const float*>(from), static_cast<uint16_t*>(to), n);
}
void halves_to_f32(const void* from, void* to, int64_t n) {
  widen_f16(static_cast<const uint16_t*>(from), static_cast<float*>(to), n);
}
void f32_to_bfloats(const void* from, void* to, int64_t n) {
  narrow_to_bf16(static_cast<const float*>(from), static_cast<uint16_t*>(to), n);
}
void bfloats_to_f32(const void* from, void* to, int64_t n) {
  widen_bf16(static_cast<const uint16_t*>(from), static_cast<float*>(to), n);
}

constexpr CastLoop kToF32[kNumDTypes] = {nullptr, i32_to_f32, u8_to_f32, halves_to_f32, bfloats_to_f32};
constexpr CastLoop kFromF32[kNumDTypes] = {nullptr, f32_to_i32, f32_to_u8, f32_to_halves, f32_to_bfloats};

CastLoop direct_loop(DType from, DType to) {
  if (from == DType::f32) return kFromF32[int(to)];
  if (to == DType::f32) return kToF32[int(from)];
  if (from == DType::i32 && to == DType::u8) return i32_to_u8;  // through f32 would do, but at twice the work
  if (from == DType::u8 && to == DType::i32) return u8_to_i32;
  return nullptr;
}

}  // namespace

void cast_cpu(const OpCall& call, CpuContext& context) {
  const Operand& x = call[0];
  const Operand& y = call[1];
  TK_CHECK_EQ(x.size, y.size);
  const DType from = x.dtype, to = y.dtype;
  const char* source = static_cast<const char*>(x.data);
  char* target = static_cast<char*>(y.data);
  const int64_t source_bytes = dtype_bytes(from), target_bytes = dtype_bytes(to);
  if (from == to) {
    if (source == target) return;
    context.parallel_for(x.size, kCheapGrain, [&](int64_t begin, int64_t end, int) {
      std::memcpy(target + begin * target_bytes, source + begin * source_bytes, size_t((end - begin) * source_bytes));
    });
    return;
  }
  const CastLoop direct = direct_loop(from, to);
  context.parallel_for(x.size, kCheapGrain, [&](int64_t begin, int64_t end, int) {
    if (direct != nullptr) return direct(source + begin * source_bytes, target + begin * target_bytes, end - begin);
    constexpr int64_t kBlock = 512;
    float block[kBlock];
    for (int64_t i = begin; i < end; i += kBlock) {
      const int64_t n = end - i < kBlock ? end - i : kBlock;
      kToF32[int(from)](source + i * source_bytes, block, n);
      kFromF32[int(to)](block, target + i * target_bytes, n);
    }
  });
}

TK_END_LEVEL
