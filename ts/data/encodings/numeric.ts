import { TensorkilnError } from '../../errors.js';
import { meanAndDeviation, numericFill, quantile, type NumericImputation, type Scaling } from '../preprocessing-options.js';
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
  const cells = new Float64Array(rows.length);
  const present = new Float64Array(rows.length);
  let count = 0;
  for (let index = 0; index < rows.length; index++) {
    const value = values[rows[index] as number] as number;
    cells[index] = value;
    if (value === value) present[count++] = value;
  }
  const fill = numericFill(name, present.subarray(0, count), fit.imputation);
  if (count < cells.length)
    for (let index = 0; index < cells.length; index++) if (Number.isNaN(cells[index])) cells[index] = fill;
  const { shift, scale } = shiftAndScale(cells, fit.scaling);
  return { kind: 'numeric', name, fill, shift, scale: scale === 0 ? 1 : scale };
}

function shiftAndScale(cells: Float64Array, scaling: Scaling): { readonly shift: number; readonly scale: number } {
  switch (scaling) {
    case 'none':
      return { shift: 0, scale: 1 };
    case 'standard': {
      const { mean, deviation } = meanAndDeviation(cells);
      return { shift: mean, scale: deviation };
    }
    case 'min_max': {
      let [minimum, maximum] = [Infinity, -Infinity];
      for (const cell of cells) [minimum, maximum] = [Math.min(minimum, cell), Math.max(maximum, cell)];
      return { shift: minimum, scale: maximum - minimum };
    }
    case 'robust':
      return { shift: quantile(cells, 0.5), scale: quantile(cells, 0.75) - quantile(cells, 0.25) };
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
