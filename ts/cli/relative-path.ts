import { relative } from 'node:path';

/** Relative to the working directory where that is shorter to read. */
export function relativePath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
