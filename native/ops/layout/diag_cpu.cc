#include "ops/common/runs.h"
#include "ops/layout/layout.h"

TK_BEGIN_LEVEL

void diag_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t n = x.size, bytes = dtype_bytes(x.dtype);
  TK_CHECK_EQ(y.size, n * n);
  if (n == 0) return;
  const char* from = static_cast<const char*>(x.data);
  char* to = static_cast<char*>(y.data);
  const int64_t grain = kMoveGrainBytes / (n * bytes) + 1;
  context.parallel_for(n, grain, [&](int64_t begin, int64_t end, int) {
    std::memset(to + begin * n * bytes, 0, size_t((end - begin) * n * bytes));
    for (int64_t i = begin; i < end; ++i) copy_run(to + (i * n + i) * bytes, from + i * bytes, bytes);
  });
}

TK_END_LEVEL
