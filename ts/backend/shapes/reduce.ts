/** Geometry of reductions: any set of axes as calls on [outer, n, inner]. */

/** One reduction call: x [outer, n, inner] -> y [outer, inner]. */
export interface ReduceStep {
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
}

export interface Reduction {
  /** Shape of the result as tfjs sees it. */
  readonly shape: number[];
  /** At least one step; each reduces one run of neighbouring axes, the last run first. */
  readonly steps: ReduceStep[];
  /** Elements that go into one result. */
  readonly count: number;
}

/**
 * Plans a reduction over some axes.
 *
 * Axes of size 1 do not separate neighbours. Axes that are not neighbours are reduced one run after the other.
 *
 * @param shape    shape of x
 * @param axes     axes to reduce, in any order, already normalised to [0, rank)
 * @param keepDims whether reduced axes stay with size 1
 */
export function planReduction(shape: readonly number[], axes: readonly number[], keepDims: boolean): Reduction {
  const reduced = new Set(axes);
  const outShape: number[] = [];
  let count = 1;
  // Runs of axes of one kind, sizes multiplied.
  const runs: { size: number; reduced: boolean }[] = [];
  shape.forEach((dim, axis) => {
    const isReduced = reduced.has(axis);
    if (isReduced) count *= dim;
    if (!isReduced) outShape.push(dim);
    else if (keepDims) outShape.push(1);
    if (dim === 1) return;
    const last = runs.at(-1);
    if (last !== undefined && last.reduced === isReduced) last.size *= dim;
    else runs.push({ size: dim, reduced: isReduced });
  });
  const steps: ReduceStep[] = [];
  let inner = 1;
  for (let i = runs.length - 1; i >= 0; --i) {
    const run = runs[i] as { size: number; reduced: boolean };
    if (!run.reduced) {
      inner *= run.size;
      continue;
    }
    const outer = runs.slice(0, i).reduce((product, { size }) => product * size, 1);
    steps.push({ outer, n: run.size, inner });
  }
  if (steps.length === 0) steps.push({ outer: inner, n: 1, inner: 1 });
  return { shape: outShape, steps, count };
}

/** A shape as [outer, n, inner] around one axis. */
export function splitAtAxis(shape: readonly number[], axis: number): [number, number, number] {
  let outer = 1;
  let inner = 1;
  for (let i = 0; i < axis; ++i) outer *= shape[i] as number;
  for (let i = axis + 1; i < shape.length; ++i) inner *= shape[i] as number;
  return [outer, shape[axis] as number, inner];
}
