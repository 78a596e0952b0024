/** Finding and loading the native addon. Nothing here runs before the first use of a backend. */
import { readFileSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isTensorkilnError, TensorkilnError } from '../errors.js';
import type { BuildInfo, NativeAddon } from './addon.js';

/** Version of the door described in addon.ts; the addon reports the one it was built with. */
export const API_VERSION = 1;

/** One place where the addon was looked for. */
export interface LoadAttempt {
  /** What the place is: the environment variable, a platform package or the local build. */
  readonly place: string;
  readonly path: string;
  readonly outcome: 'loaded' | 'absent' | 'failed' | 'misconfigured' | 'other version';
  /** Why it was not taken; empty when it was. */
  readonly reason: string;
}

/** What `describeNative` returns: enough for a bug report. */
export interface NativeDescription {
  readonly loaded: boolean;
  readonly path: string | undefined;
  readonly attempts: readonly LoadAttempt[];
  readonly packageVersion: string;
  readonly apiVersion: number;
  readonly platform: string;
  readonly arch: string;
  readonly libc: string;
  readonly nodeVersion: string;
  readonly build: BuildInfo | undefined;
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

interface Outcome {
  readonly addon: NativeAddon | undefined;
  readonly path: string | undefined;
  readonly attempts: readonly LoadAttempt[];
}

// The compiled file lies as deep below the package root as this one, so the same relative paths serve both.
const packageRoot = new URL('../../', import.meta.url);
const require = createRequire(import.meta.url);
let outcome: Outcome | undefined;
let libcName: string | undefined;

/** Version in the package's own package.json. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8')) as { version: string };
  return manifest.version;
}

/** C library of this process: 'glibc', 'musl', or '' where the platform has only one. */
export function detectLibc(): string {
  if (libcName === undefined) {
    if (process.platform !== 'linux') {
      libcName = '';
    } else {
      const report = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean };
      // Looking up host names of open sockets can take seconds and says nothing about the C library.
      const before = report.excludeNetwork;
      report.excludeNetwork = true;
      const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
      if (before !== undefined) report.excludeNetwork = before;
      libcName = header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
    }
  }
  return libcName;
}

/** Name of the package with a ready-made addon for this machine. */
export function platformPackage(): string {
  const libc = detectLibc();
  return `@tensorkiln/${process.platform}-${process.arch}${libc === '' ? '' : `-${libc}`}`;
}

/**
 * The native addon, loaded at the first call.
 *
 * Order: the file named by TENSORKILN_ADDON (and then nothing else), the platform package, build/Release of the package.
 *
 * @throws E_NATIVE_LOAD    when it is nowhere or cannot be loaded; lists each place tried
 * @throws E_NATIVE_VERSION when the only addons found belong to another version of the package
 * @throws E_CONFIG         when an environment variable that the addon reads has a wrong value
 */
export function loadNative(): NativeAddon {
  const { addon, attempts } = (outcome ??= tryAll());
  if (addon === undefined) throw loadError(attempts);
  return addon;
}

/** Path of the addon that was loaded. */
export function nativePath(): string | undefined {
  return outcome?.path;
}

/** What is known about the addon. Never throws, and loads the addon if that is possible. */
export function describeNative(): NativeDescription {
  outcome ??= tryAll();
  const { addon, path, attempts } = outcome;
  const error = addon === undefined ? loadError(attempts) : undefined;
  return {
    loaded: addon !== undefined,
    path,
    attempts,
    packageVersion: packageVersion(),
    apiVersion: API_VERSION,
    platform: process.platform,
    arch: process.arch,
    libc: detectLibc(),
    nodeVersion: process.version,
    build: addon?.buildInfo(),
    error: error && { code: error.code, message: error.message },
  };
}

function tryAll(): Outcome {
  const attempts: LoadAttempt[] = [];
  for (const { place, path } of candidates()) {
    const { addon, attempt } = tryOne(place, path);
    attempts.push(attempt);
    if (addon !== undefined) return { addon, path: attempt.path, attempts };
  }
  return { addon: undefined, path: undefined, attempts };
}

function candidates(): { place: string; path: string }[] {
  const explicit = process.env['TENSORKILN_ADDON'];
  if (explicit !== undefined && explicit !== '') return [{ place: 'TENSORKILN_ADDON', path: explicit }];
  return [
    { place: 'platform package', path: platformPackage() },
    { place: 'local build', path: fileURLToPath(new URL('build/Release/tensorkiln.node', packageRoot)) },
  ];
}

function tryOne(place: string, path: string): { addon?: NativeAddon; attempt: LoadAttempt } {
  if (place !== 'platform package' && !existsSync(path)) {
    return { attempt: { place, path, outcome: 'absent', reason: 'no such file' } };
  }
  let addon: NativeAddon;
  try {
    addon = require(path) as NativeAddon;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // The addon is sound, but an environment variable it reads is not.
    if (isTensorkilnError(error) && error.code === 'E_CONFIG') {
      return { attempt: { place, path, outcome: 'misconfigured', reason: message } };
    }
    const absent =
      error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND' && message.includes(`'${path}'`);
    return {
      attempt: { place, path, outcome: absent ? 'absent' : 'failed', reason: absent ? 'not installed' : firstLine(message) },
    };
  }
  const mismatch = versionMismatch(addon);
  if (mismatch !== undefined) return { attempt: { place, path, outcome: 'other version', reason: mismatch } };
  return { addon, attempt: { place, path, outcome: 'loaded', reason: '' } };
}

function versionMismatch(addon: NativeAddon): string | undefined {
  if (addon.apiVersion !== API_VERSION) {
    return `its interface has version ${String(addon.apiVersion)}, this package needs ${String(API_VERSION)}`;
  }
  const built = addon.buildInfo().version;
  const expected = packageVersion();
  return built === expected ? undefined : `it was built from version ${built}, this package is version ${expected}`;
}

function loadError(attempts: readonly LoadAttempt[]): TensorkilnError {
  const misconfigured = attempts.find((attempt) => attempt.outcome === 'misconfigured');
  if (misconfigured !== undefined) return new TensorkilnError('E_CONFIG', `[native] ${misconfigured.reason}`);
  const libc = detectLibc();
  const otherVersion = attempts.some((attempt) => attempt.outcome === 'other version');
  const lines = attempts.map((attempt) => `  - ${attempt.place}: ${attempt.path}: ${attempt.reason}`);
  const head = otherVersion ? 'the native addon belongs to another version' : 'the native addon could not be loaded';
  const message = [
    `[native] ${head}. Places tried:`,
    ...lines,
    `Platform: ${process.platform} ${process.arch}${libc === '' ? '' : ` ${libc}`}, Node.js ${process.version}.`,
    'Next: run `npm rebuild tensorkiln`. It compiles the addon and needs g++ and cmake (on Debian and Ubuntu: `apt-get install g++ cmake`).',
  ].join('\n');
  return new TensorkilnError(otherVersion ? 'E_NATIVE_VERSION' : 'E_NATIVE_LOAD', message);
}

function firstLine(text: string): string {
  const end = text.indexOf('\n');
  return end < 0 ? text : text.slice(0, end);
}
