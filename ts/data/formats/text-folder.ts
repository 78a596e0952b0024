import { isUtf8 } from 'node:buffer';
import { TensorkilnError } from '../../errors.js';
import { categoricalColumn, Table } from '../table.js';
import { labeledFiles } from './labeled-files.js';

const TEXT_EXTENSIONS = ['.txt', '.text', '.md', '.html'];

/**
 * A table of texts: one row a file, columns `text` and `label`, the label being the folder the file lies in.
 *
 * Files that are not UTF-8 are read as windows-1252, in which every byte stands for something.
 *
 * @param path a folder, or a .tar, .tgz or .tar.gz archive
 * @throws E_IO; E_DATA when there are no labelled texts, or the archive is damaged; E_ABORTED
 */
export async function readTextFolder(path: string, signal?: AbortSignal): Promise<Table> {
  const texts: string[] = [];
  const labels: string[] = [];
  for await (const file of labeledFiles(path, { extensions: TEXT_EXTENSIONS, ...(signal === undefined ? {} : { signal }) })) {
    texts.push(decodeText(file.bytes));
    labels.push(file.label);
  }
  if (texts.length === 0) {
    throw new TensorkilnError(
      'E_DATA',
      `[text folder] ${path}: no texts: expected files such as positive/1.txt, their folder being the label, ending with one of ${TEXT_EXTENSIONS.join(', ')}. For images in folders set data.image, in code use prepareImages.`,
    );
  }
  return new Table([categoricalColumn('text', texts), categoricalColumn('label', labels)], texts.length);
}

/** A part ends at either: files are short as a rule, and one long file must not meet a thousand others. */
const FILES_IN_PART = 1024;
const BYTES_IN_PART = 16 << 20;

/**
 * The texts of a folder or archive in parts, in order: columns `path`, `text` and `label`. Files right at the top count too; their label is
 * missing.
 *
 * @throws as `readTextFolder`
 */
export async function* readTextFolderParts(path: string, signal?: AbortSignal): AsyncGenerator<Table> {
  let paths: string[] = [];
  let texts: string[] = [];
  let labels: (string | null)[] = [];
  let bytes = 0;
  let isEmpty = true;
  const part = (): Table =>
    new Table(
      [categoricalColumn('path', paths), categoricalColumn('text', texts), categoricalColumn('label', labels)],
      paths.length,
    );
  const options = { extensions: TEXT_EXTENSIONS, withUnlabeled: true, ...(signal === undefined ? {} : { signal }) };
  for await (const file of labeledFiles(path, options)) {
    isEmpty = false;
    paths.push(file.path);
    texts.push(decodeText(file.bytes));
    labels.push(file.label === '' ? null : file.label);
    bytes += file.bytes.length;
    if (paths.length < FILES_IN_PART && bytes < BYTES_IN_PART) continue;
    yield part();
    [paths, texts, labels, bytes] = [[], [], [], 0];
  }
  if (paths.length > 0) yield part();
  if (!isEmpty) return;
  throw new TensorkilnError(
    'E_DATA',
    `[text folder] ${path}: no texts: expected files ending with one of ${TEXT_EXTENSIONS.join(', ')}, in folders or right at the top.`,
  );
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder(isUtf8(bytes) ? 'utf-8' : 'windows-1252').decode(bytes).trim();
}
