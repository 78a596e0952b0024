/**
 * Counts values in buckets of equal width, as TensorBoard's histogram plugin wants them.
 *
 * Values that are not finite have no place on the axis and are not counted. If all others are equal there is one bucket of
 * width 1 round that value; if there are none, no bucket.
 *
 * @param bucketCount an integer of at least 1
 * @returns rows of left edge, right edge, count, one after the other; the last bucket holds its right edge
 * @source tensorflow/tensorboard, tensorboard/plugins/histogram/summary_v2.py
 */
export function histogramBuckets(values: ArrayLike<number>, bucketCount: number): Float64Array {
  let [min, max, count] = [Infinity, -Infinity, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    count += 1;
  }
  if (count === 0) return new Float64Array(0);
  if (min === max) return Float64Array.of(min - 0.5, max + 0.5, count);
  const rows = new Float64Array(3 * bucketCount);
  const width = (max - min) / bucketCount;
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    rows[3 * bucket] = min + bucket * width;
    rows[3 * bucket + 1] = bucket === bucketCount - 1 ? max : min + (bucket + 1) * width;
  }
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    const bucket = Math.min(Math.floor((value - min) / width), bucketCount - 1);
    rows[3 * bucket + 2]! += 1;
  }
  return rows;
}
