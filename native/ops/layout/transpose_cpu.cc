#include "ops/layout/layout.h"
#include "ops/layout/strided_copy.h"

TK_BEGIN_LEVEL

void transpose_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t* perm = TK_INTS(call, transpose, perm);
  TK_CHECK_EQ(call.num_ints, x.rank);
  TK_CHECK_EQ(x.size, y.size);
  int64_t strides[kMaxRank];
  dense_strides(x, strides);
  TK_CHECK_EQ(x.rank, y.rank);
  StridedView view;
  unsigned seen = 0;  // an axis named twice would walk past the end of x
  for (int d = 0; d < y.rank; ++d) {
    TK_CHECK(perm[d] >= 0 && perm[d] < x.rank && (seen >> perm[d] & 1) == 0);
    seen |= 1u << perm[d];
    TK_CHECK_EQ(y.dims[d], x.dims[perm[d]]);
    view.add_axis(y.dims[d], strides[perm[d]]);
  }
  copy_strided(view, x.data, y.data, dtype_bytes(y.dtype), context);
}

TK_END_LEVEL
