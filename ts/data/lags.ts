/** What a column held in earlier rows, as columns of their own: for tables whose rows follow each other in time. */
import { TensorkilnError } from '../errors.js';
import { asNumbers } from './cast.js';
import { Table, type NumericColumn } from './table.js';

/** Column of numbers, and how many rows back is looked: each gives a column `<name> lag <rows>`. */
export type Lags = Readonly<Record<string, readonly number[]>>;

/** Names of the columns that lags give. */
export function lagNames(lags: Lags): readonly string[] {
  return Object.entries(lags).flatMap(([name, list]) => list.map((lag) => lagName(name, lag)));
}

function lagName(name: string, lag: number): string {
  return `${name} lag ${lag}`;
}

/** Adds lags to the parts of a table as they come, in the order of its rows. The first rows of the table have missing cells. */
export class LagColumns {
  readonly #lags: Lags;
  /** The last numbers of each column, as many as are looked back. */
  readonly #tails = new Map<string, Float64Array>();

  /** @throws E_USAGE for a lag that is no integer >= 1 */
  constructor(lags: Lags) {
    for (const [name, list] of Object.entries(lags)) {
      if (Array.isArray(list) && list.length > 0 && list.every((lag) => Number.isSafeInteger(lag) && lag >= 1)) continue;
      throw new TensorkilnError('E_USAGE', `[lags] wrong lags of "${name}": expected a list of integers >= 1.`);
    }
    this.#lags = lags;
  }

  /** @throws E_DATA for a column that is not there or holds no numbers, and for a name that is taken */
  addTo(table: Table): Table {
    const added = Object.entries(this.#lags).flatMap(([name, list]): NumericColumn[] => {
      const { values } = asNumbers(table.column(name), 'data.lags');
      const most = Math.max(...list);
      const tail = this.#tails.get(name) ?? new Float64Array(most).fill(NaN);
      const columns = list.map((lag) => {
        const own = new Float64Array(values.length);
        for (let row = 0; row < own.length; row++)
          own[row] = (row < lag ? tail[most - lag + row] : values[row - lag]) as number;
        return { kind: 'numeric' as const, name: lagName(name, lag), values: own };
      });
      const next = new Float64Array(most);
      next.set(tail.subarray(Math.min(most, values.length)));
      next.set(values.subarray(Math.max(0, values.length - most)), Math.max(0, most - values.length));
      this.#tails.set(name, next);
      return columns;
    });
    return new Table([...table.columns, ...added], table.rowCount);
  }
}
