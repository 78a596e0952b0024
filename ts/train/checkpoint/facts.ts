/** What a run rests on, as flat facts that two runs can be compared by. */
import { createHash } from 'node:crypto';
import { TensorkilnError } from '../../errors.js';

export type Fact = string | number | boolean | null;
export type Facts = Readonly<Record<string, Fact>>;

/** Most differences that one message lists. */
const MAX_SHOWN = 20;

/** Nested plain data as facts with dotted keys. */
export function flatten(value: unknown, prefix = ''): Facts {
  if (typeof value !== 'object' || value === null) {
    const isFact = value === null || ['string', 'number', 'boolean'].includes(typeof value);
    return isFact && prefix !== '' ? { [prefix]: value as Fact } : {};
  }
  const entries = Object.entries(value);
  if (entries.length === 0 && prefix !== '') return { [prefix]: Array.isArray(value) ? '[]' : '{}' };
  return Object.assign({}, ...entries.map(([key, inner]) => flatten(inner, prefix === '' ? key : `${prefix}.${key}`))) as Facts;
}

/** sha256 of arrays' bytes, in order. */
export function digest(arrays: readonly ArrayBufferView[]): string {
  const hash = createHash('sha256');
  for (const array of arrays) hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return hash.digest('hex');
}

/** Refuses to go on from a checkpoint that rests on other facts. @throws E_USAGE listing the differences */
export function compareFacts(file: string, saved: Facts, current: Facts): void {
  const keys = [...new Set([...Object.keys(saved), ...Object.keys(current)])];
  const differences = keys
    .filter((key) => !Object.is(saved[key], current[key]))
    .map((key) => `  ${key}: was ${describe(saved[key])}, is now ${describe(current[key])}`);
  if (differences.length === 0) return;
  const shown = differences.slice(0, MAX_SHOWN);
  if (differences.length > shown.length) shown.push(`  and ${differences.length - shown.length} more`);
  throw new TensorkilnError(
    'E_USAGE',
    `[resume] the checkpoint ${file} belongs to another run: expected the same data and configuration. Restore them, or start a new run.\n${shown.join('\n')}`,
  );
}

function describe(fact: Fact | undefined): string {
  if (fact === undefined) return 'absent';
  if (typeof fact === 'string' && /^[0-9a-f]{64}$/.test(fact)) return `sha256 ${fact.slice(0, 12)}...`;
  return JSON.stringify(fact);
}
