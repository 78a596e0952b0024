#include "cuda/context.h"
// context.h first.
#include "ops/common/runs.h"
#include "ops/layout/layout.h"
#include "ops/layout/strided_copy.h"

TK_BEGIN_CUDA
namespace {

template <class T>
void copy_view(const CudaContext& context, const StridedView& view, const void* x_data, void* y_data) {
  const T* x = static_cast<const T*>(x_data) + view.offset;
  T* y = static_cast<T*>(y_data);
  const bool small = view.size <= INT32_MAX;
  for_each(context, view.size, [=] __device__(int64_t i) {
    int64_t rest = i, offset = 0;
    for (int axis = view.rank - 1; axis >= 0; --axis) {
      const int64_t quotient = small ? int64_t(uint32_t(rest) / uint32_t(view.dims[axis])) : rest / view.dims[axis];
      offset += (rest - quotient * view.dims[axis]) * view.strides[axis];
      rest = quotient;
    }
    y[i] = x[offset];
  });
}

void copy_view_of(const CudaContext& context, const StridedView& view, const Operand& x, const Operand& y) {
  TK_CHECK_EQ(view.size, y.size);
  if (y.size == 0) return;
  dtype_bytes(y.dtype) == 4 ? copy_view<uint32_t>(context, view, x.data, y.data)
                            : copy_view<uint8_t>(context, view, x.data, y.data);
}

constexpr int kTransposeTile = 32, kTransposeRows = 8;

// y[batch, j, i] = x[batch, i, j] through a tile of shared memory, so that reads and writes both go along memory. The extra
// column keeps the words of one column of the tile in different banks.
template <class T>
__global__ void __launch_bounds__(256) transpose_tile_kernel(const T* x, T* y, int64_t rows, int64_t cols) {
  __shared__ T tile[kTransposeTile][kTransposeTile + 1];
  const int64_t batch = int64_t(blockIdx.z) * rows * cols;
  const int64_t row0 = int64_t(blockIdx.y) * kTransposeTile, col0 = int64_t(blockIdx.x) * kTransposeTile;
  const int lane = int(threadIdx.x) % kTransposeTile, first = int(threadIdx.x) / kTransposeTile;
  for (int i = first; i < kTransposeTile; i += kTransposeRows) {
    if (row0 + i < rows && col0 + lane < cols) tile[i][lane] = x[batch + (row0 + i) * cols + col0 + lane];
  }
  __syncthreads();
  for (int i = first; i < kTransposeTile; i += kTransposeRows) {
    if (col0 + i < cols && row0 + lane < rows) y[batch + (col0 + i) * rows + row0 + lane] = tile[lane][i];
  }
}

// Whether the view swaps the two last axes of a dense tensor, [batch, rows, cols] -> [batch, cols, rows].
bool is_transpose(const StridedView& view, int64_t* batch, int64_t* rows, int64_t* cols) {
  if (view.offset != 0 || view.rank < 2 || view.rank > 3) return false;
  const int last = view.rank - 1;
  *cols = view.dims[last - 1], *rows = view.dims[last];
  *batch = view.rank == 3 ? view.dims[0] : 1;
  const bool swapped = view.strides[last - 1] == 1 && view.strides[last] == *cols;
  return swapped && (view.rank == 2 || view.strides[0] == *rows * *cols);
}

template <class T>
bool launch_transpose(const CudaContext& context, const StridedView& view, const Operand& x, const Operand& y) {
  int64_t batch, rows, cols;
  constexpr int64_t kLeastSide = 16, kMostPerLaunch = 65535;
  if (!is_transpose(view, &batch, &rows, &cols) || rows < kLeastSide || cols < kLeastSide) return false;
  const int64_t row_tiles = (rows + kTransposeTile - 1) / kTransposeTile,
                col_tiles = (cols + kTransposeTile - 1) / kTransposeTile;
  if (batch > kMostPerLaunch || row_tiles > kMostPerLaunch || col_tiles > INT32_MAX) return false;
  context.launch(transpose_tile_kernel<T>, dim3(unsigned(col_tiles), unsigned(row_tiles), unsigned(batch)), dim3(256), 0,
                 static_cast<const T*>(x.data), static_cast<T*>(y.data), rows, cols);
  return true;
}

// Calls body(type tag) with a type as wide as the dtype.
template <class Body>
void by_width(DType dtype, const Body& body) {
  dtype_bytes(dtype) == 4 ? body(uint32_t()) : body(uint8_t());
}

struct Padding {
  Unravel y;
  int64_t x_dims[kMaxRank], x_strides[kMaxRank], before[kMaxRank];

