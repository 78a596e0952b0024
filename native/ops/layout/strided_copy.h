// Copy from a strided view into a dense tensor: the one engine behind transpose, slice, strided_slice, tile and reverse.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// y[i0, i1, ...] = x[offset + i0*strides[0] + i1*strides[1] + ...], y dense. Built axis by axis, outermost first; axes that
// continue each other are merged as they come in, so that the copy sees the longest runs there are.
struct StridedView {
  // tile turns each axis into two.
  static constexpr int kMaxAxes = 2 * kMaxRank;

  int rank = 0;
  int64_t size = 1;
  int64_t offset = 0;
  int64_t dims[kMaxAxes];
  int64_t strides[kMaxAxes];  // in elements of x; zero repeats, negative walks backwards

  TK_INLINE void add_axis(int64_t dim, int64_t stride) {
    size *= dim;
    if (dim == 1) return;
    if (rank > 0 && strides[rank - 1] == stride * dim) {
      dims[rank - 1] *= dim;
      strides[rank - 1] = stride;
      return;
    }
    dims[rank] = dim;
    strides[rank] = stride;
    ++rank;
  }
};

// element_bytes is 1 or 4. Splits the output over the threads.
void copy_strided(const StridedView& view, const void* x, void* y, int64_t element_bytes, CpuContext& context);

// Strides of a dense tensor, in elements.
TK_INLINE void dense_strides(const Operand& x, int64_t* strides) {
  int64_t stride = 1;
  for (int d = x.rank - 1; d >= 0; --d) {
    strides[d] = stride;
    stride *= x.dims[d];
  }
}

TK_END_LEVEL
