import { fromCategories } from '../cast.js';
import { dateOrder, parseDate, type DateOrder } from '../dates.js';
import type { DatePart } from '../feature-options.js';
import type { ColumnFill } from '../fill.js';
import { TensorkilnError } from '../../errors.js';
import type { Column, NumericColumn } from '../table.js';
import { fitNumeric, type NumericFit } from './numeric.js';
import type { EncodingOf } from './schemas.js';

export type DateEncoding = EncodingOf<'date'>;
type Part = DateEncoding['parts'][number]['part'];

const DAYS_PER_YEAR = 365.2425;
/** 1970-01-01 was a Thursday; weeks are counted from Monday. */
const FIRST_WEEKDAY = 3;

const PARTS: Readonly<Record<Part, (days: number) => number>> = {
  days: (days) => days,
  year_sin: (days) => Math.sin((2 * Math.PI * days) / DAYS_PER_YEAR),
  year_cos: (days) => Math.cos((2 * Math.PI * days) / DAYS_PER_YEAR),
  week_sin: (days) => Math.sin((2 * Math.PI * (Math.floor(days) + FIRST_WEEKDAY)) / 7),
  week_cos: (days) => Math.cos((2 * Math.PI * (Math.floor(days) + FIRST_WEEKDAY)) / 7),
  day_sin: (days) => Math.sin(2 * Math.PI * days),
  day_cos: (days) => Math.cos(2 * Math.PI * days),
};

const GROUPS: Readonly<Record<DatePart, readonly Part[]>> = {
  trend: ['days'],
  year: ['year_sin', 'year_cos'],
  week: ['week_sin', 'week_cos'],
  day: ['day_sin', 'day_cos'],
};

/**
 * A date as days since 1970, and its place in the year and the week as points on a circle; also its place in the day when the training
 * rows hold times of day. All parts are imputed and scaled as numeric columns are.
 *
 * @throws E_DATA when there is no date among the rows, or days and months cannot be told apart
 */
export function fitDate(
  column: Column,
  rows: Int32Array,
  fit: NumericFit & { readonly order: DateOrder | undefined; readonly groups?: readonly DatePart[] | undefined },
): DateEncoding {
  const { name } = column;
  const order = fit.order ?? orderOf(column);
  const days = asDays(column, order);
  // Written so that a missing date, NaN, says no.
  const hasTimes = rows.some((row) => Math.abs((days.values[row] as number) % 1) > 0);
  const groups = fit.groups ?? (hasTimes ? ['trend', 'year', 'week', 'day'] : ['trend', 'year', 'week']);
  const names = (Object.keys(GROUPS) as DatePart[]).flatMap((group) => (groups.includes(group) ? GROUPS[group] : []));
  const parts = names.map((part) => {
    const { fill, shift, scale } = fitNumeric(name, days.values.map(PARTS[part]), rows, fit);
    return { part, fill, shift, scale };
  });
  return { kind: 'date', name, order, parts };
}

export function dateNames({ name, parts }: DateEncoding): readonly string[] {
  return parts.map(({ part }) => `${name}.${part}`);
}

export function planDate({ order, parts }: DateEncoding, column: Column, offset: number): readonly ColumnFill[] {
  const days = asDays(column, order);
  return parts.map(({ part, fill, shift, scale }, index) => ({
    kind: 'numeric',
    offset: offset + index,
    values: days.values.map(PARTS[part]),
    fill,
    shift,
    scale,
  }));
}

/** A column of dates as days since 1970. @throws E_DATA when a present cell is no date in that order */
export function asDays(column: Column, order: DateOrder): NumericColumn {
  if (column.kind === 'numeric') {
    if (column.values.every(Number.isNaN)) return column;
    throw new TensorkilnError(
      'E_DATA',
      `[data] column "${column.name}" is of another type: expected dates such as 2024-03-01, got numbers. Set features.${column.name} to numeric.`,
    );
  }
  return fromCategories(column, {
    place: 'data',
    convert: (category) => parseDate(category, order),
    expected: `dates in the order ${order}`,
    remedy: `Add the spelling of missing cells to data.na_values, or set features.${column.name}.date_order`,
  });
}

export function orderOf(column: Column): DateOrder {
  const order = column.kind === 'categorical' ? dateOrder(column.categories) : undefined;
  if (order !== undefined) return order;
  throw new TensorkilnError(
    'E_DATA',
    `[features] column "${column.name}" has no clear order of day and month: expected dates such as 2024-03-01. Set features.${column.name}.date_order to ymd, dmy or mdy.`,
  );
}
