/** Quantiles of the normal distribution from additions, products, quotients and square roots only: the same bits everywhere. */

/** Coefficients by falling powers. @source Wichura 1988, "Algorithm AS 241", Applied Statistics 37(3), PPND16 */
const CENTRE_OVER = [
  2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946, 1971.5909503065513,
  133.14166789178438, 3.3871328727963665,
];
const CENTRE_UNDER = [
  5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751, 687.1870074920579,
  42.31333070160091, 1,
];
const TAIL_OVER = [
  0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045, 5.769497221460691,
  4.630337846156546, 1.4234371107496835,
];
const TAIL_UNDER = [
  1.0507500716444169e-9, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008, 0.6897673349851, 1.6763848301838038,
  2.053191626637759, 1,
];

function polynomial(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (const coefficient of coefficients) sum = sum * x + coefficient;
  return sum;
}

/** Natural logarithm of 0 < x <= 1: Math.log may differ between machines. */
function logarithm(x: number): number {
  let exponent = 0;
  let mantissa = x;
  for (; mantissa < Math.SQRT1_2; mantissa *= 2) --exponent;
  // log m = 2 artanh((m - 1) / (m + 1)); the square is below 0.0295, so what follows the eleventh term is below 1e-17 of the sum.
  const ratio = (mantissa - 1) / (mantissa + 1);
  const square = ratio * ratio;
  let sum = 0;
  for (let odd = 21; odd >= 1; odd -= 2) sum = sum * square + 1 / odd;
  return 2 * ratio * sum + exponent * Math.LN2;
}

/**
 * The standard normal number that a share `p` of all lies below, to about 1e-15 of its value.
 *
 * @param p  2^-34 <= p <= 1 - 2^-34
 */
export function normalQuantile(p: number): number {
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * polynomial(CENTRE_OVER, r)) / polynomial(CENTRE_UNDER, r);
  }
  const r = Math.sqrt(-logarithm(q < 0 ? p : 1 - p)) - 1.6;
  const x = polynomial(TAIL_OVER, r) / polynomial(TAIL_UNDER, r);
  return q < 0 ? -x : x;
}
