// Powers of hyper-parameters.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// base^exponent by repeated squaring: the same bits on every device, unlike a library's pow.
TK_INLINE double whole_power(double base, int32_t exponent) {
  double result = 1;
  for (uint32_t rest = uint32_t(exponent); rest != 0; rest >>= 1) {
    if (rest & 1) result *= base;
    base *= base;
  }
  return result;
}

TK_END_LEVEL
