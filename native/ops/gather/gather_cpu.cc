#include "ops/gather/gather.h"

#include "ops/common/runs.h"

TK_BEGIN_LEVEL
namespace {

// The row to read: index itself, or the nearest one after reporting it.
TK_INLINE int64_t checked_row(int32_t index, int64_t n, CpuContext& context) {
  if (uint64_t(int64_t(index)) < uint64_t(n)) return index;
  context.report_index(index, n);
  return index < 0 ? 0 : n - 1;
}

// Rows of one element: a plain loop, without the bookkeeping of runs.
template <class T>
TK_INLINE void gather_elements(const T* x, const int32_t* indices, T* y, int64_t count, int64_t n, CpuContext& context) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[checked_row(indices[i], n, context)];
}

// Rows of whole cache lines into a large result. Rows lie anywhere, so the hardware does not see the next one coming.
TK_INLINE void gather_lines(const char* x, const int32_t* indices, char* y, int64_t count, int64_t n, int64_t run,
                            CpuContext& context) {
  constexpr int64_t kAhead = 2, kMostBytes = 2048;
  for (int64_t i = 0; i < count; ++i) {
#if defined(__GNUC__)
    if (i + kAhead < count && uint64_t(int64_t(indices[i + kAhead])) < uint64_t(n)) {
      const char* next = x + indices[i + kAhead] * run;
      for (int64_t byte = 0; byte < run && byte < kMostBytes; byte += 64) __builtin_prefetch(next + byte);
    }
#endif
    stream_run(y + i * run, x + checked_row(indices[i], n, context) * run, run);
  }
}

}  // namespace

void gather_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &indices = call[1], &y = call[2];
  TK_CHECK(x.rank == 3 && y.rank == 3);
  const int64_t n = x.dims[1], k = indices.size, inner = x.dims[2], element = dtype_bytes(y.dtype);
  TK_CHECK(y.dims[0] == x.dims[0] && y.dims[2] == inner);
  TK_CHECK_EQ(y.dims[1], k);
  if (y.size == 0) return;
  if (n == 0) {
    context.report_index(indices.i32()[0], 0);
    std::memset(y.data, 0, size_t(y.bytes()));
    return;
  }
  const int64_t run = inner * element;
  const char* from = static_cast<const char*>(x.data);
  char* to = static_cast<char*>(y.data);
  const bool stream = streams_runs(to, y.bytes(), run);
  context.parallel_for(y.dims[0] * k, 1 + kMoveGrainBytes / run, [&](int64_t begin, int64_t end, int) {
    int64_t outer = begin / k, j = begin % k;
    while (begin < end) {
      const int64_t count = k - j < end - begin ? k - j : end - begin;
      const char* source = from + outer * n * run;
      if (run == 4) {
        gather_elements(reinterpret_cast<const uint32_t*>(source), indices.i32() + j, reinterpret_cast<uint32_t*>(to) + begin,
                        count, n, context);
      } else if (run == 1) {
        gather_elements(reinterpret_cast<const uint8_t*>(source), indices.i32() + j, reinterpret_cast<uint8_t*>(to) + begin,
                        count, n, context);
      } else if (stream) {
        gather_lines(source, indices.i32() + j, to + begin * run, count, n, run, context);
      } else {
        const int32_t* rows = indices.i32() + j;
        for (int64_t i = 0; i < count; ++i)
          copy_run(to + (begin + i) * run, source + checked_row(rows[i], n, context) * run, run);
      }
      begin += count;
      j = 0;
      ++outer;
    }
    if (stream) stream_fence();
  });
}

TK_END_LEVEL
