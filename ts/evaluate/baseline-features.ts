import type { Dataset } from '../data/dataset.js';
import { TensorkilnError } from '../errors.js';

/**
 * Checks the features of both parts and returns the number of features of a row.
 *
 * @throws E_SHAPE when they do not fit; E_DATA when one is not finite
 */
export function checkFeatures(train: Dataset, test: Dataset): number {
  const numFeatures = train.featureShape.reduce((product, size) => product * size, 1);
  for (const [part, dataset] of [
    ['training', train],
    ['test', test],
  ] as const) {
    if (dataset.features.length !== dataset.size * numFeatures) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[baseline] features of the ${part} part have the wrong size: expected ${dataset.size} x ${numFeatures}, ` +
          `got ${dataset.features.length} values.`,
      );
    }
    const wrong = firstNotFinite(dataset.features);
    if (wrong >= 0) {
      throw new TensorkilnError(
        'E_DATA',
        `[baseline] feature ${wrong % numFeatures} of ${part} row ${Math.floor(wrong / numFeatures)} is not finite.`,
      );
    }
  }
  return numFeatures;
}

/** Index of the first NaN or infinity, or -1; a plain loop, since there may be a hundred million values. */
function firstNotFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; ++i) {
    if (!Number.isFinite(values[i])) return i;
  }
  return -1;
}
