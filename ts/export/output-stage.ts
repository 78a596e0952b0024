/** What is put behind the last layer, so that a model says what a user wants to know. */
export interface OutputStage {
  /** 'softmax' makes probabilities of a model that was trained on logits; default 'linear', nothing. */
  readonly outputActivation?: 'linear' | 'softmax';
  /** For a regression trained on (target - shift) / scale: brings the output back to the unit of the target. */
  readonly outputScale?: { readonly shift: number; readonly scale: number };
}

/** What the stage makes of a model's outputs. @param size  length of their last axis */
export function applyStage(outputs: Float32Array, size: number, { outputActivation, outputScale }: OutputStage): Float32Array {
  const staged = outputActivation === 'softmax' ? softmaxRows(outputs, size) : outputs;
  return outputScale === undefined ? staged : staged.map((value) => value * outputScale.scale + outputScale.shift);
}

function softmaxRows(values: Float32Array, size: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += size) {
    const row = values.subarray(start, start + size);
    const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = Array.from(row, (value) => Math.exp(value - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    powers.forEach((power, i) => (result[start + i] = power / sum));
  }
  return result;
}
