import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { TensorkilnError } from '../../errors.js';
import type { PcaOptions } from '../preprocessing-options.js';
import type { PcaEncoding } from './schemas.js';

/** Above this many features the eigenvalues of their covariances take minutes. */
export const MAX_PCA_FEATURES = 1000;

/**
 * Principal components of a matrix: eigenvectors of the covariance of its columns, largest eigenvalue first. The sign is chosen so that
 * the largest entry of each component is positive, which makes the result unique.
 *
 * @param features [rows, width]
 * @throws E_DATA above MAX_PCA_FEATURES; E_USAGE for more components than features
 */
export function fitPca(features: Float32Array, width: number, options: PcaOptions): PcaEncoding {
  if (width > MAX_PCA_FEATURES) {
    throw new TensorkilnError(
      'E_DATA',
      `[preprocessing] PCA of ${width} features: expected at most ${MAX_PCA_FEATURES}. Use the hash or target encoding for large columns.`,
    );
  }
  if ('components' in options && options.components > width) {
    throw new TensorkilnError(
      'E_USAGE',
      `[preprocessing] PCA with too many components: expected at most the ${width} features there are, got ${options.components}.`,
    );
  }
  const rows = features.length / width;
  const mean = new Float64Array(width);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < width; column++)
      mean[column] = (mean[column] as number) + (features[row * width + column] as number) / rows;
  const covariance = covarianceOf(features, mean, rows);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  // Ascending from the library; rounding can make a zero eigenvalue slightly negative.
  const order = realEigenvalues.map((value, index) => ({ value: Math.max(0, value), index })).sort((a, b) => b.value - a.value);
  const total = order.reduce((sum, { value }) => sum + value, 0);
  const explained = order.map(({ value }) => (total === 0 ? 0 : value / total));
  const count = 'components' in options ? options.components : componentsFor(explained, options.variance);
  const components = order.slice(0, count).map(({ index }) => positive(eigenvectorMatrix.getColumn(index)));
  return { mean: [...mean], components, explained: explained.slice(0, count) };
}

/** Rows in terms of the components. @returns [rows, components] */
export function applyPca({ mean, components }: PcaEncoding, features: Float32Array): Float32Array {
  const width = mean.length;
  const rows = features.length / width;
  const out = new Float32Array(rows * components.length);
  for (let row = 0; row < rows; row++) {
    components.forEach((component, place) => {
      let sum = 0;
      for (let column = 0; column < width; column++)
        sum += (component[column] as number) * ((features[row * width + column] as number) - (mean[column] as number));
      out[row * components.length + place] = sum;
    });
  }
  return out;
}

function covarianceOf(features: Float32Array, mean: Float64Array, rows: number): Matrix {
  const width = mean.length;
  const sums = new Float64Array(width * width);
  const centered = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++)
      centered[column] = (features[row * width + column] as number) - (mean[column] as number);
    for (let a = 0; a < width; a++) {
      const left = centered[a] as number;
      for (let b = a; b < width; b++) sums[a * width + b] = (sums[a * width + b] as number) + left * (centered[b] as number);
    }
  }
  const covariance = Matrix.zeros(width, width);
  for (let a = 0; a < width; a++) {
    for (let b = a; b < width; b++) {
      const value = (sums[a * width + b] as number) / Math.max(1, rows - 1);
      covariance.set(a, b, value);
      covariance.set(b, a, value);
    }
  }
  return covariance;
}

function componentsFor(explained: readonly number[], variance: number): number {
  let sum = 0;
  for (const [index, share] of explained.entries()) {
    sum += share;
    // 1e-12: shares are rounded, and 1 must be reached by all of them.
    if (sum >= variance - 1e-12) return index + 1;
  }
  return explained.length;
}

function positive(component: number[]): number[] {
  const largest = component.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return largest < 0 ? component.map((value) => -value) : component;
}
