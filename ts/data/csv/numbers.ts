/** Decimal numbers as tables spell them: 1, -2.5, .5, 1e-3. Infinity, hexadecimal and digit separators are not numbers here. */
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const LEADING_ZERO = /^[+-]?0\d+$/;

export interface NumberSpelling {
  /** Decimal sign; default '.'. */
  readonly decimal?: string;
  /** Sign between groups of three digits; default '' for none. */
  readonly thousands?: string;
}

/**
 * The number a cell spells, or undefined.
 *
 * With `thousands`, groups must be of three digits: "1,234,567.8" is a number, "1,23" is not. The result is the nearest float64; a number
 * beyond its range gives an infinity.
 */
export function parseNumber(cell: string, spelling: NumberSpelling = {}): number | undefined {
  let text = cell;
  const { decimal = '.', thousands = '' } = spelling;
  if (thousands !== '' && text.includes(thousands)) {
    const [whole = '', ...rest] = text.split(decimal);
    const groups = whole.replace(/^[+-]/, '').split(thousands);
    const grouped = groups.every((group, index) => (index === 0 ? /^\d{1,3}$/ : /^\d{3}$/).test(group));
    if (!grouped) return undefined;
    text = [whole.replaceAll(thousands, ''), ...rest].join(decimal);
  }
  if (decimal !== '.') {
    if (text.includes('.')) return undefined;
    text = text.replace(decimal, '.');
  }
  return NUMBER.test(text) ? Number(text) : undefined;
}

/** Whether digits begin with a zero that a number would lose, as in the postcode 01234. */
export function hasLeadingZero(cell: string): boolean {
  return LEADING_ZERO.test(cell);
}

/** Whether an integer is too large for float64 to tell it from its neighbours. */
export function isInexactInteger(value: number): boolean {
  return Math.abs(value) > Number.MAX_SAFE_INTEGER && Number.isInteger(value);
}
