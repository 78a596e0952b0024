// Activations of fused ops, by number, each with its derivative. The derivative is taken from the argument x, or from the
// result y where that suffices and is cheaper: `saved` below. TypeScript knows the numbers as well:
// ts/backend/custom/activations.ts.
//   0 none       x
//   1 relu       max(x, 0), 0 at 0                      saved y
//   2 sigmoid    1 / (1 + e^-x)                         saved y
//   3 tanh                                              saved y
//   4 gelu       x (1 + erf(x / sqrt 2)) / 2            saved x    Hendrycks, Gimpel 2016, arXiv:1606.08415
//   5 gelu_tanh  x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2     saved x    the approximation of the same paper
//   6 silu       x sigmoid(x)                           saved x    ibid.; Ramachandran et al. 2017, arXiv:1710.05941
//   7 mish       x tanh(ln(1 + e^x))                    saved x    Misra 2019, arXiv:1908.08681
#pragma once

#include "ops/common/vector_math.h"

TK_BEGIN_LEVEL
namespace activation {

constexpr int64_t kCount = 8;

TK_INLINE bool saves_result(int64_t kind) { return kind >= 1 && kind <= 3; }

struct none {
  TK_INLINE static VecF f(VecF x) { return x; }
  TK_INLINE static VecF derivative(VecF) { return set1(1.0f); }
};
struct relu {
  TK_INLINE static VecF f(VecF x) { return select(x <= zero(), zero(), x); }
  TK_INLINE static VecF derivative(VecF y) { return select(y > zero(), set1(1.0f), zero()); }
};
struct sigmoid {
  TK_INLINE static VecF f(VecF x) { return vsigmoid(x); }
  TK_INLINE static VecF derivative(VecF y) { return y * (set1(1.0f) - y); }
};
struct tanh {
  TK_INLINE static VecF f(VecF x) { return vtanh(x); }
  TK_INLINE static VecF derivative(VecF y) { return set1(1.0f) - y * y; }
};

struct gelu {
  // From here down Phi(x), of the normal distribution, counts as 0: the result is below 1.3e-7 then.
  static constexpr float kZeroFrom = 5.58f;
  TK_INLINE static VecF magnitude(VecF x) { return vmin(set1(5.6f), vabs(x)); }
  // Phi(-a) for 0 <= a <= 5.6, as e to a polynomial: without the cancellation of 1 - erf(a / sqrt 2).
  TK_INLINE static VecF tail(VecF a) {
    static constexpr float kCoefficients[] = {-0.693147182f,    -0.797885239f,   -0.318303287f,    -0.0363568328f,
                                              0.0048132739f,    1.62816013e-05f, -0.00021184751f,  6.2670013e-05f,
                                              -1.05301533e-05f, 1.10353506e-06f, -6.72067628e-08f, 1.82114124e-09f};
    return exp_bounded(polynomial(a, kCoefficients));
  }
  TK_INLINE static VecF distribution(VecF x) {
    const VecF t = tail(magnitude(x));
    return select(x < zero(), select(x < set1(-kZeroFrom), zero(), t), set1(1.0f) - t);
  }
  TK_INLINE static VecF density(VecF x) { return set1(0.398942280f) * vexp_flush(set1(-0.5f) * x * x); }
  // x Phi(x) = max(x, 0) - |x| Phi(-|x|)
  TK_INLINE static VecF f(VecF x) {
    const VecF a = magnitude(x);
    return select(x < set1(-kZeroFrom), zero(), fnmadd(a, tail(a), vmax(zero(), x)));
  }
  TK_INLINE static VecF derivative(VecF x) {
    const VecF b = vmin(set1(30.0f), vmax(set1(-6.0f), x));
    return fmadd(b, density(b), distribution(b));
  }
};
struct gelu_tanh {
  static constexpr float kScale = 0.797884561f, kCubic = 0.044715f;
  // sigmoid(2u) = (1 + tanh u) / 2 without the cancellation at negative u; beyond 30 nothing changes any more.
  TK_INLINE static VecF clamp(VecF x) { return vmin(set1(30.0f), vmax(set1(-30.0f), x)); }
  TK_INLINE static VecF share(VecF b) { return vsigmoid(set1(2 * kScale) * b * fmadd(set1(kCubic) * b, b, set1(1.0f))); }
  TK_INLINE static VecF f(VecF x) { return vmax(set1(-30.0f), x) * share(clamp(x)); }
  TK_INLINE static VecF derivative(VecF x) {
    const VecF b = clamp(x), s = share(b);
    const VecF inner = set1(2 * kScale) * fmadd(set1(3 * kCubic) * b, b, set1(1.0f));
    return fmadd(b * s * (set1(1.0f) - s), inner, s);
  }
};
struct silu {
  // Below -100 the result is 0; the limit keeps -inf from giving NaN.
  TK_INLINE static VecF f(VecF x) { return vmax(set1(-105.0f), x) * vsigmoid(x); }
  TK_INLINE static VecF derivative(VecF x) {
    const VecF b = vmin(set1(105.0f), vmax(set1(-105.0f), x)), s = vsigmoid(b);
    return fmadd(b * s, set1(1.0f) - s, s);
  }
};
struct mish {
  // tanh(ln(1 + e)) = n / (n + 2) with n = e (e + 2), e = e^x; from 20 on it is 1.
  TK_INLINE static VecF ratio(VecF e) {
    const VecF n = e * (e + set1(2.0f));
    return n / (n + set1(2.0f));
  }
  TK_INLINE static VecF power(VecF x) { return vexp(vmin(set1(20.0f), x)); }
  TK_INLINE static VecF f(VecF x) { return vmax(set1(-105.0f), x) * ratio(power(x)); }
  TK_INLINE static VecF derivative(VecF x) {
    // t = ratio; dt/dx = (1 - t^2) sigmoid(x), and 1 - t^2 = 4 (n + 1) / (n + 2)^2 does not cancel.
    const VecF b = vmin(set1(20.0f), vmax(set1(-105.0f), x)), e = vexp(b), n = e * (e + set1(2.0f)), m = n + set1(2.0f);
    const VecF slope = set1(4.0f) * (n + set1(1.0f)) / (m * m);
    return fmadd(b * slope, e / (e + set1(1.0f)), n / m);
  }
};

// Calls body(f) with the function of that number.
template <class Body>
TK_INLINE void with(int64_t kind, const Body& body) {
  switch (kind) {
    case 0: return body(none{});
    case 1: return body(relu{});
    case 2: return body(sigmoid{});
    case 3: return body(tanh{});
    case 4: return body(gelu{});
    case 5: return body(gelu_tanh{});
    case 6: return body(silu{});
    case 7: return body(mish{});
    default: TK_CHECK(kind >= 0 && kind < kCount);
  }
}

}  // namespace activation
TK_END_LEVEL
