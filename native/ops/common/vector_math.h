// Elementary functions on vectors of f32, for all of their range: NaN, infinities, denormals, overflow.
// Largest errors (tests/native/elementwise/unary_test.cc): exp, log 1 to 2 ulp, the others at most 4, with and without fused
// multiply-add.
//
// Argument reductions: Cody and Waite, Software Manual for the Elementary Functions, 1980 (constants split so that a product
// with a small integer is exact). Polynomials: minimax in relative error (Lawson's iteration on 1500 Chebyshev nodes in 53-bit
// arithmetic, coefficients rounded to f32 one after the other, the rest refitted).
#pragma once

#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// c[0] + c[1] x + ... by Horner's rule.
template <int Count>
TK_INLINE VecF polynomial(VecF x, const float (&c)[Count]) {
  VecF sum = set1(c[Count - 1]);
  for (int i = Count - 2; i >= 0; --i) sum = fmadd(sum, x, set1(c[i]));
  return sum;
}

// Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits of the sum.
constexpr float kRoundMagic = 12582912.0f;
constexpr int32_t kRoundMagicBits = 0x4B400000;

// 2^n for -126 <= n <= 127.
TK_INLINE VecF power_of_two(VecI n) { return as_float(shift_left<23>(n + set1i(127))); }

constexpr float kLog2E = 1.44269502f;
// 9 bits of ln 2, so that n * kLn2High is exact for |n| < 2^15, and the rest.
constexpr float kLn2High = 0.693359375f;
constexpr float kLn2Low = -0.000212194442f;

// x = n ln 2 + r with |r| <= 0.35; the result is e^r - 1. The low bits of *n hold n.
TK_INLINE VecF expm1_reduced(VecF x, VecI* n) {
  const VecF shifted = fmadd(x, set1(kLog2E), set1(kRoundMagic));
  const VecF whole = shifted - set1(kRoundMagic);
  *n = as_int(shifted);
  const VecF r = fnmadd(whole, set1(kLn2Low), fnmadd(whole, set1(kLn2High), x));
  static constexpr float kCoefficients[] = {0.5f, 0.166666657f, 0.0416664854f, 0.00833354145f, 0.00139332283f, 0.000197669942f};
  return fmadd(r * r, polynomial(r, kCoefficients), r);
}
// 2^(n + Shift) for -126 <= n + Shift <= 127, from the low bits of n.
template <int Shift = 0>
TK_INLINE VecF power_of_low_bits(VecI n) {
  return as_float(shift_left<23>(n) + set1i((127 + Shift) << 23));
}

// e^x for -87 <= x <= 88 without a check; NaN gives some value.
TK_INLINE VecF exp_bounded(VecF x) {
  VecI n;
  const VecF p = set1(1.0f) + expm1_reduced(x, &n);
  return as_float(as_int(p) + shift_left<23>(n));
}

// Whether all lanes are in the range where the exponential needs no check. Then a function may leave out what the rest of the
// range costs; what it computes must not depend on that in a single bit.
constexpr float kExpSafe = 86.0f;
TK_INLINE bool all_safe(VecF x) { return all(vabs(x) <= set1(kExpSafe)); }

// e^x * 2^Shift, Shift in -1..1, for any x. The power of two is applied in two factors: the first product is exact, so a
// denormal result is rounded once, and overflow happens only where the result overflows.
template <int Shift = 0>
TK_INLINE VecF exp_any(VecF x) {
  VecI n;
  const VecF p = set1(1.0f) + expm1_reduced(vmin(set1(90.0f), vmax(set1(-105.0f), x)), &n);
  n = n - set1i(kRoundMagicBits - Shift);
  const VecI half = shift_right<1>(n);
  return p * power_of_two(half) * power_of_two(n - half);
}
// The same.
template <int Shift = 0>
TK_INLINE VecF vexp(VecF x) {
  if (!all_safe(x)) return exp_any<Shift>(x);
  VecI n;
  const VecF p = set1(1.0f) + expm1_reduced(x, &n);
  return as_float(as_int(p) + shift_left<23>(n + set1i(Shift)));
}

// e^x for x <= 0 where results below 2^-125 may be flushed to zero: softmax and the like, whose sums hold a 1.
TK_INLINE VecF vexp_flush(VecF x) {
  VecI n;
  const VecF p = set1(1.0f) + expm1_reduced(vmax(set1(-87.0f), x), &n);
  return select(x < set1(-87.0f), zero(), p * power_of_low_bits(n));
}

TK_INLINE VecF vexpm1(VecF x) {
  VecI n;
  const VecF p = expm1_reduced(vmin(set1(89.0f), vmax(set1(-18.0f), x)), &n);
  // (p + 1) 2^n - 1 at half size: 2^128 is not a float.
  const VecF scale = power_of_low_bits<-1>(n);
  const VecF half = fmadd(p, scale, scale - set1(0.5f));
  return select(vabs(x) < set1(2.98023224e-08f), x, half + half);  // keeps -0, and the last bit of denormals
}

