// One formula per elementwise op of two operands, named as in ops.def. f takes vectors of the input dtype; a Mask as result
// means u8 0 or 1. Meaning is that of the tfjs cpu backend: where JavaScript's double arithmetic would show, it is done in
// double.
#pragma once

#include "ops/common/vector_math.h"

TK_BEGIN_LEVEL
namespace binary {

struct add {
  TK_INLINE static VecF f(VecF a, VecF b) { return a + b; }
  TK_INLINE static VecI f(VecI a, VecI b) { return a + b; }
};
struct atan2 {
  TK_INLINE static VecF f(VecF a, VecF b) {
    return map_lanes(a, b, [](float y, float x) { return ::atan2f(y, x); });
  }
};
struct bitwise_and {
  TK_INLINE static VecI f(VecI a, VecI b) { return a & b; }
};
struct div {
  TK_INLINE static VecF f(VecF a, VecF b) { return a / b; }
};
// a is dy, b is elu's result y.
struct elu_grad {
  TK_INLINE static VecF f(VecF a, VecF b) { return select(b >= zero(), a, a * (b + set1(1.0f))); }
};
struct equal {
  TK_INLINE static Mask f(VecF a, VecF b) { return a == b; }
  TK_INLINE static Mask f(VecI a, VecI b) { return a == b; }
  TK_INLINE static uint8_t f(uint8_t a, uint8_t b) { return a == b; }
};
struct not_equal {
  TK_INLINE static Mask f(VecF a, VecF b) { return a != b; }
  TK_INLINE static Mask f(VecI a, VecI b) { return !(a == b); }
  TK_INLINE static uint8_t f(uint8_t a, uint8_t b) { return a != b; }
};
struct greater {
  TK_INLINE static Mask f(VecF a, VecF b) { return a > b; }
  TK_INLINE static Mask f(VecI a, VecI b) { return a > b; }
  TK_INLINE static uint8_t f(uint8_t a, uint8_t b) { return a > b; }
};
struct greater_equal {
  TK_INLINE static Mask f(VecF a, VecF b) { return a >= b; }
  TK_INLINE static Mask f(VecI a, VecI b) { return !(a < b); }
  TK_INLINE static uint8_t f(uint8_t a, uint8_t b) { return a >= b; }
};
struct less {
  TK_INLINE static Mask f(VecF a, VecF b) { return a < b; }
  TK_INLINE static Mask f(VecI a, VecI b) { return a < b; }
  TK_INLINE static uint8_t f(uint8_t a, uint8_t b) { return a < b; }
};
struct less_equal {
  TK_INLINE static Mask f(VecF a, VecF b) { return a <= b; }
  TK_INLINE static Mask f(VecI a, VecI b) { return !(a > b); }
  TK_INLINE static uint8_t f(uint8_t a, uint8_t b) { return a <= b; }
};
struct logical_and {
  TK_INLINE static uint8_t f(uint8_t a, uint8_t b) { return (a != 0) & (b != 0); }
};
struct logical_or {
  TK_INLINE static uint8_t f(uint8_t a, uint8_t b) { return (a | b) != 0; }
};

// Floor of the exact quotient: a / b rounded to f32 may already have reached the next whole number (1 / 0.1f gives 9, not 10).
// i32: x / 0 is 0, as ToInt32 of an infinity or NaN; INT32_MIN / -1 wraps.
struct floor_div {
  TK_INLINE static VecF f(VecF a, VecF b) {
    return map_lanes(a, b, [](float x, float y) { return float(::floor(double(x) / double(y))); });
  }
  TK_INLINE static VecI f(VecI a, VecI b) {
    return map_lanes(a, b, [](int32_t x, int32_t y) {
      if (y == 0) return 0;
      const int64_t quotient = int64_t(x) / y;
      return int32_t(uint32_t(uint64_t(quotient - (quotient * y != x && (x < 0) != (y < 0)))));
    });
  }
};

// max and min as Math.max and Math.min: NaN if either is, -0 below +0.
struct maximum {
  TK_INLINE static VecF f(VecF a, VecF b) {
    const VecF larger = select(a == b, as_float(as_int(a) & as_int(b)), vmax(a, b));
    return select(is_nan(a), a, larger);  // a NaN in b is vmax's second operand
  }
  TK_INLINE static VecI f(VecI a, VecI b) { return vmax(a, b); }
};
struct minimum {
  TK_INLINE static VecF f(VecF a, VecF b) {
    const VecF smaller = select(a == b, as_float(as_int(a) | as_int(b)), vmin(a, b));
    return select(is_nan(a), a, smaller);
  }
  TK_INLINE static VecI f(VecI a, VecI b) { return vmin(a, b); }
};

// The sign of b, as in Python. Where signs differ tfjs adds b to the remainder in double and takes the remainder again.
// i32: x mod 0 is 0.
struct mod {
  TK_INLINE static VecF f(VecF a, VecF b) {
    return map_lanes(a, b, [](float x, float y) {
      const float remainder = ::fmodf(x, y);
      if ((x < 0) == (y < 0) && !(x != x) && !(y != y)) return remainder;
      return float(::fmod(double(remainder) + double(y), double(y)));
    });
  }
  TK_INLINE static VecI f(VecI a, VecI b) {
    return map_lanes(a, b, [](int32_t x, int32_t y) {
      if (y == 0) return 0;
      const int64_t remainder = int64_t(x) % y;
      return int32_t((x < 0) == (y < 0) ? remainder : (remainder + y) % y);
    });
  }
};
struct mul {
  TK_INLINE static VecF f(VecF a, VecF b) { return a * b; }
  TK_INLINE static VecI f(VecI a, VecI b) { return a * b; }
};

// Math.pow: unlike C, 1 or -1 to an infinite power and 1 to the power NaN are NaN.
// i32: exact modulo 2^32; a negative exponent gives 0 unless the base is 1 or -1.
struct pow {
  TK_INLINE static VecF f(VecF a, VecF b) {
    if (all(b == set1(2.0f))) return a * a;  // the most frequent exponent
    return map_lanes(a, b, [](float x, float y) {
      if (y == 2.0f) return x * x;
      if (y != y || (::fabsf(x) == 1.0f && ::fabsf(y) == INFINITY)) return float(NAN);
      return ::powf(x, y);
    });
  }
  TK_INLINE static VecI f(VecI a, VecI b) {
    return map_lanes(a, b, [](int32_t x, int32_t y) {
      if (y < 0) return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
      uint32_t result = 1, base = uint32_t(x);
      for (uint32_t exponent = uint32_t(y); exponent != 0; exponent >>= 1) {
        if (exponent & 1) result *= base;
        base *= base;
      }
      return int32_t(result);
    });
  }
};
// a is x, b is alpha.
struct prelu {
  TK_INLINE static VecF f(VecF a, VecF b) { return select(a < zero(), b * a, a); }
};
struct squared_difference {
  TK_INLINE static VecF f(VecF a, VecF b) { return (a - b) * (a - b); }
  TK_INLINE static VecI f(VecI a, VecI b) { return (a - b) * (a - b); }
};
struct sub {
  TK_INLINE static VecF f(VecF a, VecF b) { return a - b; }
  TK_INLINE static VecI f(VecI a, VecI b) { return a - b; }
};

}  // namespace binary
TK_END_LEVEL
