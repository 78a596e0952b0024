/** A running text as tokens, for models of language. */
import { TensorkilnError } from '../errors.js';
import { TextDecoder } from 'node:util';
import { checkTextConfig } from './check-config.js';
import { openText } from './csv/byte-source.js';
import type { PartName } from './prepare.js';
import { checkShares, type SplitShares } from './split.js';

export interface TextConfig {
  /** A text file, also gzip. */
  readonly path: string;
  /** Default: what a byte order mark says, else utf-8. */
  readonly encoding?: string;
  /** A second text that is the test part; the shares of training and validation then divide the first. */
  readonly testPath?: string;
  /** The beginning of the text trains, what follows it validates, the end tests. Default 0.7, 0.15 and 0.15. */
  readonly split?: SplitShares;
  /** Characters a model sees before the one it predicts, >= 1. */
  readonly contextLength: number;
}

/** A text made ready for training. Token 0 stands for every character that the training part does not hold. */
export interface PreparedText {
  /** Characters (code points) of the training part in their order; that of token i stands at i - 1. */
  readonly vocabulary: readonly string[];
  readonly parts: Readonly<Record<PartName, Int32Array>>;
  /** Characters of each part that the training part does not hold. */
  readonly unknown: Readonly<Record<PartName, number>>;
  readonly contextLength: number;
}

/**
 * Reads a text and makes tokens of its characters; the vocabulary is that of the training part alone.
 *
 * @throws E_CONFIG for a key or value that is none of these; E_IO when a file cannot be read; E_DATA for bytes that are no text, and for a part too short for one context; E_USAGE for an
 *         unknown encoding or wrong shares; E_ABORTED
 */
export async function prepareText(config: TextConfig, options: { readonly signal?: AbortSignal } = {}): Promise<PreparedText> {
  const { contextLength, split, testPath } = checkTextConfig(config);
  checkShares(split);
  const codeOf = new Map<string, number>();
  const first = await readCharacters(config.path, config.encoding, codeOf, options.signal);
  const second = testPath === undefined ? undefined : await readCharacters(testPath, config.encoding, codeOf, options.signal);
  const whole = second === undefined ? 1 : split.train + split.validation;
  const trainEnd = Math.round((first.length * split.train) / whole);
  const validationEnd = Math.round((first.length * (split.train + split.validation)) / whole);
  const raw: Record<PartName, Int32Array> = {
    train: first.subarray(0, trainEnd),
    validation: first.subarray(trainEnd, validationEnd),
    test: second ?? first.subarray(validationEnd),
  };
  for (const [name, part] of Object.entries(raw)) checkLength(config, name as PartName, part.length);
  const vocabulary = charactersOf(raw.train, codeOf);
  // The first number a character got, to its token.
  const tokens = new Int32Array(codeOf.size);
  vocabulary.forEach((character, index) => {
    tokens[codeOf.get(character) as number] = index + 1;
  });
  const renumber = (part: Int32Array): Int32Array => part.map((code) => tokens[code] as number);
  const parts = { train: renumber(raw.train), validation: renumber(raw.validation), test: renumber(raw.test) };
  const countUnknown = (part: Int32Array): number => part.reduce((count, token) => count + (token === 0 ? 1 : 0), 0);
  return {
    vocabulary,
    parts,
    unknown: { train: 0, validation: countUnknown(parts.validation), test: countUnknown(parts.test) },
    contextLength,
  };
}

/** A part must hold one whole context and what follows it; a validation part may be left out. */
function checkLength({ path, testPath, contextLength }: TextConfig, name: PartName, length: number): void {
  if (length > contextLength || (name === 'validation' && length === 0)) return;
  const file = name === 'test' ? (testPath ?? path) : path;
  throw new TensorkilnError(
    'E_DATA',
    `[text] ${file}: the ${name} part is too short: expected more than the ${contextLength} characters of data.context_length, got ${length}. Shorten the context, or give more text.`,
  );
}

function charactersOf(part: Int32Array, codeOf: ReadonlyMap<string, number>): readonly string[] {
  const isThere = new Uint8Array(codeOf.size);
  for (const code of part) isThere[code] = 1;
  return [...codeOf.keys()]
    .filter((character) => isThere[codeOf.get(character) as number] === 1)
    .sort((a, b) => (a.codePointAt(0) as number) - (b.codePointAt(0) as number));
}

const CHUNK_BYTES = 1 << 20;

/** The characters of a file as numbers, in the order of their first coming. */
async function readCharacters(
  path: string,
  encoding: string | undefined,
  codeOf: Map<string, number>,
  signal: AbortSignal | undefined,
): Promise<Int32Array> {
  const source = await openText(path, encoding);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const chunk = new Uint8Array(CHUNK_BYTES);
  let codes = new Int32Array(Math.max(1, source.sizeBytes));
  let count = 0;
  let position = 0;
  const add = (text: string): void => {
    for (const character of text) {
      let code = codeOf.get(character);
      if (code === undefined) codeOf.set(character, (code = codeOf.size));
      if (count === codes.length) {
        const wide = new Int32Array(2 * codes.length);
        wide.set(codes);
        codes = wide;
      }
      codes[count++] = code;
    }
  };
  try {
    for (;;) {
      if (signal?.aborted === true)
        throw new TensorkilnError('E_ABORTED', '[text] reading the text was cancelled.', { cause: signal.reason });
      const read = await source.read(chunk);
      add(decodeText(decoder, read === 0 ? undefined : chunk.subarray(0, read), path, position));
      if (read === 0) break;
      position += read;
    }
    await source.checkUnchanged();
  } finally {
    await source.close();
  }
  return codes.slice(0, count);
}

function decodeText(decoder: TextDecoder, bytes: Uint8Array | undefined, path: string, position: number): string {
  try {
    return decoder.decode(bytes, { stream: bytes !== undefined });
  } catch (cause) {
    throw new TensorkilnError(
      'E_DATA',
      `[text] ${path}: not UTF-8 text near byte ${position}: expected UTF-8. Set data.csv.encoding to the file's own, such as windows-1252.`,
      { cause },
    );
  }
}
