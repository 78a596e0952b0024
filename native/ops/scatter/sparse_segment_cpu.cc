#include "ops/common/runs.h"
#include "ops/scatter/scatter.h"

TK_BEGIN_LEVEL
namespace {

// The first i with ids[i] >= wanted.
TK_INLINE int64_t first_at_least(const int32_t* ids, int64_t k, int64_t wanted) {
  int64_t low = 0, high = k;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (ids[middle] < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

template <class T>
TK_INLINE void add_row(T* __restrict y, const T* __restrict x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

TK_INLINE void divide_row(float* y, int64_t n, int64_t count) {
  for (int64_t i = 0; i < n; ++i) y[i] /= float(count);
}
TK_INLINE void divide_row(uint32_t* y, int64_t n, int64_t count) {
  for (int64_t i = 0; i < n; ++i) y[i] = uint32_t(int64_t(int32_t(y[i])) / count);
}

// T is unsigned for i32, so that overflow wraps.
template <class T>
void reduce_segments(const OpCall& call, CpuContext& context, bool mean) {
  const int64_t n = call[0].dims[0], inner = call[0].dims[1], k = call[1].size, segments = call[3].dims[0];
  const T* x = static_cast<const T*>(call[0].data);
  const int32_t *indices = call[1].i32(), *ids = call[2].i32();
  T* y = static_cast<T*>(call[3].data);
  const int64_t bytes_per_segment = (1 + k / segments) * inner * int64_t(sizeof(T));
  context.parallel_for(segments, 1 + kMoveGrainBytes / bytes_per_segment, [&](int64_t begin, int64_t end, int) {
    int64_t i = first_at_least(ids, k, begin);
    for (int64_t s = begin; s < end; ++s) {
      T* row = y + s * inner;
      std::memset(row, 0, size_t(inner) * sizeof(T));
      const int64_t start = i;
      for (; i < k && ids[i] == s; ++i) {
        const int64_t index = indices[i];
        if (uint64_t(index) < uint64_t(n)) {
          add_row(row, x + index * inner, inner);
        } else {
          context.report_index(index, n);
        }
      }
      if (mean && i > start) divide_row(row, inner, i - start);
    }
  });
}

}  // namespace

void sparse_segment_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &indices = call[1], &ids = call[2], &y = call[3];
  TK_CHECK(x.rank == 2 && y.rank == 2);
  TK_CHECK_EQ(x.dims[1], y.dims[1]);
  TK_CHECK_EQ(indices.size, ids.size);
  if (y.size == 0) return;
  const bool mean = TK_INT(call, sparse_segment, mean) != 0;
  if (y.dtype == DType::f32) {
    reduce_segments<float>(call, context, mean);
  } else {
    reduce_segments<uint32_t>(call, context, mean);
  }
}

TK_END_LEVEL
