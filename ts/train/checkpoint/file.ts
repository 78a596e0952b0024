/** One checkpoint file: safetensors with a checksum over every byte. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { TensorkilnError } from '../../errors.js';
import { decodeSafetensors, encodeSafetensors, type SafetensorsEntry } from '../../formats/safetensors.js';
import { writeFileAtomic } from '../../write-file.js';

const FORMAT = 'tensorkiln.checkpoint';
const VERSION = '1';
/** Stands where the checksum goes while it is computed. */
const NO_SUM = '0'.repeat(64);
const SUM_FIELD = '"sha256":"';

export interface CheckpointContent {
  readonly tensors: Readonly<Record<string, SafetensorsEntry>>;
  /** Plain data, as JSON can hold it. */
  readonly state: unknown;
}

/**
 * Writes a checkpoint whole or not at all, and reads it back and verifies it before it gets its name.
 *
 * @throws E_IO with the system's reason, such as a full disk; an earlier file of that name is untouched
 */
export async function writeCheckpoint(path: string, { tensors, state }: CheckpointContent): Promise<void> {
  const metadata = { format: FORMAT, version: VERSION, sha256: NO_SUM, state: JSON.stringify(state) };
  const bytes = encodeSafetensors({ tensors, metadata });
  const at = sumPosition(bytes);
  if (at === undefined) throw new TensorkilnError('E_INTERNAL', '[checkpoint] the header has no place for the checksum.');
  const sum = createHash('sha256').update(bytes).digest('hex');
  bytes.set(Buffer.from(sum), at);
  await writeFileAtomic(path, bytes, {
    verify: async (temporary) => {
      verify(await readFile(temporary), temporary);
    },
  });
}

/** @throws E_IO when the file cannot be read; E_DATA when it is damaged: cut short, changed, or no checkpoint */
export async function readCheckpoint(path: string): Promise<CheckpointContent> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new TensorkilnError(
      'E_IO',
      `[checkpoint] cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}.`,
      {
        cause,
      },
    );
  }
  verify(bytes, path);
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  if (metadata['format'] !== FORMAT || metadata['version'] !== VERSION) {
    throw new TensorkilnError(
      'E_DATA',
      `[checkpoint] ${path}: expected ${FORMAT} version ${VERSION}, got ${String(metadata['format'])} version ${String(metadata['version'])}.`,
    );
  }
  return { tensors, state: JSON.parse(metadata['state'] ?? 'null') as unknown };
}

function verify(bytes: Uint8Array, path: string): void {
  const at = sumPosition(bytes);
  if (at === undefined) throw new TensorkilnError('E_DATA', `[checkpoint] ${path}: the file is cut short or is no checkpoint.`);
  const stored = Buffer.from(bytes.subarray(at, at + NO_SUM.length)).toString('latin1');
  const found = createHash('sha256')
    .update(bytes.subarray(0, at))
    .update(NO_SUM)
    .update(bytes.subarray(at + NO_SUM.length))
    .digest('hex');
  if (stored !== found) {
    throw new TensorkilnError('E_DATA', `[checkpoint] ${path}: the content does not fit its checksum: the file is damaged.`);
  }
}

/** Where the checksum's digits stand: `__metadata__` comes first, and in it the fields in the order of writing. */
function sumPosition(bytes: Uint8Array): number | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 512));
  const at = head.indexOf(SUM_FIELD);
  const start = at + SUM_FIELD.length;
  return at < 0 || start + NO_SUM.length > bytes.length ? undefined : start;
}
