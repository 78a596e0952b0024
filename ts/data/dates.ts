/** Days since 1970-01-01 00:00 UTC, with the time of day as the fraction. */
export type EpochDays = number;

/** The order of day, month and year in a column of dates. */
export type DateOrder = 'ymd' | 'dmy' | 'mdy';

const MS_PER_DAY = 86_400_000;
const TIME = String.raw`(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?`;
const YEAR_FIRST = new RegExp(String.raw`^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})${TIME}$`);
const YEAR_LAST = new RegExp(String.raw`^(\d{1,2})([-/.])(\d{1,2})\2(\d{4})${TIME}$`);

/**
 * The point in time that a cell names: 2024-03-01, 2024/3/1, 01.03.2024, 3/1/2024, each also with a time of day and a zone; without a
 * zone it is UTC. Undefined for other text and for days that do not exist.
 *
 * @param order `ymd` for cells that begin with the year, `dmy` or `mdy` for those that end with it
 */
export function parseDate(cell: string, order: DateOrder): EpochDays | undefined {
  const match = (order === 'ymd' ? YEAR_FIRST : YEAR_LAST).exec(cell);
  if (match === null) return undefined;
  const [, a = '', , b = '', c = ''] = match;
  const [year, month, day] = order === 'ymd' ? [a, b, c] : order === 'dmy' ? [c, b, a] : [c, a, b];
  const [hours, minutes, seconds] = [match[5], match[6], match[7]].map((part) => Number(part ?? 0)) as [number, number, number];
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const back = new Date(date);
  // Date.UTC carries the 31st of a shorter month over into the next.
  if (back.getUTCMonth() !== Number(month) - 1 || back.getUTCDate() !== Number(day)) return undefined;
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const milliseconds = ((hours * 60 + minutes) * 60 + seconds + Number(match[8] ?? 0)) * 1000;
  return (date + milliseconds - zoneMinutes(match[9]) * 60_000) / MS_PER_DAY;
}

/** The one order in which all cells are dates; undefined when there is none, or when days and months cannot be told apart. */
export function dateOrder(cells: readonly string[]): DateOrder | undefined {
  if (cells.length === 0) return undefined;
  const fits = (['ymd', 'dmy', 'mdy'] as const).filter((order) => cells.every((cell) => parseDate(cell, order) !== undefined));
  if (fits.length === 1) return fits[0];
  // 01.03.2024 with dots is written day first; with slashes both orders are in use, so nothing is guessed.
  return fits.includes('dmy') && cells.every((cell) => cell.includes('.')) ? 'dmy' : undefined;
}

function zoneMinutes(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const sign = zone.startsWith('-') ? -1 : 1;
  // PostgreSQL leaves the minutes out of a zone of whole hours.
  return sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.length > 3 ? zone.slice(-2) : 0));
}