  Padding(const Operand& x, const Operand& y_operand, const int64_t* given) : y(y_operand) {
    const Strides strides(x);
    for (int d = 0; d < x.rank; ++d) {
      x_dims[d] = x.dims[d];
      x_strides[d] = strides.of[d];
      before[d] = given[d];
    }
  }
};

template <class T>
void pad_constant(const CudaContext& context, const Padding& padding, const Operand& x_operand, const Operand& y_operand,
                  T value) {
  const T* x = static_cast<const T*>(x_operand.data);
  T* y = static_cast<T*>(y_operand.data);
  for_each(context, y_operand.size, [=] __device__(int64_t i) {
    int64_t offset = 0;
    bool inside = true;
    padding.y(i, [&](int axis, int64_t index) {
      index -= padding.before[axis];
      inside = inside && index >= 0 && index < padding.x_dims[axis];
      offset += index * padding.x_strides[axis];
    });
    y[i] = inside ? x[offset] : value;
  });
}

// border: 0 repeats the border element, 1 does not.
template <class T>
void pad_mirrored(const CudaContext& context, const Padding& padding, const Operand& x_operand, const Operand& y_operand,
                  int64_t border) {
  const T* x = static_cast<const T*>(x_operand.data);
  T* y = static_cast<T*>(y_operand.data);
  for_each(context, y_operand.size, [=] __device__(int64_t i) {
    int64_t offset = 0;
    padding.y(i, [&](int axis, int64_t index) {
      const int64_t n = padding.x_dims[axis];
      index -= padding.before[axis];
      index = index < 0 ? -index - 1 + border : index < n ? index : 2 * n - 1 - border - index;
      offset += index * padding.x_strides[axis];
    });
    y[i] = x[offset];
  });
}

template <class T>
void fill_elements(const CudaContext& context, void* y_data, int64_t n, T value) {
  T* y = static_cast<T*>(y_data);
  for_each(context, n, [=] __device__(int64_t i) { y[i] = value; });
}

template <class T>
void concat_member(const CudaContext& context, const Operand& x_operand, const Operand& y_operand, int64_t first) {
  const T* x = static_cast<const T*>(x_operand.data);
  T* y = static_cast<T*>(y_operand.data);
  const int64_t run = x_operand.dims[1] * x_operand.dims[2], row = y_operand.dims[1] * y_operand.dims[2];
  const int64_t start = first * y_operand.dims[2];
  for_each(context, x_operand.size, [=] __device__(int64_t i) { y[i / run * row + start + i % run] = x[i]; });
}

template <class T>
void fill_diagonal(const CudaContext& context, const Operand& x_operand, const Operand& y_operand) {
  const T* x = static_cast<const T*>(x_operand.data);
  T* y = static_cast<T*>(y_operand.data);
  const int64_t n = x_operand.size;
  for_each(context, y_operand.size, [=] __device__(int64_t i) { y[i] = i % (n + 1) == 0 ? x[i / (n + 1)] : T(0); });
}

}  // namespace

void transpose_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t* perm = TK_INTS(call, transpose, perm);
  TK_CHECK_EQ(call.num_ints, x.rank);
  const Strides strides(x);
  StridedView view;
  for (int d = 0; d < x.rank; ++d) view.add_axis(x.dims[perm[d]], strides.of[perm[d]]);
  if (y.size == 0) return;
  const bool done = dtype_bytes(y.dtype) == 4 ? launch_transpose<uint32_t>(context, view, x, y)
                                              : launch_transpose<uint8_t>(context, view, x, y);
  if (!done) copy_view_of(context, view, x, y);
}

void slice_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t* begin = TK_INTS(call, slice, begin);
  TK_CHECK_EQ(call.num_ints, x.rank);
  TK_CHECK_EQ(x.rank, y.rank);
  const Strides strides(x);
  StridedView view;
  for (int d = 0; d < x.rank; ++d) {
    TK_CHECK(begin[d] >= 0 && begin[d] + y.dims[d] <= x.dims[d]);
    view.add_axis(y.dims[d], strides.of[d]);
    view.offset += begin[d] * strides.of[d];
  }
  copy_view_of(context, view, x, y);
}

