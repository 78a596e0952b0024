import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * Groups by need: `unit` runs without the addon; `ops`, `plan`, `train`, `tfjs` and `differential` need it; `export` needs
 * onnxruntime-web; `package`, `alone` and `conformance` run the compiled files in dist/; `alone` watches memory and delays, so
 * nothing may run beside it; `emulated` needs `npm run build:emulated`; `long` is run by `npm run test:long` only.
 */
const groups = [
  'unit',
  'ops',
  'plan',
  'train',
  'tfjs',
  'export',
  'package',
  'alone',
  'conformance',
  'differential',
  'emulated',
  'long',
] as const;

/** Tables are read and prepared without the addon too; tests/ops/table-addon.test.ts holds its part to the same results. */
const NO_TABLE_ADDON = {
  find: /^.*\/table-addon\.js$/,
  replacement: fileURLToPath(new URL('tests/support/no-table-addon.ts', import.meta.url)),
};

export default defineConfig({
  test: {
    // The addon keeps threads and memory of its own: a process per file gives each test file a fresh one, where that matters.
    pool: 'forks',
    // The stock CPU backend advertises another package at its first use.
    onConsoleLog: (text) => !text.includes('looks like you are running TensorFlow.js in Node.js'),
    slowTestThreshold: 2000,
    reporters: ['default', './tests/support/reporter.ts'],
    projects: groups.map((name) => ({
      extends: true,
      ...(name === 'unit' ? { resolve: { alias: [NO_TABLE_ADDON] } } : {}),
      test: {
        name,
        // One file after the other, when all else is done.
        ...(name === 'alone' || name === 'long'
          ? { maxWorkers: 1, sequence: { groupOrder: 1 } }
          : { maxWorkers: Math.max(2, availableParallelism() - 1), sequence: { groupOrder: 0 } }),
        // Loading the sources anew for each file costs as much as these tests; they clean up what they change.
        isolate: !['unit', 'ops', 'plan'].includes(name),
        include: [`tests/${name}/**/*.test.ts`],
        testTimeout: name === 'long' ? 20 * 60_000 : 60_000,
        hookTimeout: 60_000,
      },
    })),
  },
});
