// One loop over the elements of many tensors, as if they lay end to end.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// Elements of one unit of parallel work: some 20 us of reading and writing three or four arrays.
constexpr int64_t kOptimizerGrain = 16384;

// Calls body(member, begin, end) for parts of the members call[first] .. call[first + star_count - 1]; together the parts cover
// every element once. Units of work have a fixed number of elements, whatever the sizes of the tensors.
template <class Body>
TK_INLINE void for_each_part(const OpCall& call, int first, CpuContext& context, const Body& body) {
  int64_t total = 0;
  for (int i = 0; i < call.star_count; ++i) total += call[first + i].size;
  context.parallel_for(total, kOptimizerGrain, [&](int64_t begin, int64_t end, int) {
    int64_t start = 0;  // where the member begins in the whole
    for (int i = 0; begin < end; ++i) {
      const int64_t size = call[first + i].size;
      const int64_t stop = end < start + size ? end : start + size;
      if (begin < stop) {
        body(i, begin - start, stop - start);
        begin = stop;
      }
      start += size;
    }
  });
}

// Members of the starred groups first, first + star_count, ... have the sizes of the first group.
TK_INLINE void check_group_sizes(const OpCall& call, int first, int groups) {
  TK_CHECK_EQ(call.num_operands, first + groups * call.star_count);
  for (int group = 1; group < groups; ++group)
    for (int i = 0; i < call.star_count; ++i) TK_CHECK_EQ(call[first + group * call.star_count + i].size, call[first + i].size);
}

// Whether the call is to change nothing, step count included: the hyper-parameters may be followed by one more number, which
// is 0 then. So a step with broken gradients is left out on the device, without the host waiting for the verdict.
TK_INLINE bool stands_still(const Operand& hyper, int64_t count) {
  if (hyper.size == count + 1) return hyper.f32()[count] == 0;
  TK_CHECK_EQ(hyper.size, count);
  return false;
}

// Runs step(offset, lanes) over [0, n): full vectors, then the rest as one part of a vector, so that an element's arithmetic
// does not depend on where it stands.
template <class Step>
TK_INLINE void for_each_vector(int64_t n, const Step& step) {
  int64_t i = 0;
  for (; i + kVecWidth <= n; i += kVecWidth) step(i, kVecWidth);
  if (i < n) step(i, int(n - i));
}
TK_INLINE VecF load_lanes(const float* p, int lanes) { return lanes == kVecWidth ? load(p) : load_part(p, lanes); }
TK_INLINE void store_lanes(float* p, VecF a, int lanes) {
  if (lanes == kVecWidth) {
    store(p, a);
  } else {
    store_part(p, a, lanes);
  }
}

TK_END_LEVEL
