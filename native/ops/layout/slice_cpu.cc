#include "ops/layout/layout.h"
#include "ops/layout/strided_copy.h"

TK_BEGIN_LEVEL

void slice_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t* begin = TK_INTS(call, slice, begin);
  TK_CHECK_EQ(call.num_ints, x.rank);
  TK_CHECK_EQ(x.rank, y.rank);
  int64_t strides[kMaxRank];
  dense_strides(x, strides);
  StridedView view;
  for (int d = 0; d < x.rank; ++d) {
    TK_CHECK(begin[d] >= 0 && begin[d] + y.dims[d] <= x.dims[d]);
    view.add_axis(y.dims[d], strides[d]);
    view.offset += begin[d] * strides[d];
  }
  copy_strided(view, x.data, y.data, dtype_bytes(y.dtype), context);
}

void strided_slice_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  TK_CHECK_EQ(call.num_ints, 2 * x.rank);
  TK_CHECK_EQ(x.rank, y.rank);
  if (y.size == 0) return;
  const int64_t* begin = TK_INTS(call, strided_slice, begin_stride);
  const int64_t* step = begin + x.rank;
  int64_t strides[kMaxRank];
  dense_strides(x, strides);
  StridedView view;
  for (int d = 0; d < x.rank; ++d) {
    const int64_t last = begin[d] + (y.dims[d] - 1) * step[d];
    TK_CHECK(begin[d] >= 0 && begin[d] < x.dims[d] && last >= 0 && last < x.dims[d]);
    view.add_axis(y.dims[d], strides[d] * step[d]);
    view.offset += begin[d] * strides[d];
  }
  copy_strided(view, x.data, y.data, dtype_bytes(y.dtype), context);
}

void reverse_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t mask = TK_INT(call, reverse, axes_mask);
  TK_CHECK_EQ(x.size, y.size);
  int64_t strides[kMaxRank];
  dense_strides(x, strides);
  StridedView view;
  for (int d = 0; d < x.rank; ++d) {
    const bool reversed = (mask >> d & 1) != 0;
    view.add_axis(x.dims[d], reversed ? -strides[d] : strides[d]);
    if (reversed) view.offset += (x.dims[d] - 1) * strides[d];
  }
  copy_strided(view, x.data, y.data, dtype_bytes(y.dtype), context);
}

TK_END_LEVEL
