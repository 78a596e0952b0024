import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeFolder, writeFileAtomic } from '../../ts/write-file.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-write-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('writeFileAtomic', () => {
  it('replaces a file whole and leaves nothing beside it', async () => {
    const path = join(folder, 'atomic.txt');
    await writeFileAtomic(path, 'first');
    await writeFileAtomic(path, new TextEncoder().encode('second'));
    expect(readFileSync(path, 'utf8')).toBe('second');
    expect(readdirSync(folder).filter((name) => name.startsWith('atomic'))).toEqual(['atomic.txt']);
  });

  it('keeps the earlier file and removes the temporary one on failure', async () => {
    const path = join(folder, 'occupied');
    mkdirSync(path);
    await expect(writeFileAtomic(path, 'x')).rejects.toMatchObject({ code: 'E_IO', message: expect.stringContaining(path) });
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('makeFolder', () => {
  it('makes the folders above as well, and is content with those that are there', async () => {
    await makeFolder(join(folder, 'a', 'b', 'c'));
    await makeFolder(join(folder, 'a', 'b', 'c'));
    await writeFileAtomic(join(folder, 'a', 'd', 'file'), 'x');
    expect(readdirSync(join(folder, 'a'))).toEqual(['b', 'd']);
  });

  it('fails where a file is in the way, or the system allows no folder', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(makeFolder(join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(makeFolder(join(folder, 'file', 'below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    // The recursive mkdir of Node 20 does not come back from this.
    if (process.platform === 'linux')
      await expect(makeFolder('/proc/tensorkiln/below')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
