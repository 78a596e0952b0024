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
    texts.push(new TextDecoder(isUtf8(file.bytes) ? 'utf-8' : 'windows-1252').decode(file.bytes).trim());
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
