import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesUnder, ROOT, textOf } from '../support/files.js';

type Dependencies = Record<string, string>;

interface Manifest {
  readonly name: string;
  readonly files: readonly string[];
  readonly dependencies: Dependencies;
  readonly devDependencies: Dependencies;
  readonly peerDependencies: Dependencies;
  readonly peerDependenciesMeta: Record<string, { optional: boolean }>;
}

interface Locked {
  readonly version?: string;
  readonly dependencies?: Dependencies;
  readonly optionalDependencies?: Dependencies;
  readonly resolved?: string;
}

const manifest = JSON.parse(textOf('package.json')) as Manifest;
const lock = (JSON.parse(textOf('package-lock.json')) as { packages: Record<string, Locked> }).packages;

describe('package-lock.json', () => {
  it('describes package.json', () => {
    const { dependencies, devDependencies, peerDependencies } = manifest;
    expect(lock['']).toMatchObject({ dependencies, devDependencies, peerDependencies });
  });

  // npm ci refuses a lock that lacks a platform package, on every platform; npm install writes such a lock when one is not to be had.
  it('holds the platform packages of every platform', () => {
    const missing = Object.entries(lock).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => lock[`node_modules/${name}`] === undefined && lock[`${path}/node_modules/${name}`] === undefined)
        .map((name) => `${path} -> ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('names no registry', () => {
    expect(Object.entries(lock).filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });
});

describe('package.json', () => {
  const packages = new Set(
    filesUnder('ts')
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => [...textOf(file).matchAll(/(?:^import|^export|^} ).*?from '([^.'][^']*)'|import\('([^.'][^']*)'\)/gm)])
      .map((match) => match[1] ?? match[2] ?? '')
      .filter((name) => !name.startsWith('node:'))
      .map((name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/')),
  );

  it('declares every package that ts/ imports, for users too', () => {
    const declared = { ...manifest.dependencies, ...manifest.peerDependencies };
    expect(packages.size).toBeGreaterThan(3);
    // The package itself stands in the text of a page of documentation.
    expect([...packages].filter((name) => name !== manifest.name && !(name in declared))).toEqual([]);
  });

  it('packs what README.md and the pages of docs/ lead to, the sources and tests aside', () => {
    const pages = ['README.md', ...filesUnder('docs').filter((file) => file.endsWith('.md'))];
    const targets = pages.flatMap((page) =>
      [...textOf(page).matchAll(/\]\(([\w./-]+)(?:#[\w-]+)?\)/g)].map(([, link = '']) => join(dirname(page), link)),
    );
    const paths = targets.filter((path) => existsSync(join(ROOT, path)));
    expect(paths.length).toBeGreaterThan(20);
    const isPacked = (path: string): boolean => manifest.files.some((file) => path === file || path.startsWith(`${file}/`));
    expect(paths.filter((path) => !isPacked(path))).toEqual([]);
  });

  it('has a line in docs/dependencies.md for each dependency', () => {
    const documented = textOf('docs/dependencies.md');
    const all = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.peerDependencies });
    expect(all.filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
  });
});
