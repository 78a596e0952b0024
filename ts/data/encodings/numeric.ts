import { TensorkilnError } from '../../errors.js';
import { noTrainingValue, type NumericImputation, type Scaling } from '../preprocessing-options.js';
import { meanAndDeviationOf, meanOf, medianOf, modeOf, quantilesOf, rangeOf, type RowNumbers } from '../row-numbers.js';
import type { NumericEncoding } from './schemas.js';

export interface NumericFit {
  readonly imputation: NumericImputation;
  readonly scaling: Scaling;
}

/**
 * Fill and scaling of a numeric column, from the training rows alone. Statistics are those of the imputed column; a column without spread
 * is only shifted.
 *
 * @throws E_DATA when there is no value among the rows
 */
export function fitNumeric(name: string, values: Float64Array, rows: Int32Array, fit: NumericFit): NumericEncoding {
  const fill = fillOf(name, { values, rows, fill: NaN }, fit.imputation);
  const { shift, scale } = shiftAndScale({ values, rows, fill }, fit.scaling);
  return { kind: 'numeric', name, fill, shift, scale: scale === 0 ? 1 : scale };
}

/**
 * The number that replaces missing cells.
 *
 * median: middle of the sorted values, mean of the middle two; mode: most frequent, the smallest of equals.
 *
 * @throws E_DATA when there are no values to take a statistic of
 */
function fillOf(name: string, present: RowNumbers, imputation: NumericImputation): number {
  if (typeof imputation === 'object') return imputation.constant;
  const range = rangeOf(present);
  if (range.count === 0) throw noTrainingValue(name);
  if (imputation === 'mean') return meanOf(present, range.count);
  return imputation === 'median' ? medianOf(present, range) : modeOf(present, range.count);
}

function shiftAndScale(cells: RowNumbers, scaling: Scaling): { readonly shift: number; readonly scale: number } {
  switch (scaling) {
    case 'none':
      return { shift: 0, scale: 1 };
    case 'standard': {
      const { mean, deviation } = meanAndDeviationOf(cells, cells.rows.length);
      return { shift: mean, scale: deviation };
    }
    case 'min_max': {
      const { minimum, maximum } = rangeOf(cells);
      return { shift: minimum, scale: maximum - minimum };
    }
    case 'robust': {
      const [first, middle, third] = quantilesOf(cells, rangeOf(cells), [0.25, 0.5, 0.75]) as [number, number, number];
      return { shift: middle, scale: third - first };
    }
  }
}

/** The numeric imputation that applies to a column. @throws E_USAGE when a text is to replace a missing number */
export function numericImputation(name: string, imputation: unknown): NumericImputation {
  if (imputation === 'mean' || imputation === 'median' || imputation === 'mode') return imputation;
  if (typeof imputation === 'object' && imputation !== null && 'constant' in imputation) {
    const { constant } = imputation;
    if (typeof constant === 'number') return { constant };
  }
  throw new TensorkilnError(
    'E_USAGE',
    `[features] wrong imputation of the numeric column "${name}": expected mean, median, mode or {constant: <number>}.`,
  );
}
