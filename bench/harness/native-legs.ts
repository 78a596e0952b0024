import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Runs CMake; undefined when all went well, otherwise why not. */
function cmake(root: string, ...args: string[]): string | undefined {
  const { status, stdout, stderr, error } = spawnSync('cmake', args, { cwd: root, encoding: 'utf8' });
  if (error !== undefined) return `cmake does not start (${error.message})`;
  if (status === 0) return undefined;
  const lines = `${stdout}${stderr}`.split('\n').filter((line) => /error/i.test(line));
  return `cmake ${args.join(' ')} failed: ${lines[0] ?? `code ${status}`}`;
}

/**
 * Builds the legs in C++ (bench/native) with the engine; a build that is up to date takes a second. Nothing is downloaded or installed.
 *
 * @param root  folder with CMakeLists.txt
 * @returns     their folder, and why they could not be built, if so
 */
export function buildNativeLegs(root: string): { folder: string; failure?: string } {
  const folder = join(root, 'build-bench');
  const ninja = spawnSync('ninja', ['--version']).status === 0 && !existsSync(join(folder, 'Makefile')) ? ['-G', 'Ninja'] : [];
  const definitions = process.env['TENSORKILN_BENCH_DEFINITIONS']?.split(' ') ?? [];
  const failure =
    cmake(root, '-S', '.', '-B', folder, ...ninja, '-DTENSORKILN_BENCH=ON', '-DTENSORKILN_WERROR=OFF', ...definitions) ??
    cmake(root, '--build', folder, '--parallel');
  return failure === undefined ? { folder } : { folder, failure };
}
