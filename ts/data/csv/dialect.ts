import { TensorkilnError } from '../../errors.js';

/** How a CSV file is written. Everything left out is found out from the file, or has the default named. */
export interface CsvOptions {
  /** One ASCII character; default: of comma, semicolon, tab and bar the one that comes most often in the first line. */
  readonly delimiter?: string;
  /** One ASCII character, or '' for a file without quoting; default '"'. Two inside a quoted cell stand for one. */
  readonly quote?: string;
  /** The decimal sign, '.' or ','; default: ',' when the delimiter is another sign and the first rows say so, else '.'. */
  readonly decimal?: string;
  /** The sign between groups of three digits, such as ',' or '.' or ' ' or "'"; default '' for none: "1,234" is then text. */
  readonly thousands?: string;
  /** Any name TextDecoder knows; default: what a byte order mark says, else utf-8. */
  readonly encoding?: string;
  /** Whether the first line holds column names; default: yes unless `names` are given. */
  readonly header?: boolean;
  /** Column names, in place of those in the first line. */
  readonly names?: readonly string[];
}

/** A dialect in bytes of UTF-8 text; -1 for a sign that is not in use. */
export interface ByteDialect {
  readonly delimiter: number;
  readonly quote: number;
  readonly decimal: number;
  readonly thousands: number;
}

export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const TAB = 0x09;

const DELIMITERS = [',', ';', '\t', '|'] as const;

/** The byte of a one-character option. @throws E_USAGE */
export function signByte(option: string, sign: string | undefined, fallback: number): number {
  if (sign === undefined) return fallback;
  if (sign === '') return -1;
  const code = sign.charCodeAt(0);
  if (sign.length !== 1 || code > 0x7f || code === LF || code === CR) {
    throw new TensorkilnError(
      'E_USAGE',
      `[csv] invalid ${option}: expected one ASCII character, got ${JSON.stringify(sign)} (${sign.length} characters).`,
    );
  }
  return code;
}

/** The delimiter that comes most often outside quotes in the first record; comma when none does. */
export function guessDelimiter(firstRecord: string, quote: number): number {
  const counts = DELIMITERS.map((delimiter) => splitRecord(firstRecord, delimiter.charCodeAt(0), quote).length);
  const most = Math.max(...counts);
  return (DELIMITERS[counts.indexOf(most)] ?? ',').charCodeAt(0);
}

/** Fields of one record: quotes round a field, two quotes inside one for a quote; blanks at both ends dropped. */
export function splitRecord(record: string, delimiter: number, quote: number): string[] {
  const fields: string[] = [];
  let field = '';
  let quoted = false;
  for (let index = 0; index < record.length; index++) {
    const code = record.charCodeAt(index);
    if (code === quote) {
      if (quoted && record.charCodeAt(index + 1) === quote) {
        field += record.charAt(index);
        index++;
      } else {
        quoted = !quoted;
      }
    } else if (code === delimiter && !quoted) {
      fields.push(field.trim());
      field = '';
    } else {
      field += record.charAt(index);
    }
  }
  fields.push(field.trim());
  return fields;
}

/**
 * Whether cells of a sample are numbers with a decimal comma: at least one such cell, and none with a decimal point.
 *
 * @param cells distinct present cells of the first rows
 */
export function hasDecimalComma(cells: Iterable<string>): boolean {
  let commas = 0;
  for (const cell of cells) {
    if (/^[+-]?\d+\.\d+$/.test(cell)) return false;
    if (/^[+-]?\d+,\d+$/.test(cell)) commas++;
  }
  return commas > 0;
}

/** Checks that no sign has two meanings in one place: inside quotes the delimiter may be a decimal or thousands sign. @throws E_USAGE */
export function checkDialect({ delimiter, quote, decimal, thousands }: ByteDialect): void {
  const clash = delimiter === quote ? ['delimiter', 'quote'] : decimal === thousands ? ['decimal', 'thousands'] : undefined;
  if (clash === undefined) return;
  const sign = JSON.stringify(String.fromCharCode(delimiter === quote ? delimiter : decimal));
  throw new TensorkilnError(
    'E_USAGE',
    `[csv] one sign has two meanings: expected ${clash.join(' and ')} to differ, got ${sign} for both.`,
  );
}