// ln x for normal positive x times 2^(shift of *exponent already in it): x = m 2^e with m in [sqrt 1/2, sqrt 2).
TK_INLINE VecF log_positive(VecF x, VecF exponent_offset) {
  const VecI kSqrtHalfBits = set1i(0x3F3504F3);
  const VecI offset = as_int(x) - kSqrtHalfBits;
  const VecF e = to_float(shift_right<23>(offset)) + exponent_offset;
  const VecF f = as_float((offset & set1i(0x007FFFFF)) + kSqrtHalfBits) - set1(1.0f);
  static constexpr float kCoefficients[] = {0.333333135f,  -0.250000089f, 0.200020716f,  -0.166679889f, 0.142203584f,
                                            -0.124062337f, 0.118835486f,  -0.116700977f, 0.0674926788f};
  const VecF f2 = f * f;
  VecF small = f2 * f * polynomial(f, kCoefficients);
  small = fmadd(e, set1(kLn2Low), small);
  small = fnmadd(set1(0.5f), f2, small);
  return fmadd(e, set1(kLn2High), f + small);
}

TK_INLINE VecF vlog(VecF x) {
  const VecF inf = set1(INFINITY);
  const Mask tiny = x < set1(1.17549435e-38f);  // denormals are brought into the normal range
  const VecF y = log_positive(select(tiny, x * set1(8388608.0f), x), select(tiny, set1(-23.0f), zero()));
  const VecF special = select(x == zero(), set1(-INFINITY), select(x < zero(), set1(NAN), x));
  return select((x > zero()) & (x < inf), y, special);
}

TK_INLINE VecF vlog1p(VecF x) {
  const VecF one = set1(1.0f);
  const VecF u = one + x;
  // What rounding took from 1 + x, exactly; its share of the logarithm is error / u.
  const VecF error = select(x > one, one - (u - x), x - (u - one));
  const VecF y = log_positive(u, zero()) + error / u;
  const VecF special = select(x == set1(-1.0f), set1(-INFINITY), select(x < zero(), set1(NAN), x));
  return select((x > set1(-1.0f)) & (x < set1(INFINITY)) & (x != zero()), y, select(x == zero(), x, special));
}

TK_INLINE VecF vtanh(VecF x) {
  // tanh is 1 from 9.01 on. t = e^2a - 1, tanh a = t / (t + 2).
  const VecF a = vmin(set1(9.02f), vabs(x));
  VecI n;
  const VecF p = expm1_reduced(a + a, &n);
  const VecF scale = power_of_low_bits(n);
  const VecF t = fmadd(p, scale, scale - set1(1.0f));
  return copy_sign(t / (t + set1(2.0f)), x);
}

// 1 / (1 + e^-x); where e^-x may overflow, the result is e^x.
TK_INLINE VecF vsigmoid(VecF x) {
  const VecF one = set1(1.0f), negative = vneg(x);
  if (all_safe(x)) return one / (one + exp_bounded(negative));
  return select(x < set1(-kExpSafe), exp_any(x), one / (one + exp_any(negative)));
}

TK_INLINE VecF vcosh(VecF x) {
  const VecF half = vexp<-1>(vabs(x));
  return half + set1(0.25f) / half;
}

TK_INLINE VecF vsinh(VecF x) {
  const VecF a = vabs(x);
  const VecF t = vexpm1(vmin(set1(2.0f), a));
  const VecF near = set1(0.5f) * (t + t / (t + set1(1.0f)));
  const VecF half = vexp<-1>(a);
  return copy_sign(select(a > set1(1.5f), half - set1(0.25f) / half, near), x);
}

// ln erfc(a) for 1 <= a <= 3.95.
TK_INLINE VecF log_erfc(VecF a) {
  static constexpr float kCoefficients[] = {0.000188467631f, -1.12958026f,    -0.633216619f,   -0.108421713f,
                                            0.0252099931f,   -0.00420511561f, 0.000441429991f, -2.16932458e-05f};
  return polynomial(a, kCoefficients);
}

// erf x for |x| <= 1: x + x P(x^2).
TK_INLINE VecF erf_near(VecF x) {
  static constexpr float kNear[] = {0.128379166f,  -0.37612626f,    0.112835787f,   -0.0268533472f,
                                    0.0051871622f, -0.00079978531f, 7.80690389e-05f};
  return fmadd(x, polynomial(x * x, kNear), x);
}

// Above 1: 1 - erfc |x|; from 3.95 on the result is 1.
TK_INLINE VecF verf(VecF x) {
  const VecF a = vmin(set1(3.95f), vabs(x));
  const VecF far = set1(1.0f) - exp_bounded(log_erfc(a));
  return select(a >= set1(1.0f), copy_sign(far, x), erf_near(x));
}

