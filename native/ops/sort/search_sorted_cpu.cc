#include "ops/sort/sort.h"

TK_BEGIN_LEVEL
namespace {

template <class T>
void search_rows(const OpCall& call, CpuContext& context) {
  const int64_t n = call[0].dims[1], m = call[1].dims[1];
  const T* sorted = static_cast<const T*>(call[0].data);
  const T* values = static_cast<const T*>(call[1].data);
  int32_t* y = call[2].i32();
  const bool right = TK_INT(call, search_sorted, right) != 0;
  constexpr int64_t kGrain = 512;  // searches of some 40 ns each
  context.parallel_for(call[2].size, kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const T* row = sorted + i / m * n;
      const T value = values[i];
      int64_t low = 0, high = n;
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (right ? row[middle] <= value : row[middle] < value) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      y[i] = int32_t(low);
    }
  });
}

}  // namespace

void search_sorted_cpu(const OpCall& call, CpuContext& context) {
  const Operand &sorted = call[0], &values = call[1], &y = call[2];
  TK_CHECK(sorted.rank == 2 && values.rank == 2);
  TK_CHECK_EQ(sorted.dims[0], values.dims[0]);
  TK_CHECK_EQ(y.size, values.size);
  TK_CHECK(sorted.dims[1] <= INT32_MAX);
  switch (sorted.dtype) {
    case DType::f32: return search_rows<float>(call, context);
    case DType::i32: return search_rows<int32_t>(call, context);
    case DType::u8: return search_rows<uint8_t>(call, context);
    default: fail_check(__FILE__, __LINE__, "dtype of sorted", int64_t(sorted.dtype));
  }
}

TK_END_LEVEL
