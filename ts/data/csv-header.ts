import { open, stat } from 'node:fs/promises';
import { TensorkilnError } from '../errors.js';

/** What the first line of a CSV file says about the rest. */
export interface CsvHeader {
  readonly delimiter: string;
  /** Trimmed, distinct, never empty: a nameless column is called column_<place, from 1>. */
  readonly names: readonly string[];
}

const DELIMITERS = [',', ';', '\t', '|'] as const;

/** A header longer than this is taken for a file that is not a table. */
const MAX_HEADER_BYTES = 1 << 20;

/**
 * Reads the first line: column names, and the delimiter (of comma, semicolon, tab and bar the one that comes most often outside quotes).
 *
 * @throws E_IO when the file is absent or unreadable; E_DATA when it is empty, not UTF-8 text, has repeated names or a first line of numbers
 */
export async function readCsvHeader(path: string): Promise<CsvHeader> {
  const bytes = await readStart(path);
  if (bytes.length === 0)
    throw new TensorkilnError('E_DATA', `[csv] ${path}: the file is empty: expected a header line with column names.`);
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new TensorkilnError('E_DATA', `[csv] ${path}: the file is UTF-16: expected UTF-8. Save it as "CSV UTF-8".`);
  }
  const line = firstRecord(bytes, path);
  const delimiter = mostFrequent(line);
  const names = splitRecord(line, delimiter).map((name, index) => (name.trim() === '' ? `column_${index + 1}` : name.trim()));
  checkNames(names, path);
  return { delimiter, names };
}

async function readStart(path: string): Promise<Uint8Array> {
  try {
    if ((await stat(path)).isDirectory()) throw new TensorkilnError('E_IO', `[csv] ${path} is a folder: expected a file.`);
    const file = await open(path, 'r');
    try {
      const buffer = new Uint8Array(MAX_HEADER_BYTES);
      const { bytesRead } = await file.read(buffer, 0, MAX_HEADER_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof TensorkilnError) throw cause;
    const reason = hasCode(cause, 'ENOENT') ? 'there is no such file' : cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError('E_IO', `[csv] cannot read ${path}: ${reason}.`, { cause });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Text up to the first line end outside quotes. */
function firstRecord(bytes: Uint8Array, path: string): string {
  const quote = 0x22;
  let quoted = false;
  let end = 0;
  for (; end < bytes.length; end++) {
    const byte = bytes[end];
    if (byte === quote) quoted = !quoted;
    else if (!quoted && (byte === 0x0a || byte === 0x0d)) break;
  }
  if (end === MAX_HEADER_BYTES || quoted) {
    throw new TensorkilnError(
      'E_DATA',
      `[csv] ${path}: no header line: expected column names in the first ${MAX_HEADER_BYTES} bytes, closed quotes.`,
    );
  }
  try {
    // TextDecoder drops a byte order mark.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end));
  } catch (cause) {
    throw new TensorkilnError('E_DATA', `[csv] ${path}: line 1 is not UTF-8 text. Save the file as "CSV UTF-8".`, { cause });
  }
}

function mostFrequent(line: string): string {
  let best: string = DELIMITERS[0];
  let bestCount = 0;
  for (const delimiter of DELIMITERS) {
    const count = splitRecord(line, delimiter).length - 1;
    if (count > bestCount) {
      best = delimiter;
      bestCount = count;
    }
  }
  return best;
}

/** Fields of one record after RFC 4180: quotes round a field, two quotes inside one for a quote. */
function splitRecord(line: string, delimiter: string): string[] {
  const fields: string[] = [];
  let field = '';
  let quoted = false;
  for (let index = 0; index < line.length; index++) {
    const character = line.charAt(index);
    if (character === '"') {
      if (quoted && line[index + 1] === '"') {
        field += '"';
        index++;
      } else {
        quoted = !quoted;
      }
    } else if (character === delimiter && !quoted) {
      fields.push(field);
      field = '';
    } else {
      field += character;
    }
  }
  fields.push(field);
  return fields;
}

function checkNames(names: readonly string[], path: string): void {
  if (names.every((name) => Number.isFinite(Number(name)))) {
    throw new TensorkilnError('E_DATA', `[csv] ${path}: line 1 holds only numbers: expected column names there.`);
  }
  const seen = new Map<string, number>();
  names.forEach((name, index) => {
    const earlier = seen.get(name);
    if (earlier !== undefined) {
      throw new TensorkilnError(
        'E_DATA',
        `[csv] ${path}: columns ${earlier + 1} and ${index + 1} have the same name "${name}". Rename one.`,
      );
    }
    seen.set(name, index);
  });
}
