/** How the parameters of a normalisation lie along its input. */

/**
 * Whether a parameter repeats along x in memory order: a single element, or x's last axes, with axes of size 1 before them.
 *
 * @param param shape of the parameter
 * @param x     shape of the input
 */
export function repeatsAlong(param: readonly number[], x: readonly number[]): boolean {
  const first = param.findIndex((dim) => dim !== 1);
  if (first < 0) return true;
  const tail = param.slice(first);
  return tail.length <= x.length && tail.every((dim, i) => dim === x[x.length - tail.length + i]);
}
