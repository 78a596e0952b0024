#include "ops/common/runs.h"
#include "ops/layout/layout.h"

TK_BEGIN_LEVEL

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
    float* out = y.f32();
    context.parallel_for(y.size, move_grain(sizeof(float)), [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) out[i] = float(start + double(i) * step);
    });
    return;
  }
  TK_CHECK(y.dtype == DType::i32);
  uint32_t* out = static_cast<uint32_t*>(y.data);
  const uint32_t first = uint32_t(int64_t(start)), by = uint32_t(int64_t(step));
  context.parallel_for(y.size, move_grain(sizeof(int32_t)), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) out[i] = first + uint32_t(i) * by;
  });
}

TK_END_LEVEL
