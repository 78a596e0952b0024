import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, posix, relative, sep } from 'node:path';
import { createGunzip } from 'node:zlib';
import { TensorkilnError } from '../../errors.js';
import { importOptional } from '../../optional-package.js';
import { readError } from '../csv/byte-source.js';

/** A file and the class that its folder stands for. */
export interface LabeledFile {
  /** Relative to the folder or archive, with forward slashes. */
  readonly path: string;
  /** Name of the folder the file lies in; empty for one right at the top. */
  readonly label: string;
  readonly bytes: Uint8Array;
}

export interface LabeledFilesOptions {
  /** Endings that count, in lower case, such as .txt; others are counted and left out. */
  readonly extensions: readonly string[];
  /** Whether files right at the top, which have no label, count as well; default false. */
  readonly withUnlabeled?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The files of a folder, or of a .tar, .tgz or .tar.gz archive, with the name of the folder each lies in: `pos/001.txt` has the label
 * `pos`. Files right at the top have no label and are left out unless asked for, as are hidden ones and other kinds.
 *
 * @yields folder: in the order of their paths; archive: in its own order
 * @throws E_IO when it cannot be read; E_DATA for an archive that is cut off or damaged, or when the optional package tar-stream is absent
 */
export async function* labeledFiles(path: string, options: LabeledFilesOptions): AsyncGenerator<LabeledFile> {
  const state = await stat(path).catch((cause: unknown) => {
    throw readError(path, cause);
  });
  for await (const file of state.isDirectory() ? filesOf(path, options) : entriesOf(path, options)) {
    if (options.signal?.aborted === true)
      throw new TensorkilnError('E_ABORTED', '[read] reading the files was cancelled.', { cause: options.signal.reason });
    yield file;
  }
}

/** The label of a path, undefined for a file that does not count. */
function labelOf(path: string, { extensions, withUnlabeled = false }: LabeledFilesOptions): string | undefined {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const counts =
    parts.length >= (withUnlabeled ? 1 : 2) &&
    !parts.some((part) => part.startsWith('.')) &&
    extensions.includes(extname(path).toLowerCase());
  return counts ? (parts.at(-2) ?? '') : undefined;
}

async function* filesOf(folder: string, options: LabeledFilesOptions): AsyncGenerator<LabeledFile> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join(posix.sep))
    .sort();
  for (const path of paths) {
    const label = labelOf(path, options);
    if (label !== undefined) yield { path, label, bytes: await readFile(join(folder, path)) };
  }
}

async function* entriesOf(archive: string, options: LabeledFilesOptions): AsyncGenerator<LabeledFile> {
  const tar = await importOptional('tar-stream', () => import('tar-stream'));
  if (tar === undefined) {
    throw new TensorkilnError(
      'E_DATA',
      '[tar] reading archives needs the optional package tar-stream, which is not installed. Install it: npm install tar-stream',
    );
  }
  const raw = createReadStream(archive);
  const extract = tar.extract();
  const source = /\.(tgz|gz)$/i.test(archive) ? raw.pipe(createGunzip()) : raw;
  raw.on('error', (error) => extract.destroy(error));
  source.on('error', (error: Error) => extract.destroy(error));
  source.pipe(extract);
  try {
    for await (const entry of extract) {
      const label = entry.header.type === 'file' ? labelOf(entry.header.name, options) : undefined;
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry) if (label !== undefined) chunks.push(chunk as Uint8Array);
      if (label !== undefined) yield { path: entry.header.name, label, bytes: Buffer.concat(chunks) };
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError(
      'E_DATA',
      `[tar] ${archive}: the archive is cut off or damaged: expected a whole one (${reason}). Copy it again.`,
      {
        cause,
      },
    );
  } finally {
    raw.destroy();
  }
}
