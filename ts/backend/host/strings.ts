/** What tfjs asks of strings, on UTF-8 bytes in JavaScript. Pure functions: values in, values out. */
import { util } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';

/** A key under which equal lists of byte strings are found: lengths keep ['ab', 'c'] and ['a', 'bc'] apart. */
function keyOf(strings: readonly Uint8Array[]): string {
  return strings.map((bytes) => `${String(bytes.length)}:${Buffer.from(bytes).toString('latin1')}`).join('');
}

/**
 * The different columns strings[:, j, :] of a tensor seen as [outer, n, inner], in the order of their first appearance.
 *
 * @returns `values` [outer, count, inner]; `ids` [n]: which of them each column is
 */
export function uniqueStrings(
  strings: readonly Uint8Array[],
  outer: number,
  n: number,
  inner: number,
): { values: Uint8Array[]; ids: Int32Array; count: number } {
  const columns = Array.from({ length: n }, (_, j) =>
    Array.from({ length: outer }, (__, o) => strings.slice((o * n + j) * inner, (o * n + j + 1) * inner)),
  );
  const numbers = new Map<string, number>();
  const first: number[] = [];
  const ids = Int32Array.from(columns, (column, j) => {
    const key = keyOf(column.flat());
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, first.length);
    return first.push(j) - 1;
  });
  const values = Array.from({ length: outer }, (_, o) => first.flatMap((j) => columns[j]?.[o] ?? [])).flat();
  return { values, ids, count: first.length };
}

/**
 * Splits each string at every byte of `delimiters`: at none of them between all bytes.
 *
 * @param skipEmpty leaves out empty tokens; an empty string has none in either case
 * @returns tokens of all strings one after the other, their positions [string, token] flat, and [strings, most tokens]
 */
export function splitStrings(
  strings: readonly Uint8Array[],
  delimiters: Uint8Array,
  skipEmpty: boolean,
): { indices: Int32Array; tokens: Uint8Array[]; shape: [number, number] } {
  const rows = strings.map((bytes) => tokensOf(bytes, delimiters, skipEmpty));
  const indices = Int32Array.from(rows.flatMap((tokens, row) => tokens.flatMap((_, column) => [row, column])));
  const widest = rows.reduce((most, tokens) => Math.max(most, tokens.length), 0);
  return { indices, tokens: rows.flat(), shape: [strings.length, widest] };
}

function tokensOf(bytes: Uint8Array, delimiters: Uint8Array, skipEmpty: boolean): Uint8Array[] {
  if (bytes.length === 0) return [];
  if (delimiters.length === 0) return Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
  const tokens: Uint8Array[] = [];
  let start = 0;
  for (let i = 0; i <= bytes.length; ++i) {
    if (i < bytes.length && !delimiters.includes(bytes[i] as number)) continue;
    if (!skipEmpty || i > start) tokens.push(bytes.subarray(start, i));
    start = i + 1;
  }
  return tokens;
}

/** An unsigned 64-bit integer of the package `long`, whose types tfjs-core names but does not bring along. */
interface UnsignedLong {
  modulo(divisor: number): UnsignedLong;
  getLowBitsUnsigned(): number;
}
const fingerprint = util.fingerPrint64 as unknown as (bytes: Uint8Array) => UnsignedLong;

/** FarmHash64 of each string modulo the number of buckets, unsigned. */
export function hashBuckets(strings: readonly Uint8Array[], numBuckets: number): Int32Array {
  return Int32Array.from(strings, (bytes) => fingerprint(bytes).modulo(numBuckets).getLowBitsUnsigned());
}

/** `rewrite` in place of the first match of a regular expression, or of all. JavaScript's syntax for both. */
export function replacePattern(
  strings: readonly Uint8Array[],
  options: { pattern: string; rewrite: string; replaceGlobal: boolean },
): Uint8Array[] {
  const expression = new RegExp(options.pattern, options.replaceGlobal ? 'g' : '');
  return strings.map((bytes) => util.encodeString(util.decodeString(bytes).replace(expression, options.rewrite)));
}

export interface NGramOptions {
  readonly separator: string;
  readonly nGramWidths: readonly number[];
  readonly leftPad: string;
  readonly rightPad: string;
  /** Pads on each side; -1: one less than the width. Never more than that. */
  readonly padWidth: number;
  /** A row too short for any n-gram becomes one as it is. */
  readonly preserveShortSequences: boolean;
}

/**
 * N-grams of every row of a ragged list of strings: all of the first width, then all of the second, and so on.
 *
 * @param tokens strings of all rows
 * @param splits row i is tokens[splits[i]] to tokens[splits[i + 1]]
 * @throws E_SHAPE when the splits do not run from 0 to the number of strings without falling
 */
export function nGrams(
  tokens: readonly Uint8Array[],
  splits: ArrayLike<number>,
  options: NGramOptions,
): { grams: Uint8Array[]; splits: Int32Array } {
  checkSplits(splits, tokens.length);
  const gramSplits = new Int32Array(splits.length);
  if (tokens.length === 0 || splits.length === 0) return { grams: [], splits: gramSplits };
  const join = joiner(options);
  const grams: Uint8Array[] = [];
  for (let row = 0; row + 1 < splits.length; ++row) {
    const words = tokens.slice(splits[row], splits[row + 1]);
    const before = grams.length;
    for (const width of options.nGramWidths) {
      const pads = Math.min(options.padWidth < 0 ? width - 1 : options.padWidth, width - 1);
      for (let start = -pads; start + width <= words.length + pads; ++start) grams.push(join(words, start, width));
    }
    if (options.preserveShortSequences && grams.length === before && words.length > 0) {
      const pads = Math.max(0, options.padWidth);
      grams.push(join(words, -pads, words.length + 2 * pads));
    }
    gramSplits[row + 1] = grams.length;
  }
  return { grams, splits: gramSplits };
}

/** Joins the words from `start` on, with pads where there are none. */
function joiner(options: NGramOptions): (words: readonly Uint8Array[], start: number, width: number) => Uint8Array {
  const [separator, left, right] = [options.separator, options.leftPad, options.rightPad].map((text) =>
    util.encodeString(text),
  ) as [Uint8Array, Uint8Array, Uint8Array];
  return (words, start, width) => {
    const pieces: Uint8Array[] = [];
    for (let i = start; i < start + width; ++i) {
      if (i > start) pieces.push(separator);
      pieces.push(i < 0 ? left : i >= words.length ? right : (words[i] as Uint8Array));
    }
    return new Uint8Array(Buffer.concat(pieces));
  };
}

function checkSplits(splits: ArrayLike<number>, size: number): void {
  if (splits.length === 0) return;
  const fail = (text: string): never => {
    throw new TensorkilnError('E_SHAPE', text);
  };
  if (splits[0] !== 0) fail(`First split value must be 0, got ${String(splits[0])}`);
  for (let i = 1; i < splits.length; ++i) {
    const [before, split] = [splits[i - 1] as number, splits[i] as number];
    if (split < before || split > size) {
      fail(`Invalid split value ${String(split)}, must be in [${String(before)}, ${String(size)}]`);
    }
  }
  const last = splits[splits.length - 1] as number;
  if (last !== size) fail(`Last split value must be data size. Expected ${String(size)}, got ${String(last)}`);
}
