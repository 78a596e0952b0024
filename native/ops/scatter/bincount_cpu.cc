#include "ops/scatter/scatter.h"

TK_BEGIN_LEVEL
namespace {

enum class Count { kOccurrence, kOnes, kWeights };

// T is unsigned for i32, so that overflow wraps.
template <class T>
void count_rows(const OpCall& call, CpuContext& context, Count mode) {
  const int64_t rows = call[0].dims[0], n = call[0].dims[1], size = call[2].dims[1];
  const int32_t* x = call[0].i32();
  const T* weights = static_cast<const T*>(call[1].data);
  T* y = static_cast<T*>(call[2].data);
  constexpr int64_t kGrainElements = 16384;
  context.parallel_for(rows, 1 + kGrainElements / (1 + n + size), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      T* bins = y + row * size;
      for (int64_t v = 0; v < size; ++v) bins[v] = T(0);
      for (int64_t i = row * n; i < (row + 1) * n; ++i) {
        const int64_t value = x[i];
        if (value < 0) context.report_index(value, size);
        if (value < 0 || value >= size) continue;
        if (mode == Count::kOccurrence) {
          bins[value] = T(1);
        } else {
          bins[value] += mode == Count::kWeights ? weights[i] : T(1);
        }
      }
    }
  });
}

}  // namespace

void bincount_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &weights = call[1], &y = call[2];
  TK_CHECK(x.rank == 2 && y.rank == 2);
  TK_CHECK_EQ(x.dims[0], y.dims[0]);
  TK_CHECK(weights.size == x.size || weights.size == 0);
  const bool binary = TK_INT(call, bincount, binary) != 0;
  const Count mode = binary ? Count::kOccurrence : weights.size == 0 ? Count::kOnes : Count::kWeights;
  if (y.dtype == DType::f32) {
    count_rows<float>(call, context, mode);
  } else {
    count_rows<uint32_t>(call, context, mode);
  }
}

TK_END_LEVEL
