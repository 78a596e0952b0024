/** What the data section leaves open because its other keys tell it. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatOf } from '../../data/index.js';
import type { ConfigSource } from './source.js';

/** Formats whose classes are folders or a file of labels, so that no column has to be named. */
const LABELED = ['text_folder', 'image_folder', 'idx', 'npy'];

/** Fills in `data.format` for images, folders of texts and language models, and `data.target` where the format itself says what is predicted. */
export function inferData(source: ConfigSource): void {
  const origin = { text: 'data', folder: process.cwd() };
  const path = source.get(['data', 'path']);
  if (typeof path !== 'string') return;
  if (source.get(['data', 'format']) === undefined) {
    const format =
      imageFormat(path, source) ??
      (source.get(['model', 'architecture']) === 'gpt' ? 'text' : undefined) ??
      (isFolder(path, source) ? 'text_folder' : undefined);
    if (format !== undefined) source.set(['data', 'format'], format, origin);
  }
  const format: unknown = source.get(['data', 'format']) ?? formatOf(path);
  if (format === 'text' && source.get(['data', 'target']) === undefined) source.set(['data', 'target'], 'character', origin);
  if (source.get(['data', 'target']) === undefined && (LABELED as readonly unknown[]).includes(format))
    source.set(['data', 'target'], 'label', origin);
}

function imageFormat(path: string, source: ConfigSource): string | undefined {
  if (source.get(['data', 'image']) !== undefined) return 'image_folder';
  if (source.get(['data', 'labels']) === undefined) return undefined;
  return /\.npy(\.gz)?$/i.test(path) ? 'npy' : 'idx';
}

function isFolder(path: string, source: ConfigSource): boolean {
  const state = statSync(resolve(source.folderOf(['data', 'path']), path), { throwIfNoEntry: false });
  return formatOf(path) === 'csv' && state?.isDirectory() === true;
}
