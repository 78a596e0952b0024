import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesUnder, textOf } from '../support/files.js';

// Single files at the top of ts/ that every room may use.
const SHARED = ['errors', 'arguments', 'optional-package', 'write-file'];

/** Rooms of ts/ from the bottom up: a room may import itself, the shared files and the levels below its own. */
const LEVELS: readonly (readonly string[])[] = [
  ['formats', 'native'],
  ['data', 'track', 'backend'],
  ['nn', 'optim'],
  ['evaluate', 'export'],
  ['train', 'serve', 'registry'],
  ['run'],
  ['tune', 'distributed'],
  ['library'],
  ['index', 'tfjs-node'],
  ['cli'],
];

/** What a room may import besides itself; undefined for a room that has no place in the list above. */
function allowedFor(room: string): string[] | undefined {
  if (SHARED.includes(room)) return ['errors'];
  const level = LEVELS.findIndex((rooms) => rooms.includes(room));
  return level < 0 ? undefined : [...SHARED, ...LEVELS.slice(0, level).flat()];
}

/**
 * Type-only exceptions, `importing file -> imported file`: a description of data that belongs to a higher room but is read by a
 * lower one. Types leave nothing behind in the compiled file.
 */
const TYPE_EXCEPTIONS = new Set(['evaluate -> train/types.ts', 'export -> train/types.ts']);

interface Import {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function roomOf(file: string): string {
  const [first = '', ...rest] = file.slice('ts/'.length).split('/');
  return rest.length === 0 ? posix.basename(first, '.ts') : first;
}

function importsOf(file: string): Import[] {
  const pattern = /^(?:import|export)\s+(type\s)?[^'";]*?from\s+'(\.[^']+)'|^import\s+'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm;
  return [...textOf(file).matchAll(pattern)].map((match) => {
    const path = match[2] ?? match[3] ?? match[4] ?? '';
    const target = posix.join(posix.dirname(file), path).replace(/\.js$/, '.ts');
    return { file, from: roomOf(file), to: roomOf(target), target, typeOnly: match[1] !== undefined };
  });
}

/** The one module that is not in ts/: the bundle that scripts/build-gradients.mjs makes. It imports nothing of ours. */
const GENERATED = 'dist/backend/tfjs-gradients.ts';

/** native: the layers from the bottom up; a layer may include itself and those before it. */
const NATIVE_LAYERS = ['core', 'table', 'cpu', 'ops', 'dispatch', 'plan', 'binding'];

describe('direction of imports', () => {
  const tsImports = filesUnder('ts')
    .filter((file) => file.endsWith('.ts'))
    .flatMap(importsOf)
    .filter(({ target }) => target !== GENERATED);

  it('reads the import lines of ts/', () => {
    expect(tsImports.length).toBeGreaterThan(0);
  });

  it('uses nothing of another backend of tfjs', () => {
    const users = filesUnder('ts').filter((file) => /['"]@tensorflow\/tfjs-backend-/.test(textOf(file)));
    expect(users).toEqual([]);
  });

  it('holds between the rooms of ts/', () => {
    const wrong = tsImports
      .filter(({ from, to }) => from !== to && !(allowedFor(from) ?? []).includes(to))
      .filter(({ from, target, typeOnly }) => !(typeOnly && TYPE_EXCEPTIONS.has(`${from} -> ${target.slice('ts/'.length)}`)))
      .map(({ file, from, to, target }) => `${file} (${from}) imports ${target} (${to})`);
    expect(wrong).toEqual([]);
  });

  it('lets ts/native alone load the addon', () => {
    const wrong = filesUnder('ts')
      .filter((file) => file.endsWith('.ts') && !file.startsWith('ts/native/'))
      .filter((file) => /\brequire\([^)]*\.node['"`]|process\.dlopen/.test(textOf(file)));
    expect(wrong).toEqual([]);
  });

  it('holds between the layers of native/', () => {
    const wrong: string[] = [];
    let includes = 0;
    for (const file of filesUnder('native').filter((name) => /\.(h|cc|cu|cuh|def)$/.test(name))) {
      const layer = file.split('/')[1] ?? '';
      for (const match of textOf(file).matchAll(/^#include "([^"]+)"/gm)) {
        const target = match[1] ?? '';
        const targetLayer = target.includes('/') ? (target.split('/')[0] ?? '') : layer;
        includes += 1;
        // The op list is data, not code: call numbers, tables and text form are made from it on every layer.
        if (target === 'ops/ops.def') continue;
        // The C table is what the two halves agree on; nothing else of the CUDA half is known to the engine.
        if (target === 'cuda/cuda_table.h' && layer === 'dispatch') continue;
        const allowed =
          layer === 'cuda' || /_cuda\.cuh?$/.test(file)
            ? ['core', 'cuda', 'ops'].includes(targetLayer)
            : NATIVE_LAYERS.includes(targetLayer) && NATIVE_LAYERS.indexOf(targetLayer) <= NATIVE_LAYERS.indexOf(layer);
        if (!allowed) wrong.push(`${file} includes ${target}`);
      }
    }
    expect(includes).toBeGreaterThan(0);
    expect(wrong).toEqual([]);
  });

  it('keeps a family of native/ops to itself and common/', () => {
    const wrong: string[] = [];
    for (const file of filesUnder('native/ops').filter((name) => /\.(h|cc|cu|cuh)$/.test(name))) {
      const family = file.split('/')[2] ?? '';
      for (const match of textOf(file).matchAll(/^#include "ops\/([^/"]+)\//gm)) {
        const included = match[1] ?? '';
        if (included !== family && included !== 'common') wrong.push(`${file} includes ops/${included}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('keeps Node headers in native/binding', () => {
    const wrong = filesUnder('native')
      .filter((file) => /\.(h|cc|cu)$/.test(file) && !file.startsWith('native/binding/'))
      .filter((file) => /^#include <(napi|node_api|js_native_api|uv|v8)\.h>/m.test(textOf(file)));
    expect(wrong).toEqual([]);
  });
});
