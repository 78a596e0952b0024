import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import type { z } from 'zod';
import { formatOf } from '../../data/read-table.js';
import { didYouMean } from '../../data/nearest-name.js';
import { TensorkilnError } from '../../errors.js';
import { configSchema, isRecordAt, keysAt, schemaAt, type TrainingConfig } from './schema.js';
import { ConfigSource, describe } from './source.js';

export interface LoadConfigOptions {
  /** `key=value` texts, later ones over earlier; the value is YAML. */
  readonly set?: readonly string[];
  /** In place of data.path; resolved against the working directory. */
  readonly data?: string;
  /** In place of output; resolved against the working directory. */
  readonly output?: string;
}

/**
 * Reads, overrides and checks a configuration. Paths in the file are resolved against its folder, paths from options and `set` against
 * the working directory.
 *
 * @throws E_CONFIG listing every problem as `file:line:column: key: expected ..., got ...`, with the nearest key for an unknown one
 */
export async function loadConfig(file: string, options: LoadConfigOptions = {}): Promise<TrainingConfig> {
  const source = new ConfigSource(file, await readText(file));
  const fromCommandLine = new Set<string>();
  for (const text of options.set ?? []) fromCommandLine.add(applyOverride(source, text));
  if (options.data !== undefined) {
    source.set(['data', 'path'], options.data, '--data');
    fromCommandLine.add('data.path');
  }
  if (options.output !== undefined) {
    source.set(['output'], options.output, '--output');
    fromCommandLine.add('output');
  }
  const parsed = configSchema.safeParse(source.toJS());
  if (!parsed.success) throw configError(parsed.error, source);
  const config = parsed.data;
  const base = (key: string): string => (fromCommandLine.has(key) ? process.cwd() : dirname(resolve(file)));
  const resolveOptional = (key: 'test_path' | 'cache'): { readonly [Key in typeof key]?: string } => {
    const path = config.data[key];
    return path === undefined ? {} : { [key]: resolvePath(base(`data.${key}`), path) };
  };
  return {
    ...config,
    data: {
      ...config.data,
      path: resolvePath(base('data.path'), config.data.path),
      ...resolveOptional('test_path'),
      ...resolveOptional('cache'),
    },
    ...(config.output === undefined ? {} : { output: resolve(base('output'), config.output) }),
  };
}

/** A server is no path. */
function resolvePath(base: string, path: string): string {
  return formatOf(path) === 'postgres' ? path : resolve(base, path);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    const reason = missing ? 'there is no such file' : cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError('E_CONFIG', `[config] cannot read ${file}: ${reason}. Expected a YAML file.`, { cause });
  }
}

/** @returns the dotted key that was set */
function applyOverride(source: ConfigSource, text: string): string {
  const origin = `--set ${text}`;
  const equals = text.indexOf('=');
  if (equals <= 0) throw new TensorkilnError('E_CONFIG', `[config] ${origin}: expected key=value, such as training.epochs=50.`);
  let value: unknown;
  try {
    value = parse(text.slice(equals + 1), { prettyErrors: false });
  } catch (cause) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[config] ${origin}: the value is not YAML: ${cause instanceof Error ? cause.message : String(cause)}.`,
      { cause },
    );
  }
  const path = splitKey(text.slice(0, equals));
  source.set(path, value, origin);
  return path.join('.');
}

/** Splits at dots, but not inside the user's own names: data.features.bill.length sets the column "bill.length". */
function splitKey(key: string): string[] {
  const parts = key.split('.');
  for (let depth = 1; depth < parts.length; depth++) {
    if (isRecordAt(parts.slice(0, depth))) return [...parts.slice(0, depth), parts.slice(depth).join('.')];
  }
  return parts;
}

function configError(error: z.ZodError, source: ConfigSource): TensorkilnError {
  const lines = error.issues.flatMap((issue) => describeIssue(issue, source));
  const text =
    lines.length === 1
      ? `[config] ${lines[0] ?? ''}`
      : `[config] ${lines.length} errors:\n${lines.map((line) => `  ${line}`).join('\n')}`;
  return new TensorkilnError('E_CONFIG', text);
}

function describeIssue(issue: z.core.$ZodIssue, source: ConfigSource): string[] {
  if (issue.code === 'unrecognized_keys' && keysAt(issue.path) !== undefined) {
    const known = keysAt(issue.path) ?? [];
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return `${source.locate(path, 'key')}: unknown key ${dotted(path)}: expected ${known.join(', ')}.${suggestion(issue.path, key, known)}`;
    });
  }
  // A list's or union's inner problem is told by the description of the whole: its parts have none of their own.
  let path = issue.path;
  while (path.length > 0 && schemaAt(path) === undefined) path = path.slice(0, -1);
  if (issue.code === 'custom')
    return [
      `${source.locate(path, 'key')}: wrong ${dotted(path)}: expected ${param(issue, 'expected')}, got ${param(issue, 'found')}.`,
    ];
  const expected = schemaAt(path)?.description ?? issue.message;
  const found = source.get(issue.path.length > 0 ? issue.path : path);
  const key = dotted(issue.path);
  if (found === undefined && issue.code === 'invalid_type') {
    return [
      `${source.locate(issue.path, 'key')}: ${key === '' ? '' : `${key} is missing: `}expected ${expected}, got nothing.`,
    ];
  }
  return [`${source.locate(issue.path, 'value')}: wrong ${key}: expected ${expected}, got ${describe(found)}.`];
}

/** What a check across keys says about itself. */
function param(issue: z.core.$ZodIssueCustom, name: 'expected' | 'found'): string {
  return String(issue.params?.[name]);
}

function dotted(path: readonly PropertyKey[]): string {
  return path.map(String).join('.');
}

/** The nearest key of the section, or a key of that very name in another section. */
function suggestion(section: readonly PropertyKey[], key: string, known: readonly string[]): string {
  const nearest = didYouMean(key, known);
  if (nearest !== '') return nearest;
  const elsewhere = (keysAt([]) ?? []).filter((name) => name !== section[0] && keysAt([name])?.includes(key) === true);
  return elsewhere.length === 0 ? '' : ` Did you mean "${elsewhere[0] ?? ''}.${key}"?`;
}
