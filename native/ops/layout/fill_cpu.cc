#include "ops/common/runs.h"
#include "ops/layout/layout.h"

TK_BEGIN_LEVEL
namespace {

// Values come as arguments: captured by reference, they might change with every store for all the compiler knows.
TK_INLINE void range_f32(float* y, int64_t begin, int64_t end, double start, double step) {
  // double(i) as an exact sum whose second part comes from 32 bits: AVX2 has no conversion from 64.
  constexpr int64_t kPart = 1 << 20;
  for (; begin < end; begin += kPart) {
    const int n = int(end - begin < kPart ? end - begin : kPart);
    const double base = double(begin);
    for (int i = 0; i < n; ++i) y[begin + i] = float(start + (base + double(i)) * step);
  }
}
TK_INLINE void range_i32(uint32_t* y, int64_t begin, int64_t end, uint32_t start, uint32_t step) {
  for (int64_t i = begin; i < end; ++i) y[i] = start + uint32_t(i) * step;
}

}  // namespace

void fill_cpu(const OpCall& call, CpuContext& context) {
  const Operand& y = call[0];
  const uint32_t bits = element_bits(y.dtype, TK_FLOAT(call, fill, value));
  const int64_t element = dtype_bytes(y.dtype);
  context.parallel_for(y.size, move_grain(element), [&](int64_t begin, int64_t end, int) {
    if (element == 4) {
      fill_run(static_cast<uint32_t*>(y.data) + begin, end - begin, bits);
    } else {
      fill_run(y.u8() + begin, end - begin, uint8_t(bits));
    }
  });
}

void range_cpu(const OpCall& call, CpuContext& context) {
  const Operand& y = call[0];
  const double start = TK_FLOAT(call, range, start), step = TK_FLOAT(call, range, step);
  if (y.dtype == DType::f32) {
    context.parallel_for(y.size, move_grain(sizeof(float)),
                         [&](int64_t begin, int64_t end, int) { range_f32(y.f32(), begin, end, start, step); });
    return;
  }
  TK_CHECK(y.dtype == DType::i32);
  const uint32_t first = uint32_t(int64_t(start)), by = uint32_t(int64_t(step));
  context.parallel_for(y.size, move_grain(sizeof(int32_t)), [&](int64_t begin, int64_t end, int) {
    range_i32(static_cast<uint32_t*>(y.data), begin, end, first, by);
  });
}

TK_END_LEVEL
