#include "ops/scatter/scatter.h"

TK_BEGIN_LEVEL

void flat_index_cpu(const OpCall& call, CpuContext& context) {
  const Operand &indices = call[0], &ids = call[1];
  const int64_t limit = TK_INT(call, flat_index, limit);
  const int64_t* strides = TK_INTS(call, flat_index, strides);
  const int64_t rank = call.num_ints - 1;
  TK_CHECK(limit <= INT32_MAX);
  TK_CHECK_EQ(indices.size, ids.size * rank);
  const int32_t* from = indices.i32();
  int32_t* to = ids.i32();
  constexpr int64_t kGrain = 8192;
  context.parallel_for(ids.size, kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t id = 0;
      for (int64_t d = 0; d < rank; ++d) id += from[i * rank + d] * strides[d];
      const bool inside = uint64_t(id) < uint64_t(limit);
      if (!inside) context.report_index(id, limit);
      to[i] = inside ? int32_t(id) : -1;
    }
  });
}

TK_END_LEVEL
