import { TensorkilnError } from '../../errors.js';
import type { TextOptions } from '../feature-options.js';
import type { ColumnFill } from '../fill.js';
import { noTrainingValue } from '../preprocessing-options.js';
import { asCategories } from '../cast.js';
import type { Column } from '../table.js';
import type { EncodingOf } from './schemas.js';

export type TextEncoding = EncodingOf<'bag' | 'sequence'>;

const DEFAULT_MAX_TOKENS = 2000;
const DEFAULT_MIN_ROWS = 2;
const MAX_DEFAULT_LENGTH = 256;
/** Token numbers that stand for no token of the vocabulary. */
const PADDING = 0;
const UNKNOWN = 1;
const FIRST_TOKEN = 2;

/**
 * The vocabulary of the training rows: the tokens that most rows hold, ties in alphabetical order.
 *
 * Words are runs of letters and digits with inner apostrophes, in any script. A bag may also hold runs of neighbouring tokens, and
 * weighs each by what its count comes to (itself, 1 + ln of it, or 1) times ln((1 + rows) / (1 + rows with it)) + 1, each row scaled
 * to length 1.
 *
 * @throws E_DATA when the training rows hold no token that is frequent enough; E_USAGE for a sequence with options of a bag
 * @source the smoothed tf-idf of scikit-learn's TfidfVectorizer, with its ngram_range from 1, sublinear_tf and binary
 */
export function fitText(raw: Column, rows: Int32Array, options: TextOptions = {}): TextEncoding {
  const { level = 'word', lowercase = true, maxTokens = DEFAULT_MAX_TOKENS, minRows = DEFAULT_MIN_ROWS } = options;
  const { ngrams = 1, counts = 'plain' } = options;
  const column = asCategories(raw, false);
  const { name } = column;
  const rowsOf = new Int32Array(column.categories.length);
  for (const row of rows) {
    const code = column.codes[row] as number;
    if (code >= 0) rowsOf[code] = (rowsOf[code] as number) + 1;
  }
  const frequency = new Map<string, number>();
  let longest = 1;
  column.categories.forEach((text, code) => {
    const count = rowsOf[code] as number;
    if (count === 0) return;
    const tokens = tokenize(text, { level, lowercase });
    longest = Math.max(longest, tokens.length);
    for (const token of new Set(runsOf(tokens, level, ngrams))) frequency.set(token, (frequency.get(token) ?? 0) + count);
  });
  const kept = [...frequency]
    .filter(([, count]) => count >= minRows)
    .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
    .slice(0, maxTokens);
  if (kept.length === 0) throw noTrainingValue(name);
  const base = { name, level, lowercase, vocabulary: kept.map(([token]) => token) };
  if (options.encoding === 'sequence') {
    if (options.ngrams !== undefined || options.counts !== undefined) {
      const found = options.ngrams === undefined ? 'counts' : 'ngrams';
      throw new TensorkilnError(
        'E_USAGE',
        `[text] "${name}" has ${found}: expected them only with encoding bag, got sequence.`,
      );
    }
    const { padding = 'end', truncation = 'end', length = Math.min(longest, MAX_DEFAULT_LENGTH) } = options;
    return { kind: 'sequence', ...base, length, padding, truncation };
  }
  return { kind: 'bag', ...base, ngrams, counts, idf: kept.map(([, count]) => Math.log((1 + rows.length) / (1 + count)) + 1) };
}

export function textNames(encoding: TextEncoding): readonly string[] {
  return encoding.kind === 'bag'
    ? encoding.vocabulary.map((token) => `${encoding.name}:${token}`)
    : Array.from({ length: encoding.length }, (_, place) => `${encoding.name}[${place}]`);
}

export function planText(encoding: TextEncoding, raw: Column, offset: number): ColumnFill {
  const { codes, categories } = asCategories(raw, false);
  const placeOf = new Map(encoding.vocabulary.map((token, place) => [token, place]));
  const placesOf = (tokens: readonly string[]): number[] => tokens.map((token) => placeOf.get(token) ?? -1);
  if (encoding.kind === 'sequence') {
    const texts = categories.map((text) => placesOf(tokenize(text, encoding)));
    const table = Float32Array.from([...texts, []].flatMap((tokens) => sequenceOf(tokens, encoding)));
    return { kind: 'lookup', offset, width: encoding.length, codes, table };
  }
  const rows = categories.map((text) =>
    bagOf(placesOf(runsOf(tokenize(text, encoding), encoding.level, encoding.ngrams)), encoding),
  );
  const starts = new Int32Array(rows.length + 1);
  rows.forEach((row, index) => {
    starts[index + 1] = (starts[index] as number) + row.length;
  });
  const entries = rows.flat();
  return {
    kind: 'sparse',
    offset,
    codes,
    starts,
    places: Int32Array.from(entries, ([place]) => place),
    weights: Float32Array.from(entries, ([, weight]) => weight),
  };
}

/** Words or characters of a text, in reading order. */
export function tokenize(
  text: string,
  { level, lowercase }: { readonly level: 'word' | 'character'; readonly lowercase: boolean },
): string[] {
  const folded = lowercase ? text.toLowerCase() : text;
  return level === 'character' ? Array.from(folded) : (folded.match(/[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*/gu) ?? []);
}

/** The tokens and their runs of up to so many neighbours; words are joined by a blank, which is in no word. */
function runsOf(tokens: readonly string[], level: TextEncoding['level'], longest: number): readonly string[] {
  if (longest === 1) return tokens;
  const between = level === 'word' ? ' ' : '';
  const runs = [...tokens];
  for (let length = 2; length <= longest; length++)
    for (let start = 0; start + length <= tokens.length; start++) runs.push(tokens.slice(start, start + length).join(between));
  return runs;
}

function sequenceOf(tokens: readonly number[], { length, padding, truncation }: EncodingOf<'sequence'>): number[] {
  const cut = truncation === 'end' ? tokens.slice(0, length) : tokens.slice(-length);
  const numbers = cut.map((place) => (place < 0 ? UNKNOWN : place + FIRST_TOKEN));
  const rest = new Array<number>(length - numbers.length).fill(PADDING);
  return padding === 'end' ? [...numbers, ...rest] : [...rest, ...numbers];
}

const COUNTS = {
  plain: (count: number): number => count,
  sublinear: (count: number): number => 1 + Math.log(count),
  binary: (): number => 1,
} as const;

function bagOf(tokens: readonly number[], { idf, counts }: EncodingOf<'bag'>): (readonly [place: number, weight: number])[] {
  const found = new Map<number, number>();
  for (const place of tokens) if (place >= 0) found.set(place, (found.get(place) ?? 0) + 1);
  const weighted = [...found].map(([place, count]) => [place, COUNTS[counts](count) * (idf[place] ?? 0)] as const);
  const norm = Math.hypot(...weighted.map(([, weight]) => weight));
  return weighted.map(([place, weight]) => [place, weight / norm] as const);
}
