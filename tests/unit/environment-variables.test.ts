import { describe, expect, it } from 'vitest';
import { filesUnder, textOf } from '../support/files.js';

describe('environment variables', () => {
  it('are all described in README.md, and all described ones exist', () => {
    const sources = [...filesUnder('ts'), ...filesUnder('native'), ...filesUnder('scripts'), ...filesUnder('bench')].filter(
      (file) => /\.(ts|mjs|cc|h|cu|cuh)$/.test(file),
    );
    const used = sources.flatMap((file) =>
      [...textOf(file).matchAll(/(?:getenv\("|env\.|env\[')(TENSORKILN_[A-Z0-9_]+)/g)].map((match) => match[1]),
    );
    const described = [...textOf('README.md').matchAll(/^\| `(TENSORKILN_[A-Z0-9_]+)` +\|/gm)].map((match) => match[1]);
    expect([...new Set(used)].sort()).toEqual(described.sort());
  });
});
