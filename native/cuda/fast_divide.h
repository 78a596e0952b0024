// Division by a number known at launch, as a multiplication: the compiler's own for unknown divisors costs some 20
// instructions.
#pragma once
#include "cuda/context.h"

namespace tk::cuda {

// Exact for dividends below 2^31. Source: Granlund, Montgomery 1994, "Division by Invariant Integers using Multiplication".
struct FastDivide {
  uint32_t divisor = 1, factor = 0, shift = 0;

  FastDivide() = default;
  explicit FastDivide(int64_t by) : divisor(uint32_t(by)) {
    while ((uint64_t(1) << shift) < divisor) ++shift;
    factor = uint32_t(((uint64_t(1) << 32) * ((uint64_t(1) << shift) - divisor)) / divisor + 1);
  }
  __device__ uint32_t operator()(uint32_t x, uint32_t* rest) const {
    const uint32_t quotient = (__umulhi(x, factor) + x) >> shift;
    *rest = x - quotient * divisor;
    return quotient;
  }
};

}  // namespace tk::cuda
