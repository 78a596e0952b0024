import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { TensorkilnError } from '../errors.js';

/**
 * Writes a file whole or not at all: under a temporary name in the same folder, flushed to the disk, then renamed. The
 * folder is made if it is not there.
 *
 * @throws E_IO naming the path; nothing of the attempt is left
 */
export async function writeFileWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'wx');
    try {
      await fill(file, bytes);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new TensorkilnError('E_IO', `[export] cannot write '${path}': ${text}`, { cause: error });
  }
}

async function fill(file: FileHandle, bytes: Uint8Array): Promise<void> {
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
