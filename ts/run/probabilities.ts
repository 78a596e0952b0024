import type { Trainer } from '../train/index.js';

const PREDICT_BATCH = 1024;

/** [rows, classes] probabilities: softmax of the logits, in float64, rounded once to float32 as an exported model's are. */
export async function predictProbabilities(
  trainer: Trainer,
  features: Float32Array,
  options: { readonly numClasses: number; readonly signal?: AbortSignal },
): Promise<Float32Array> {
  const { numClasses, signal } = options;
  const values = await trainer.predict(features, {
    batchSize: PREDICT_BATCH,
    ...(signal === undefined ? {} : { signal }),
  });
  for (let start = 0; start < values.length; start += numClasses) {
    const row = values.subarray(start, start + numClasses);
    const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = Float64Array.from(row, (logit) => Math.exp(logit - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    row.set(powers.map((power) => power / sum));
  }
  return values;
}
