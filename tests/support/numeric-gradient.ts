/** Derivatives by central differences in double precision. */

/**
 * d f / d values[i] for every i. `f` reads `values`, which is changed and put back.
 *
 * With a step of 1e-5 the error is about 1e-10 times the third derivative plus 1e-11 times |f|: far below float32.
 */
export function numericGradient(values: Float64Array, f: () => number): Float64Array {
  const step = 1e-5;
  return values.map((value, i) => {
    values[i] = value + step;
    const above = f();
    values[i] = value - step;
    const below = f();
    values[i] = value;
    return (above - below) / (2 * step);
  });
}
