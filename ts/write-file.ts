import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TensorkilnError } from './errors.js';

/**
 * Writes a file whole or not at all: under a temporary name in the same folder, flushed to the disk, then renamed over the final name.
 *
 * @param path its folder is made if it is not there
 * @param options `verify`: looks at the written file before it gets its name; what it throws is the reason it does not
 * @throws E_IO with the system's reason; the temporary file is removed and an earlier file of that name is untouched
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: { readonly verify?: (temporary: string) => Promise<void> } = {},
): Promise<void> {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await makeFolder(dirname(path));
    const file = await open(temporary, 'wx');
    try {
      await writeAndSync(file, content);
      await options.verify?.(temporary);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncFolder(dirname(path));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError('E_IO', `[write] cannot write ${path}: ${reason}.`, { cause });
  }
}

/**
 * Makes a folder and those above it.
 *
 * Not `mkdir` with `recursive`: that one never returns where the system answers ENOENT although the parent exists, as /proc does.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeOneFolder(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT') || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await makeOneFolder(path);
  }
}

async function makeOneFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST') || !(await stat(path)).isDirectory()) throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

async function writeAndSync(file: FileHandle, content: string | Uint8Array): Promise<void> {
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the rename itself durable. Windows cannot open a folder for that and does not need it. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
