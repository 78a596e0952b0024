// The native sources by the same rules as CMakeLists.txt, for binding.gyp and for the fingerprint.
//   node scripts/native/sources.mjs engine|level|binding    prints paths relative to the package, one per line: units in build/units,
// written on the way: all sources of one folder in one compilation, as in CMakeLists.txt
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** All files under a folder of the package, sorted, as paths relative to the package with forward slashes. */
export function filesUnder(folder) {
  const start = join(ROOT, folder);
  if (!existsSync(start)) return [];
  return readdirSync(start, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      relative(ROOT, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join(posix.sep),
    )
    .sort();
}

const LEVEL_TABLE = 'native/dispatch/level_table.cc';

const directly = (folder) => filesUnder(folder).filter((file) => file.endsWith('.cc') && posix.dirname(file) === folder);

/** The folders whose sources are compiled together, each with its sources. */
function folders(kind) {
  const own = (folder) => ({ folder, sources: directly(folder).filter((file) => file !== LEVEL_TABLE) });
  if (kind === 'engine') return ['native/core', 'native/table', 'native/cpu', 'native/dispatch', 'native/plan'].map(own);
  if (kind === 'binding') return [own('native/binding')];
  const kernels = filesUnder('native/ops').filter((file) => file.endsWith('_cpu.cc'));
  return [...new Set(kernels.map((file) => posix.dirname(file)))].map((folder) => ({
    folder,
    sources: kernels.filter((file) => posix.dirname(file) === folder),
  }));
}

/** The units of one kind of target as paths relative to the package. */
function unitsOf(kind) {
  return folders(kind).map(({ folder, sources }) => ({
    path: `build/units/${folder.replace('native/', '').replaceAll('/', '_')}.cc`,
    text: sources.map((file) => `#include "${file.replace('native/', '')}"\n`).join(''),
  }));
}

/** One list per kind of target, as in CMakeLists.txt. */
export function sourcesOf(kind) {
  switch (kind) {
    case 'engine':
    case 'binding':
      return unitsOf(kind).map((unit) => unit.path);
    case 'level':
      return [LEVEL_TABLE, ...unitsOf(kind).map((unit) => unit.path)];
    default:
      throw new Error(`sources.mjs: expected engine, level or binding, got '${kind}'`);
  }
}

/** Writes the units of one kind of target. */
function writeUnits(kind) {
  for (const { path, text } of unitsOf(kind)) {
    mkdirSync(join(ROOT, posix.dirname(path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const kind = process.argv[2];
  writeUnits(kind);
  console.log(sourcesOf(kind).join('\n'));
}
