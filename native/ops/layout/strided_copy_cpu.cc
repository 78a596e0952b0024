#include "ops/layout/strided_copy.h"

#include "cpu/simd_transpose.h"
#include "ops/common/runs.h"

TK_BEGIN_LEVEL
namespace {

constexpr int kMaxAxes = StridedView::kMaxAxes;

// Position in the outer axes (all but the last) and the place in x it stands for.
struct RowCursor {
  int64_t index[kMaxAxes];
  int64_t offset;

  TK_INLINE void start(const StridedView& view, int64_t row) {
    offset = view.offset;
    for (int d = view.rank - 2; d >= 0; --d) {
      index[d] = row % view.dims[d];
      row /= view.dims[d];
      offset += index[d] * view.strides[d];
    }
  }
  TK_INLINE void next(const StridedView& view) {
    for (int d = view.rank - 2; d >= 0; --d) {
      offset += view.strides[d];
      if (++index[d] < view.dims[d]) return;
      offset -= view.dims[d] * view.strides[d];
      index[d] = 0;
    }
  }
};

enum class Run { contiguous, repeated, reversed, strided };

// x points at the first element of the row's part.
template <class T, Run kRun>
TK_INLINE void copy_part(T* __restrict y, const T* __restrict x, int64_t n, int64_t stride) {
  if constexpr (kRun == Run::contiguous) {
    copy_run(y, x, n * int64_t(sizeof(T)));
  } else if constexpr (kRun == Run::repeated) {
    fill_run(y, n, *x);
  } else if constexpr (kRun == Run::reversed) {
    for (int64_t i = 0; i < n; ++i) y[i] = x[-i];
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = x[i * stride];
  }
}

template <class T, Run kRun>
void copy_rows(const StridedView& view, const T* x, T* y, CpuContext& context) {
  const int64_t n = view.dims[view.rank - 1], stride = view.strides[view.rank - 1];
  // Units start at multiples of the grain, so parts of rows begin and end with lines where rows do.
  const bool stream = kRun == Run::contiguous && streams_runs(y, view.size * int64_t(sizeof(T)), n * int64_t(sizeof(T)));
  context.parallel_for(view.size, move_grain(sizeof(T)), [&](int64_t begin, int64_t end, int) {
    int64_t column = begin % n;
    RowCursor cursor;
    for (cursor.start(view, begin / n); begin < end; cursor.next(view)) {
      const int64_t count = n - column < end - begin ? n - column : end - begin;
      const T* from = x + cursor.offset + column * stride;
      if (stream) {
        stream_run(y + begin, from, count * int64_t(sizeof(T)));
      } else {
        copy_part<T, kRun>(y + begin, from, count, stride);
      }
      begin += count;
      column = 0;
    }
    if (stream) stream_fence();
  });
}

// Few channels: with their number known, the compiler turns these loops into vector shuffles.
template <class T, int kColumns>
TK_INLINE void interleave(const T* __restrict x, int64_t x_stride, T* __restrict y, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r)
    for (int c = 0; c < kColumns; ++c) y[r * kColumns + c] = x[c * x_stride + r];
}
template <class T, int kRows>
TK_INLINE void deinterleave(const T* __restrict x, T* __restrict y, int64_t y_stride, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c)
    for (int r = 0; r < kRows; ++r) y[r * y_stride + c] = x[c * kRows + r];
}

// y[r*y_stride + c] = x[c*x_stride + r] for one block.
template <class T>
TK_INLINE void transpose_block(const T* x, int64_t x_stride, T* y, int64_t y_stride, int64_t rows, int64_t columns) {
  constexpr int kTile = sizeof(T) == 4 ? kTile32 : kTile8;
  if (columns == 2 && y_stride == 2) return interleave<T, 2>(x, x_stride, y, rows);
  if (columns == 3 && y_stride == 3) return interleave<T, 3>(x, x_stride, y, rows);
  if (columns == 4 && y_stride == 4) return interleave<T, 4>(x, x_stride, y, rows);
  if (rows == 2 && x_stride == 2) return deinterleave<T, 2>(x, y, y_stride, columns);
  if (rows == 3 && x_stride == 3) return deinterleave<T, 3>(x, y, y_stride, columns);
  if (rows == 4 && x_stride == 4) return deinterleave<T, 4>(x, y, y_stride, columns);
  const int64_t full_columns = columns / kTile * kTile;
  int64_t r = 0;
  // Two tiles below each other use a cache line of x as a whole while it is near.
  for (; r + 2 * kTile <= rows; r += 2 * kTile) {
    for (int64_t c = 0; c < full_columns; c += kTile) {
      transpose_tile(x + c * x_stride + r, x_stride, y + r * y_stride + c, y_stride);
      transpose_tile(x + c * x_stride + r + kTile, x_stride, y + (r + kTile) * y_stride + c, y_stride);
    }
  }
  for (; r + kTile <= rows; r += kTile)
    for (int64_t c = 0; c < full_columns; c += kTile)
      transpose_tile(x + c * x_stride + r, x_stride, y + r * y_stride + c, y_stride);
  for (int64_t c = full_columns; c < columns; ++c)
    for (int64_t i = 0; i < r; ++i) y[i * y_stride + c] = x[c * x_stride + i];
  for (; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) y[r * y_stride + c] = x[c * x_stride + r];
}

