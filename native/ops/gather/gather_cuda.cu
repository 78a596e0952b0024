#include "cuda/context.h"
// context.h first.
#include "ops/common/runs.h"
#include "ops/gather/gather.h"

TK_BEGIN_CUDA
namespace {

template <class T>
void gather_elements_of(const OpCall& call, const CudaContext& context) {
  const int64_t n = call[0].dims[1], k = call[1].size, inner = call[0].dims[2];
  const T* x = static_cast<const T*>(call[0].data);
  const int32_t* indices = call[1].i32();
  T* y = static_cast<T*>(call[2].data);
  const IndexReporter reporter = context.reporter();
  for_each(context, call[2].size, [=] __device__(int64_t i) {
    const int64_t row = i / inner, outer = row / k;
    const int32_t index = indices[row - outer * k];
    if (n == 0) {
      reporter(index, 0);
      y[i] = T(0);
    } else {
      y[i] = x[(outer * n + reporter.checked(index, n)) * inner + (i - row * inner)];
    }
  });
}

template <class T>
void one_hot_elements(const OpCall& call, const CudaContext& context, T on, T off) {
  const int64_t depth = call[1].dims[call[1].rank - 1];
  const int32_t* indices = call[0].i32();
  T* y = static_cast<T*>(call[1].data);
  for_each(context, call[1].size, [=] __device__(int64_t i) { y[i] = indices[i / depth] == i % depth ? on : off; });
}

// The rows of each segment as a list in rising order: heads[s] is the first row, next[i] the one after row i; -1 ends it. One
// thread owns a segment, so the order of a sum never changes.
struct SegmentLists {
  int32_t* heads;
  int32_t* next;
};

void link_segments(const CudaContext& context, const int32_t* ids, int64_t k, int64_t n, SegmentLists lists) {
  const IndexReporter reporter = context.reporter();
  for_each(
      context, n,
      [=] __device__(int64_t segment) {
        int32_t last = -1;
        for (int64_t i = 0; i < k; ++i) {
          if (ids[i] != segment) continue;
          (last < 0 ? lists.heads[segment] : lists.next[last]) = int32_t(i);
          last = int32_t(i);
        }
        (last < 0 ? lists.heads[segment] : lists.next[last]) = -1;
      },
      1);
  for_each(context, k, [=] __device__(int64_t i) {
    if (ids[i] >= n) reporter(ids[i], n);
  });
}

template <class T>
void sum_lists(const CudaContext& context, const void* x_data, void* y_data, int64_t n, int64_t inner, SegmentLists lists) {
  const T* x = static_cast<const T*>(x_data);
  T* y = static_cast<T*>(y_data);
  for_each(
      context, n * inner,
      [=] __device__(int64_t i) {
        const int64_t segment = i / inner, column = i % inner;
        T sum = 0;
        for (int32_t row = lists.heads[segment]; row >= 0; row = lists.next[row]) sum += x[row * inner + column];
        y[i] = sum;
      },
      1);
}

}  // namespace

void gather_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[2];
  TK_CHECK(x.rank == 3 && y.rank == 3);
  TK_CHECK(y.dims[0] == x.dims[0] && y.dims[2] == x.dims[2]);
  TK_CHECK_EQ(y.dims[1], call[1].size);
  dtype_bytes(y.dtype) == 4 ? gather_elements_of<uint32_t>(call, context) : gather_elements_of<uint8_t>(call, context);
}

void one_hot_cuda(const OpCall& call, CudaContext& context) {
  const Operand& y = call[1];
  TK_CHECK(y.rank >= 1);
  TK_CHECK_EQ(y.size, call[0].size * y.dims[y.rank - 1]);
  const uint32_t on = element_bits(y.dtype, TK_FLOAT(call, one_hot, on));
  const uint32_t off = element_bits(y.dtype, TK_FLOAT(call, one_hot, off));
  dtype_bytes(y.dtype) == 4 ? one_hot_elements<uint32_t>(call, context, on, off)
                            : one_hot_elements<uint8_t>(call, context, uint8_t(on), uint8_t(off));
}

int64_t unsorted_segment_sum_cuda_workspace(const OpCall& call) {
  return (call[1].size + call[2].dims[0]) * int64_t(sizeof(int32_t));
}

void unsorted_segment_sum_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[2];
  TK_CHECK(x.rank >= 1 && y.rank >= 1);
  const int64_t k = call[1].size, n = y.dims[0];
  TK_CHECK_EQ(x.dims[0], k);
  const SegmentLists lists = {static_cast<int32_t*>(call.workspace), static_cast<int32_t*>(call.workspace) + n};
  link_segments(context, call[1].i32(), k, n, lists);
  if (y.size == 0) return;
  const int64_t inner = y.size / n;
  TK_CHECK_EQ(x.size, k * inner);
  y.dtype == DType::f32 ? sum_lists<float>(context, x.data, y.data, n, inner, lists)
                        : sum_lists<uint32_t>(context, x.data, y.data, n, inner, lists);
}

TK_END_CUDA
