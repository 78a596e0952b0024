#include "ops/layout/layout.h"
#include "ops/layout/strided_copy.h"

TK_BEGIN_LEVEL

void tile_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  TK_CHECK_EQ(x.rank, y.rank);
  if (y.size == 0) return;
  int64_t strides[kMaxRank];
  dense_strides(x, strides);
  StridedView view;
  for (int d = 0; d < x.rank; ++d) {
    TK_CHECK(x.dims[d] > 0 && y.dims[d] % x.dims[d] == 0);
    view.add_axis(y.dims[d] / x.dims[d], 0);
    view.add_axis(x.dims[d], strides[d]);
  }
  copy_strided(view, x.data, y.data, dtype_bytes(y.dtype), context);
}

TK_END_LEVEL
