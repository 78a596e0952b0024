// Tells whether the addon on disk was built from the sources and settings at hand.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT, filesUnder } from './sources.mjs';

export const ADDON_PATH = join(ROOT, 'build', 'Release', 'tensorkiln.node');
const RECORD_PATH = join(ROOT, 'build', 'Release', 'tensorkiln.fingerprint');

/**
 * Hash over every native source, the build descriptions and what the caller adds.
 *
 * @param {string[]} settings builder, compiler named by CXX, extra CMake arguments
 */
export function fingerprint(settings) {
  const hash = createHash('sha256');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const setting of [version, process.platform, process.arch, ...settings]) hash.update(`${setting}\0`);
  for (const file of ['CMakeLists.txt', 'binding.gyp', ...filesUnder('native')]) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(ROOT, file)))
      .update('\0');
  }
  return hash.digest('hex');
}

/** @param {string} wanted */
export function isUpToDate(wanted) {
  return existsSync(ADDON_PATH) && existsSync(RECORD_PATH) && readFileSync(RECORD_PATH, 'utf8') === wanted;
}

/** Called before a build begins, so that a build that stops half way is never taken for a finished one. */
export function forget() {
  rmSync(RECORD_PATH, { force: true });
}

/** @param {string} built */
export function remember(built) {
  mkdirSync(dirname(RECORD_PATH), { recursive: true });
  writeFileSync(RECORD_PATH, built);
}
