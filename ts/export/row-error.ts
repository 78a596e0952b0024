/**
 * The largest difference found in a row, relative to that row's largest magnitude; Infinity where sizes differ or a value is not
 * finite on one side only.
 */
export function largestRowError(actual: Float32Array, expected: Float32Array, rows: number): number {
  if (actual.length !== expected.length) return Infinity;
  const rowSize = expected.length / rows;
  let largest = 0;
  for (let start = 0; start < expected.length; start += rowSize) {
    let magnitude = 0;
    let difference = 0;
    for (let i = start; i < start + rowSize; ++i) {
      // Equal covers infinities; two NaN agree as well.
      if (actual[i] === expected[i] || (Number.isNaN(actual[i]) && Number.isNaN(expected[i]))) continue;
      const distance = Math.abs(actual[i]! - expected[i]!);
      if (!Number.isFinite(distance)) return Infinity;
      difference = Math.max(difference, distance);
    }
    for (let i = start; i < start + rowSize; ++i) {
      if (Number.isFinite(expected[i])) magnitude = Math.max(magnitude, Math.abs(expected[i]!));
    }
    if (difference > 0) largest = Math.max(largest, difference / Math.max(magnitude, Number.MIN_VALUE));
  }
  return largest;
}
