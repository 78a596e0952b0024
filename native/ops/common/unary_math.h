// One formula per elementwise op of one operand, named as in ops.def. f takes a vector of the input dtype; a Mask as result
// means u8 0 or 1. Meaning is that of the tfjs cpu backend, evaluated in f32; i32 wraps.
#pragma once

#include "ops/common/vector_math.h"

TK_BEGIN_LEVEL
namespace unary {

// max(0, x) as Math.max: NaN stays, -0 gives 0.
TK_INLINE VecF relu_of(VecF x) { return select(x <= zero(), zero(), x); }

struct abs {
  TK_INLINE static VecF f(VecF x) { return vabs(x); }
  TK_INLINE static VecI f(VecI x) { return vmax(x, set1i(0) - x); }
};
struct ceil {
  TK_INLINE static VecF f(VecF x) { return vceil(x); }
};
struct cos {
  TK_INLINE static VecF f(VecF x) { return vcos(x); }
};
struct cosh {
  TK_INLINE static VecF f(VecF x) { return vcosh(x); }
};
struct elu {
  TK_INLINE static VecF f(VecF x) { return select(x >= zero(), x, vexpm1(x)); }
};
struct erf {
  TK_INLINE static VecF f(VecF x) { return verf(x); }
};
struct exp {
  TK_INLINE static VecF f(VecF x) { return vexp(x); }
};
struct expm1 {
  TK_INLINE static VecF f(VecF x) { return vexpm1(x); }
};
struct floor {
  TK_INLINE static VecF f(VecF x) { return vfloor(x); }
};
struct is_finite {
  TK_INLINE static Mask f(VecF x) { return vabs(x) < set1(INFINITY); }
};
struct is_inf {
  TK_INLINE static Mask f(VecF x) { return vabs(x) == set1(INFINITY); }
};
struct is_nan {
  TK_INLINE static Mask f(VecF x) { return tk::TK_LEVEL::is_nan(x); }
};
struct log {
  TK_INLINE static VecF f(VecF x) { return vlog(x); }
};
struct log1p {
  TK_INLINE static VecF f(VecF x) { return vlog1p(x); }
};
struct logical_not {
  TK_INLINE static uint8_t f(uint8_t x) { return x == 0; }
};
struct neg {
  TK_INLINE static VecF f(VecF x) { return vneg(x); }
  TK_INLINE static VecI f(VecI x) { return set1i(0) - x; }
};
struct reciprocal {
  TK_INLINE static VecF f(VecF x) { return set1(1.0f) / x; }
};
struct relu {
  TK_INLINE static VecF f(VecF x) { return relu_of(x); }
  TK_INLINE static VecI f(VecI x) { return vmax(x, set1i(0)); }
};
struct relu6 {
  TK_INLINE static VecF f(VecF x) { return vmin(set1(6.0f), relu_of(x)); }  // NaN is vmin's second operand and stays
  TK_INLINE static VecI f(VecI x) { return vmin(vmax(x, set1i(0)), set1i(6)); }
};
// Halves go to the even neighbour.
struct round {
  TK_INLINE static VecF f(VecF x) { return vround(x); }
};
struct rsqrt {
  TK_INLINE static VecF f(VecF x) { return set1(1.0f) / vsqrt(x); }
};
// Klambauer et al. 2017, arXiv:1706.02515; the constants as tfjs has them.
struct selu {
  TK_INLINE static VecF f(VecF x) {
    return select(x >= zero(), set1(1.0507009873554805f) * x, set1(1.7580993408473769f) * vexpm1(x));
  }
};
struct sigmoid {
  TK_INLINE static VecF f(VecF x) { return vsigmoid(x); }
};
// 0 for NaN, as tfjs.
struct sign {
  TK_INLINE static VecF f(VecF x) { return select(x > zero(), set1(1.0f), select(x < zero(), set1(-1.0f), zero())); }
  TK_INLINE static VecI f(VecI x) { return vmax(vmin(x, set1i(1)), set1i(-1)); }
};
struct sin {
  TK_INLINE static VecF f(VecF x) { return vsin(x); }
};
struct sinh {
  TK_INLINE static VecF f(VecF x) { return vsinh(x); }
};
// ln(1 + e^x), accurate on both sides instead of tfjs's three pieces.
struct softplus {
  TK_INLINE static VecF f(VecF x) { return vsoftplus(x); }
};
struct sqrt {
  TK_INLINE static VecF f(VecF x) { return vsqrt(x); }
};
struct square {
  TK_INLINE static VecF f(VecF x) { return x * x; }
  TK_INLINE static VecI f(VecI x) { return x * x; }
};
// In double and rounded once: near its poles an error of one unit in the argument's last place is one of many in the result.
struct tan {
  TK_INLINE static VecF f(VecF x) {
    return map_lanes(x, [](float v) { return float(::tan(double(v))); });
  }
};
struct tanh {
  TK_INLINE static VecF f(VecF x) { return vtanh(x); }
};

// Rare functions go lane by lane through libm.
#define TK_LIBM_UNARY(name)                                      \
  struct name {                                                  \
    TK_INLINE static VecF f(VecF x) {                            \
      return map_lanes(x, [](float v) { return ::name##f(v); }); \
    }                                                            \
  };
TK_LIBM_UNARY(acos)
TK_LIBM_UNARY(acosh)
TK_LIBM_UNARY(asin)
TK_LIBM_UNARY(asinh)
TK_LIBM_UNARY(atan)
TK_LIBM_UNARY(atanh)
#undef TK_LIBM_UNARY

// Ops with attributes: f is not static.
struct LeakyRelu {
  float alpha;
  TK_INLINE VecF f(VecF x) const { return select(x < zero(), set1(alpha) * x, x); }
};
// 1 above zero, alpha at and below it, NaN for NaN. i32 takes alpha without its fraction.
struct Step {
  float alpha;
  int32_t alpha_int;
  TK_INLINE VecF f(VecF x) const { return select(x > zero(), set1(1.0f), select(x <= zero(), set1(alpha), x)); }
  TK_INLINE VecI f(VecI x) const { return select(x > set1i(0), set1i(1), set1i(alpha_int)); }
};
// max first, then min, as tfjs: with min > max the result is max above it and min below. NaN stays.
struct Clip {
  float low, high;
  // i32: replaced where x < low_limit or x > high_limit; a bound with a fraction loses it in the result.
  int32_t low_limit, low_int, high_limit, high_int;
  TK_INLINE VecF f(VecF x) const { return select(x > set1(high), set1(high), select(x < set1(low), set1(low), x)); }
  TK_INLINE VecI f(VecI x) const {
    return select(x > set1i(high_limit), set1i(high_int), select(x < set1i(low_limit), set1i(low_int), x));
  }
};

}  // namespace unary
TK_END_LEVEL
