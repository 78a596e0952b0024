// The native sources by the same rules as CMakeLists.txt, for binding.gyp and for the fingerprint.
//   node scripts/native/sources.mjs engine|level|binding    prints paths relative to the package, one per line
import { existsSync, readdirSync } from 'node:fs';
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

const directly = (folder) => filesUnder(folder).filter((file) => file.endsWith('.cc') && posix.dirname(file) === folder);

/** One list per kind of target, as in CMakeLists.txt. */
export function sourcesOf(kind) {
  switch (kind) {
    case 'engine':
      return ['native/core', 'native/cpu', 'native/dispatch', 'native/plan']
        .flatMap(directly)
        .filter((file) => file !== 'native/dispatch/level_table.cc');
    case 'level':
      return ['native/dispatch/level_table.cc', ...filesUnder('native/ops').filter((file) => file.endsWith('_cpu.cc'))];
    case 'binding':
      return directly('native/binding');
    default:
      throw new Error(`sources.mjs: expected engine, level or binding, got '${kind}'`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(sourcesOf(process.argv[2]).join('\n'));
