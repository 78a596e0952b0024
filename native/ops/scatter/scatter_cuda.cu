#include "cuda/context.h"
// context.h first.
#include "ops/scatter/scatter.h"

TK_BEGIN_CUDA
namespace {

constexpr int64_t kMostIndexAxes = 16;
struct IndexStrides {
  int64_t of[kMostIndexAxes] = {};
};

// owners[row] becomes the last i with ids[i] = row, or -1: an atomic maximum has one result whatever the order.
void find_owners(const CudaContext& context, const int32_t* ids, int64_t k, int32_t* owners, int64_t rows) {
  for_each(context, rows, [=] __device__(int64_t row) { owners[row] = -1; });
  const IndexReporter reporter = context.reporter();
  for_each(context, k, [=] __device__(int64_t i) {
    if (ids[i] < 0) return;
    if (ids[i] >= rows) return reporter(ids[i], rows);
    atomicMax(owners + ids[i], int32_t(i));
  });
}

template <class T>
void update_rows(const OpCall& call, const CudaContext& context, const int32_t* owners) {
  const int64_t inner = call[3].dims[1];
  const bool one_x = call[0].size == 1 && call[3].size != 1, one_update = call[2].size == 1;
  const T* x = static_cast<const T*>(call[0].data);
  const T* updates = static_cast<const T*>(call[2].data);
  T* y = static_cast<T*>(call[3].data);
  for_each(context, call[3].size, [=] __device__(int64_t i) {
    const int64_t row = i / inner;
    const int32_t owner = owners[row];
    y[i] = owner < 0 ? x[one_x ? 0 : i] : updates[one_update ? 0 : owner * inner + (i - row * inner)];
  });
}

// A thread per bin, which reads its row in order.
template <class T>
void count_bins(const OpCall& call, const CudaContext& context, bool binary) {
  const int64_t n = call[0].dims[1], size = call[2].dims[1];
  const bool weighted = call[1].size > 0;
  const int32_t* x = call[0].i32();
  const T* weights = static_cast<const T*>(call[1].data);
  T* y = static_cast<T*>(call[2].data);
  for_each(
      context, call[2].size,
      [=] __device__(int64_t i) {
        const int64_t row = i / size, bin = i % size;
        T sum = 0;
        for (int64_t j = row * n; j < (row + 1) * n; ++j) {
          if (x[j] == bin) sum = binary ? T(1) : T(sum + (weighted ? weights[j] : T(1)));
        }
        y[i] = sum;
      },
      1);
  const IndexReporter reporter = context.reporter();
  for_each(context, call[0].size, [=] __device__(int64_t i) {
    if (x[i] < 0) reporter(x[i], size);
  });
}

__device__ inline float mean_of(float sum, int64_t count) { return sum / float(count); }
__device__ inline uint32_t mean_of(uint32_t sum, int64_t count) { return uint32_t(int64_t(int32_t(sum)) / count); }

template <class T>
void reduce_segments_of(const OpCall& call, const CudaContext& context, bool mean) {
  const int64_t n = call[0].dims[0], inner = call[0].dims[1], k = call[1].size;
  const T* x = static_cast<const T*>(call[0].data);
  const int32_t *indices = call[1].i32(), *ids = call[2].i32();
  T* y = static_cast<T*>(call[3].data);
  const IndexReporter reporter = context.reporter();
  for_each(
      context, call[3].size,
      [=] __device__(int64_t i) {
        const int64_t segment = i / inner, column = i % inner;
        int64_t low = 0, high = k;  // ids ascend: the first that is not below the segment
        while (low < high) {
          const int64_t middle = (low + high) / 2;
          if (ids[middle] < segment) {
            low = middle + 1;
          } else {
            high = middle;
          }
        }
        T sum = 0;
        int64_t at = low;
        for (; at < k && ids[at] == segment; ++at) {
          const int64_t index = indices[at];
          if (index >= 0 && index < n) {
            sum += x[index * inner + column];
          } else {
            reporter(index, n);
          }
        }
        y[i] = mean && at > low ? mean_of(sum, at - low) : sum;
      },
      1);
}

}  // namespace

void flat_index_cuda(const OpCall& call, CudaContext& context) {
  const int64_t limit = TK_INT(call, flat_index, limit), rank = call.num_ints - 1;
  TK_CHECK(limit <= INT32_MAX && rank <= kMostIndexAxes);
  TK_CHECK_EQ(call[0].size, call[1].size * rank);
  IndexStrides strides;
  for (int64_t d = 0; d < rank; ++d) strides.of[d] = TK_INTS(call, flat_index, strides)[d];
  const int32_t* indices = call[0].i32();
  int32_t* ids = call[1].i32();
  const IndexReporter reporter = context.reporter();
  for_each(context, call[1].size, [=] __device__(int64_t i) {
    int64_t id = 0;
    for (int64_t d = 0; d < rank; ++d) id += indices[i * rank + d] * strides.of[d];
    const bool inside = id >= 0 && id < limit;
    if (!inside) reporter(id, limit);
    ids[i] = inside ? int32_t(id) : -1;
  });
}

int64_t scatter_update_cuda_workspace(const OpCall& call) { return call[3].dims[0] * int64_t(sizeof(int32_t)); }

void scatter_update_cuda(const OpCall& call, CudaContext& context) {
  const Operand& y = call[3];
  TK_CHECK_EQ(y.rank, 2);
  int32_t* owners = static_cast<int32_t*>(call.workspace);
  find_owners(context, call[1].i32(), call[1].size, owners, y.dims[0]);
  dtype_bytes(y.dtype) == 4 ? update_rows<uint32_t>(call, context, owners) : update_rows<uint8_t>(call, context, owners);
}

void bincount_cuda(const OpCall& call, CudaContext& context) {
  const bool binary = TK_INT(call, bincount, binary) != 0;
  call[2].dtype == DType::f32 ? count_bins<float>(call, context, binary) : count_bins<uint32_t>(call, context, binary);
}

void sparse_segment_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[3];
  TK_CHECK(x.rank == 2 && y.rank == 2);
  TK_CHECK_EQ(x.dims[1], y.dims[1]);
  TK_CHECK_EQ(call[1].size, call[2].size);
  const bool mean = TK_INT(call, sparse_segment, mean) != 0;
  y.dtype == DType::f32 ? reduce_segments_of<float>(call, context, mean) : reduce_segments_of<uint32_t>(call, context, mean);
}

TK_END_CUDA
