#include "ops/gather/gather.h"

TK_BEGIN_LEVEL
namespace {

template <class T>
TK_INLINE void add_row(T* __restrict y, const T* __restrict x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

// Sums into segments [first, last), columns [left, right): reads all ids, adds the rows of its own segments in order.
template <class T>
TK_INLINE void sum_part(const T* x, const int32_t* ids, int64_t k, int64_t inner, T* y, int64_t first, int64_t last,
                        int64_t left, int64_t right) {
  if (right - left == inner) {
    std::memset(y + first * inner, 0, size_t((last - first) * inner) * sizeof(T));
  } else {
    for (int64_t s = first; s < last; ++s) std::memset(y + s * inner + left, 0, size_t(right - left) * sizeof(T));
  }
  for (int64_t i = 0; i < k; ++i) {
    const int64_t id = ids[i];
    if (id >= first && id < last) add_row(y + id * inner + left, x + i * inner + left, right - left);
  }
}

// A unit owns a block of segments and of columns. Every sum is formed by one unit in the order of the rows, so how many
// units there are changes nothing in the result.
template <class T>
void sum_segments(const T* x, const int32_t* ids, int64_t k, T* y, int64_t n, int64_t inner, CpuContext& context) {
  constexpr int64_t kColumns = 64;          // at least one full cache line of 4-byte elements, so that units share none
  constexpr int64_t kParallelWork = 32768;  // elements; below, waking a thread costs more than it saves
  const int64_t threads = k * inner + n * inner < kParallelWork ? 1 : context.num_threads();
  const int64_t segment_parts = threads < n ? threads : n;
  const int64_t wanted = (threads + segment_parts - 1) / segment_parts;
  const int64_t most = (inner + kColumns - 1) / kColumns;
  const int64_t column_parts = wanted < most ? wanted : most;
  const int64_t segments = (n + segment_parts - 1) / segment_parts;
  const int64_t columns = ((inner + column_parts - 1) / column_parts + kColumns - 1) / kColumns * kColumns;
  context.parallel_for(segment_parts * column_parts, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part / column_parts * segments, left = part % column_parts * columns;
      const int64_t last = first + segments < n ? first + segments : n;
      const int64_t right = left + columns < inner ? left + columns : inner;
      if (first < last && left < right) sum_part(x, ids, k, inner, y, first, last, left, right);
    }
  });
}

}  // namespace

void unsorted_segment_sum_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &segment_ids = call[1], &y = call[2];
  TK_CHECK(x.rank >= 1 && y.rank >= 1);
  const int64_t k = segment_ids.size, n = y.dims[0];
  TK_CHECK_EQ(x.dims[0], k);
  const int32_t* ids = segment_ids.i32();
  for (int64_t i = 0; i < k; ++i)
    if (ids[i] >= n) context.report_index(ids[i], n);
  if (y.size == 0) return;
  const int64_t inner = y.size / n;
  TK_CHECK_EQ(x.size, k * inner);
  if (y.dtype == DType::f32) {
    sum_segments(x.f32(), ids, k, y.f32(), n, inner, context);
  } else {
    // Unsigned, so that overflow wraps.
    sum_segments(static_cast<const uint32_t*>(x.data), ids, k, static_cast<uint32_t*>(y.data), n, inner, context);
  }
}

TK_END_LEVEL
