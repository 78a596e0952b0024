#include "ops/common/runs.h"
#include "ops/layout/layout.h"

TK_BEGIN_LEVEL

void concat_cpu(const OpCall& call, CpuContext& context) {
  const int count = call.star_count;
  const Operand& y = call[count];
  TK_CHECK_EQ(y.rank, 3);
  if (y.size == 0) return;
  const int64_t element = dtype_bytes(y.dtype), inner = y.dims[2] * element, row = y.dims[1] * inner;
  int64_t n = 0;
  for (int i = 0; i < count; ++i) {
    TK_CHECK_EQ(call[i].rank, 3);
    TK_CHECK_EQ(call[i].dims[0], y.dims[0]);
    TK_CHECK_EQ(call[i].dims[2], y.dims[2]);
    n += call[i].dims[1];
  }
  TK_CHECK_EQ(n, y.dims[1]);
  // All sizes in bytes from here on: a row of y is one run from each operand.
  char* out = static_cast<char*>(y.data);
  context.parallel_for(y.bytes(), kMoveGrainBytes, [&](int64_t begin, int64_t end, int) {
    int64_t outer = begin / row, position = begin % row, member = 0;
    while (position >= call[int(member)].dims[1] * inner) position -= call[int(member++)].dims[1] * inner;
    while (begin < end) {
      const Operand& x = call[int(member)];
      const int64_t run = x.dims[1] * inner;
      const int64_t bytes = run - position < end - begin ? run - position : end - begin;
      copy_run(out + begin, static_cast<const char*>(x.data) + outer * run + position, bytes);
      begin += bytes;
      position = 0;
      if (++member == count) {
        member = 0;
        ++outer;
      }
    }
  });
}

TK_END_LEVEL
