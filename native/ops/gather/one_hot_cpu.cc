#include "ops/common/runs.h"
#include "ops/gather/gather.h"

TK_BEGIN_LEVEL
namespace {

template <class T>
TK_INLINE void one_hot_rows(const int32_t* indices, T* y, int64_t depth, int64_t begin, int64_t end, T on, T off) {
  fill_run(y + begin * depth, (end - begin) * depth, off);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t index = indices[row];
    if (index >= 0 && index < depth) y[row * depth + index] = on;
  }
}

}  // namespace

void one_hot_cpu(const OpCall& call, CpuContext& context) {
  const Operand &indices = call[0], &y = call[1];
  TK_CHECK(y.rank >= 1);
  const int64_t depth = y.dims[y.rank - 1], element = dtype_bytes(y.dtype);
  TK_CHECK_EQ(y.size, indices.size * depth);
  if (y.size == 0) return;
  const uint32_t on = element_bits(y.dtype, TK_FLOAT(call, one_hot, on));
  const uint32_t off = element_bits(y.dtype, TK_FLOAT(call, one_hot, off));
  context.parallel_for(indices.size, 1 + kMoveGrainBytes / (depth * element), [&](int64_t begin, int64_t end, int) {
    if (element == 4) {
      one_hot_rows(indices.i32(), static_cast<uint32_t*>(y.data), depth, begin, end, on, off);
    } else {
      one_hot_rows(indices.i32(), y.u8(), depth, begin, end, uint8_t(on), uint8_t(off));
    }
  });
}

TK_END_LEVEL