// The last axis of y is strided in x while `axis` is contiguous there: both are cut into blocks that stay in the cache.
template <class T>
void copy_transposed(const StridedView& view, int axis, const T* x, T* y, CpuContext& context) {
  constexpr int64_t kBlock = 64;
  const int last = view.rank - 1;
  const int64_t rows = view.dims[axis], columns = view.dims[last], x_stride = view.strides[last];
  int64_t y_strides[kMaxAxes];
  y_strides[last] = 1;
  for (int d = last - 1; d >= 0; --d) y_strides[d] = y_strides[d + 1] * view.dims[d + 1];
  // A short side makes the other one longer, so that a block is some kBlock*kBlock elements.
  const int64_t block_rows = kBlock * kBlock / (columns < kBlock ? columns : kBlock);
  const int64_t block_columns = kBlock * kBlock / (rows < kBlock ? rows : kBlock);
  const int64_t row_blocks = (rows + block_rows - 1) / block_rows;
  const int64_t column_blocks = (columns + block_columns - 1) / block_columns;
  const int64_t plane_blocks = row_blocks * column_blocks;
  const int64_t blocks = view.size / (rows * columns) * plane_blocks;
  const int64_t grain = 1 + move_grain(sizeof(T)) * blocks / view.size;
  context.parallel_for(blocks, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t block = begin; block < end; ++block) {
      int64_t plane = block / plane_blocks, x_offset = view.offset, y_offset = 0;
      for (int d = last - 1; d >= 0; --d) {
        if (d == axis) continue;
        const int64_t index = plane % view.dims[d];
        plane /= view.dims[d];
        x_offset += index * view.strides[d];
        y_offset += index * y_strides[d];
      }
      const int64_t row = block % plane_blocks / column_blocks * block_rows;
      const int64_t column = block % column_blocks * block_columns;
      transpose_block(x + x_offset + column * x_stride + row, x_stride, y + y_offset + row * y_strides[axis] + column,
                      y_strides[axis], rows - row < block_rows ? rows - row : block_rows,
                      columns - column < block_columns ? columns - column : block_columns);
    }
  });
}

template <class T>
void copy_elements(const StridedView& view, const T* x, T* y, CpuContext& context) {
  const int64_t stride = view.strides[view.rank - 1];
  if (stride == 1) return copy_rows<T, Run::contiguous>(view, x, y, context);
  if (stride == 0) return copy_rows<T, Run::repeated>(view, x, y, context);
  if (stride == -1) return copy_rows<T, Run::reversed>(view, x, y, context);
  if (stride > 1) {
    for (int d = view.rank - 2; d >= 0; --d)
      if (view.strides[d] == 1) return copy_transposed(view, d, x, y, context);
  }
  copy_rows<T, Run::strided>(view, x, y, context);
}

}  // namespace

void copy_strided(const StridedView& view, const void* x, void* y, int64_t element_bytes, CpuContext& context) {
  if (view.size == 0) return;
  StridedView rows = view;
  if (rows.rank == 0) {
    rows.dims[0] = 1;
    rows.strides[0] = 1;
    rows.rank = 1;
  }
  if (element_bytes == 4) {
    copy_elements(rows, static_cast<const uint32_t*>(x), static_cast<uint32_t*>(y), context);
  } else {
    TK_CHECK_EQ(element_bytes, 1);
    copy_elements(rows, static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y), context);
  }
}

TK_END_LEVEL