void strided_slice_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[1];
  TK_CHECK_EQ(call.num_ints, 2 * x.rank);
  TK_CHECK_EQ(x.rank, y.rank);
  if (y.size == 0) return;
  const int64_t* begin = TK_INTS(call, strided_slice, begin_stride);
  const int64_t* step = begin + x.rank;
  const Strides strides(x);
  StridedView view;
  for (int d = 0; d < x.rank; ++d) {
    const int64_t last = begin[d] + (y.dims[d] - 1) * step[d];
    TK_CHECK(begin[d] >= 0 && begin[d] < x.dims[d] && last >= 0 && last < x.dims[d]);
    view.add_axis(y.dims[d], strides.of[d] * step[d]);
    view.offset += begin[d] * strides.of[d];
  }
  copy_view_of(context, view, x, y);
}

void reverse_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t mask = TK_INT(call, reverse, axes_mask);
  const Strides strides(x);
  StridedView view;
  for (int d = 0; d < x.rank; ++d) {
    const bool reversed = (mask >> d & 1) != 0;
    view.add_axis(x.dims[d], reversed ? -strides.of[d] : strides.of[d]);
    if (reversed) view.offset += (x.dims[d] - 1) * strides.of[d];
  }
  copy_view_of(context, view, x, y);
}

void tile_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[1];
  TK_CHECK_EQ(x.rank, y.rank);
  if (y.size == 0) return;
  const Strides strides(x);
  StridedView view;
  for (int d = 0; d < x.rank; ++d) {
    TK_CHECK(x.dims[d] > 0 && y.dims[d] % x.dims[d] == 0);
    view.add_axis(y.dims[d] / x.dims[d], 0);
    view.add_axis(x.dims[d], strides.of[d]);
  }
  copy_view_of(context, view, x, y);
}

void concat_cuda(const OpCall& call, CudaContext& context) {
  const Operand& y = call[call.star_count];
  TK_CHECK_EQ(y.rank, 3);
  int64_t first = 0;
  for (int i = 0; i < call.star_count; ++i) {
    const Operand& x = call[i];
    TK_CHECK_EQ(x.rank, 3);
    TK_CHECK(x.dims[0] == y.dims[0] && x.dims[2] == y.dims[2]);
    by_width(y.dtype, [&](auto tag) { concat_member<decltype(tag)>(context, x, y, first); });
    first += x.dims[1];
  }
  TK_CHECK_EQ(first, y.dims[1]);
}

void pad_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[1];
  TK_CHECK_EQ(call.num_ints, x.rank);
  TK_CHECK_EQ(x.rank, y.rank);
  const Padding padding(x, y, TK_INTS(call, pad, before));
  const uint32_t value = element_bits(y.dtype, TK_FLOAT(call, pad, value));
  by_width(y.dtype, [&](auto tag) { pad_constant(context, padding, x, y, decltype(tag)(value)); });
}

void mirror_pad_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t border = TK_INT(call, mirror_pad, symmetric) != 0 ? 0 : 1;
  const int64_t* before = TK_INTS(call, mirror_pad, before);
  TK_CHECK_EQ(call.num_ints, x.rank + 1);
  if (y.size == 0) return;
  for (int d = 0; d < x.rank; ++d) {
    const int64_t after = y.dims[d] - before[d] - x.dims[d], most = x.dims[d] - border;
    TK_CHECK(before[d] >= 0 && after >= 0 && (before[d] == 0 || before[d] <= most) && (after == 0 || after <= most));
  }
  const Padding padding(x, y, before);
  by_width(y.dtype, [&](auto tag) { pad_mirrored<decltype(tag)>(context, padding, x, y, border); });
}

void diag_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[1];
  TK_CHECK_EQ(y.size, x.size * x.size);
  by_width(y.dtype, [&](auto tag) { fill_diagonal<decltype(tag)>(context, x, y); });
}

void fill_cuda(const OpCall& call, CudaContext& context) {
  const Operand& y = call[0];
  const uint32_t bits = element_bits(y.dtype, TK_FLOAT(call, fill, value));
  by_width(y.dtype, [&](auto tag) { fill_elements(context, y.data, y.size, decltype(tag)(bits)); });
}

void range_cuda(const OpCall& call, CudaContext& context) {
  const Operand& y_operand = call[0];
  const double start = TK_FLOAT(call, range, start), step = TK_FLOAT(call, range, step);
  if (y_operand.dtype == DType::f32) {
    float* y = y_operand.f32();
    for_each(context, y_operand.size, [=] __device__(int64_t i) { y[i] = float(start + double(i) * step); });
  } else {
    uint32_t* y = static_cast<uint32_t*>(y_operand.data);
    const uint32_t first = uint32_t(int64_t(start)), by = uint32_t(int64_t(step));
    for_each(context, y_operand.size, [=] __device__(int64_t i) { y[i] = first + uint32_t(i) * by; });
  }
}

TK_END_CUDA
