// Formats the tree: prettier for TypeScript, JavaScript, JSON, YAML and Markdown, clang-format for C++ and CUDA.
//   node scripts/format.mjs [--check]     --check changes nothing and fails when a file is not formatted
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ROOT, filesUnder } from './native/sources.mjs';

const require = createRequire(join(ROOT, 'package.json'));
const check = process.argv.includes('--check');

/** Runs a program of node_modules on some files; true when it is content. */
function run(script, ...args) {
  const { status, error } = spawnSync(process.execPath, [script, ...args], { cwd: ROOT, stdio: 'inherit' });
  if (error !== undefined) throw error;
  return status === 0;
}

const prettierOk = run(require.resolve('prettier/bin/prettier.cjs'), check ? '--check' : '--write', '--log-level', 'warn', '.');

const cxxFiles = ['native', 'tests/native'].flatMap(filesUnder).filter((file) => /\.(h|cc|cu|cuh)$/.test(file));
const clangArgs = check ? ['--dry-run', '--Werror'] : ['-i'];
const clangOk = run(require.resolve('clang-format/index.js'), ...clangArgs, ...cxxFiles);

if (!prettierOk || !clangOk) {
  console.error('\nNot formatted: run `npm run format`.');
  process.exitCode = 1;
}