// Largest argument that sin_cos_reduced takes; beyond it the product of the quotient and the parts of pi/2 loses digits.
constexpr float kTrigLimit = kHasFma ? 100000.0f : 12000.0f;

// x = n pi/2 + r, |r| <= pi/4 and a little, for |x| <= kTrigLimit: sine and cosine of r, and n.
// pi/2 in three floats where the products are fused; in four of 11 bits and a rest where a product must be exact by itself.
TK_INLINE VecI sin_cos_reduced(VecF x, VecF* sine, VecF* cosine) {
  const VecF shifted = fmadd(x, set1(0.636619747f), set1(kRoundMagic));
  const VecF n = shifted - set1(kRoundMagic);
  VecF r;
  if constexpr (kHasFma) {
    r = fnmadd(n, set1(1.57079637f), x);
    r = fnmadd(n, set1(-4.37113883e-08f), r);
    r = fnmadd(n, set1(-1.71512451e-15f), r);
  } else {
    r = fnmadd(n, set1(1.5703125f), x);
    r = fnmadd(n, set1(0.000483751296997f), r);
    r = fnmadd(n, set1(7.54953362048e-08f), r);
    r = fnmadd(n, set1(2.56328291925e-12f), r);
    r = fnmadd(n, set1(6.12323426e-17f), r);
  }
  static constexpr float kSine[] = {-0.166666672f, 0.00833337847f, -0.000198525639f, 2.82638985e-06f};
  static constexpr float kCosine[] = {0.0416666679f, -0.00138889777f, 2.48209744e-05f, -2.87680535e-07f};
  const VecF r2 = r * r;
  *sine = fmadd(r2 * r, polynomial(r2, kSine), r);
  *cosine = fmadd(r2 * r2, polynomial(r2, kCosine), fnmadd(set1(0.5f), r2, set1(1.0f)));
  return as_int(shifted);
}

// y with the lanes in m replaced by f(x), one by one.
template <class F>
TK_INLINE VecF replace_lanes(Mask m, VecF x, VecF y, const F& f) {
  float in[kVecWidth], out[kVecWidth];
  store(in, x);
  store(out, y);
  const uint32_t bits = mask_bits(m);
  for (int i = 0; i < kVecWidth; ++i)
    if (bits >> i & 1) out[i] = f(in[i]);
  return load(out);
}
template <class F>
TK_INLINE VecF map_lanes(VecF x, const F& f) {
  float lanes[kVecWidth];
  store(lanes, x);
  for (int i = 0; i < kVecWidth; ++i) lanes[i] = f(lanes[i]);
  return load(lanes);
}
template <class F>
TK_INLINE VecF map_lanes(VecF x, VecF y, const F& f) {
  float a[kVecWidth], b[kVecWidth];
  store(a, x);
  store(b, y);
  for (int i = 0; i < kVecWidth; ++i) a[i] = f(a[i], b[i]);
  return load(a);
}
template <class F>
TK_INLINE VecI map_lanes(VecI x, VecI y, const F& f) {
  int32_t a[kVecWidth], b[kVecWidth];
  store(a, x);
  store(b, y);
  for (int i = 0; i < kVecWidth; ++i) a[i] = f(a[i], b[i]);
  return load(a);
}

TK_INLINE Mask odd_quadrant(VecI n) { return (n & set1i(1)) == set1i(1); }
// Flips the sign of y in the lanes where bit 1 of n is set.
TK_INLINE VecF flip_sign(VecF y, VecI n) { return as_float(as_int(y) ^ shift_left<30>(n & set1i(2))); }

TK_INLINE VecF vsin(VecF x) {
  VecF sine, cosine;
  const VecI n = sin_cos_reduced(x, &sine, &cosine);
  const VecF y = select(x == zero(), x, flip_sign(select(odd_quadrant(n), cosine, sine), n));
  const Mask large = vabs(x) > set1(kTrigLimit);
  return any(large) ? replace_lanes(large, x, y, [](float v) { return ::sinf(v); }) : y;
}

TK_INLINE VecF vcos(VecF x) {
  VecF sine, cosine;
  const VecI n = sin_cos_reduced(x, &sine, &cosine);
  const VecF y = flip_sign(select(odd_quadrant(n), sine, cosine), n + set1i(1));
  const Mask large = vabs(x) > set1(kTrigLimit);
  return any(large) ? replace_lanes(large, x, y, [](float v) { return ::cosf(v); }) : y;
}

TK_INLINE VecF vsoftplus(VecF x) { return vmax(x, zero()) + vlog1p(vexp(vneg(vabs(x)))); }

TK_END_LEVEL
