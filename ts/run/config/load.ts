import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { checkKeys, checkText, show } from '../../arguments.js';
import { didYouMean } from '../../data/nearest-name.js';
import { formatOf } from '../../data/read-table.js';
import { TensorkilnError } from '../../errors.js';
import type { RunFiles } from '../run-events.js';
import { compose } from './compose.js';
import { inferData } from './infer-data.js';
import { notBuilt } from './not-built.js';
import { parseOverride, type Override } from './overrides.js';
import { alternatives, configSchema, isRecordAt, keysAt, schemaAt, type TrainingConfig } from './schema.js';
import { describe, isSection, type ConfigSource } from './source.js';
import { YamlFile } from './yaml-file.js';

export interface LoadConfigOptions {
  /** `key=value` texts, later ones over earlier; the value is YAML. */
  readonly set?: readonly string[];
  /** In place of data.path; resolved against the working directory. */
  readonly data?: string;
  /** In place of output; resolved against the working directory. */
  readonly output?: string;
}

/**
 * Reads a configuration with everything its `defaults:` lists name, overrides and checks it. `model` and `targets` may be the path
 * of a file with that section. Paths in a file are resolved against its folder, paths from options and `set` against the working
 * directory.
 *
 * @throws E_CONFIG listing every problem as `file:line:column: key: expected ..., got ...`, with the nearest key for an unknown one
 */
export async function loadConfig(file: string, options: LoadConfigOptions = {}): Promise<TrainingConfig> {
  checkText('loadConfig', 'file', file);
  checkKeys('loadConfig', options, ['set', 'data', 'output']);
  const { set = [] } = options;
  if (!Array.isArray(set))
    throw new TensorkilnError('E_CONFIG', `[loadConfig] wrong set: expected a list of key=value texts, got ${show(set)}.`);
  const { source, rest } = await compose(file, (set as readonly string[]).map(parseOverride));
  for (const override of rest) applyOverride(source, override);
  const folder = process.cwd();
  if (options.data !== undefined) source.set(['data', 'path'], options.data, { text: '--data', folder });
  if (options.output !== undefined) source.set(['output'], options.output, { text: '--output', folder });
  await readSectionFile(source, 'model', modelSection);
  await readSectionFile(source, 'targets', targetsSection);
  inferData(source);
  const parsed = configSchema.safeParse(source.toJS());
  if (!parsed.success) throw configError(parsed.error, source);
  const config = parsed.data;
  return {
    ...config,
    data: { ...config.data, ...resolvePaths(config.data, source) },
    model: { ...config.model, ...resolvePretrained(config.model, source) },
    ...(config.output === undefined ? {} : { output: resolve(source.folderOf(['output']), config.output) }),
  };
}

/**
 * The configuration that a run wrote into its folder.
 *
 * @param place  who asks, for the message
 * @throws E_IO when the folder holds no run; E_CONFIG as `loadConfig`
 */
export async function loadRunConfig(place: string, files: RunFiles, options: LoadConfigOptions = {}): Promise<TrainingConfig> {
  if (existsSync(files.config)) return loadConfig(files.config, options);
  throw new TensorkilnError(
    'E_IO',
    `[${place}] no run in ${files.folder}: expected ${basename(files.config)} there, as \`tensorkiln train\` leaves it.`,
  );
}

/**
 * Checks what callers without types may give in place of a checked configuration.
 *
 * @throws E_USAGE
 */
export function checkTrainingConfig(place: string, config: unknown): void {
  const isWhole = typeof config === 'object' && config !== null && CHECKED_SECTIONS.every((section) => section in config);
  if (isWhole) return;
  throw new TensorkilnError(
    'E_USAGE',
    `[${place}] no checked configuration: expected what \`await loadConfig('config.yaml')\` gives, got ${show(config)}.`,
  );
}

/** Sections that every checked configuration has. */
const CHECKED_SECTIONS = ['data', 'split', 'preprocessing', 'model', 'training', 'logging', 'targets'] as const;

/** The paths of the data section; the address of a server is no path. */
function resolvePaths(data: TrainingConfig['data'], source: ConfigSource): Partial<TrainingConfig['data']> {
  const keys = (['path', 'labels', 'test_path', 'test_labels', 'cache'] as const).filter((key) => data[key] !== undefined);
  return Object.fromEntries(
    keys.map((key) => {
      const path = data[key] as string;
      return [key, formatOf(path) === 'postgres' ? path : resolve(source.folderOf(['data', key]), path)];
    }),
  );
}

/** The path of the weights a model begins with. */
function resolvePretrained({ pretrained }: TrainingConfig['model'], source: ConfigSource): Partial<TrainingConfig['model']> {
  if (pretrained === false) return {};
  if (typeof pretrained === 'string') return { pretrained: resolve(source.folderOf(['model', 'pretrained']), pretrained) };
  const path = resolve(source.folderOf(['model', 'pretrained', 'path']), pretrained.path);
  return { pretrained: { ...pretrained, path } };
}

/** Puts the content of a file in the place of a section that names it. */
async function readSectionFile(
  source: ConfigSource,
  section: 'model' | 'targets',
  toSection: (content: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>,
): Promise<void> {
  const value = source.get([section]);
  if (typeof value !== 'string') return;
  const place = source.locate([section], 'value');
  const path = resolve(source.folderOf([section]), value);
  const file = await YamlFile.read(path, `a mapping with the section ${section}`).catch((error: unknown) => {
    if (!(error instanceof TensorkilnError) || !error.message.includes('cannot read')) throw error;
    throw new TensorkilnError('E_CONFIG', `[config] ${place}: ${section}: ${error.message.slice('[config] '.length)}`, {
      cause: error,
    });
  });
  source.delete([section]);
  const content = toSection(file.content);
  const isWhole = content === file.content;
  source.merge([section], content, isWhole ? file : { folder: file.folder, locate: () => path });
}

/** A model file is the section itself, or a model as `Sequential.toJSON` gives it. */
function modelSection(content: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (content['format'] !== 'tensorkiln-model') return content;
  const config = content['config'];
  if (content['type'] !== 'sequential')
    throw new TensorkilnError(
      'E_CONFIG',
      `[config] model: expected a file with a chain of layers, got one of type ${describe(content['type'])}: name its architecture instead.`,
    );
  return { architecture: 'layers', layers: isSection(config) ? config['layers'] : undefined };
}

/** A targets file is the section itself, or a mapping with it. */
function targetsSection(content: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { targets } = content;
  return isSection(targets) && Object.keys(content).length === 1 ? targets : content;
}

function applyOverride(source: ConfigSource, { kind, key, value, origin }: Override): void {
  const path = splitKey(key);
  const present = source.get(path);
  if (kind === 'delete') {
    if (present === undefined) throw new TensorkilnError('E_CONFIG', `[config] ${origin}: there is no ${key} to take away.`);
    if (value !== undefined && !isDeepStrictEqual(present, value)) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[config] ${origin}: expected ${key} to be ${describe(value)}, got ${describe(present)}.`,
      );
    }
    source.delete(path);
    return;
  }
  if (kind === 'add' && present !== undefined) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[config] ${origin}: ${key} is there already (${source.locate(path, 'value')}): change it with ${key}=..., or ++${key}=....`,
    );
  }
  source.set(path, value, { text: origin, folder: process.cwd() });
}

/** Splits at dots, but not inside the user's own names: features.bill.length sets the column "bill.length". */
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
  if (issue.code === 'invalid_union' && isSection(source.get(issue.path))) {
    // The choice that is a section itself and comes nearest tells more than the description of the whole.
    const choices = issue.errors.filter((issues) =>
      issues.every(({ path, code }) => path.length > 0 || code === 'unrecognized_keys'),
    );
    const [nearest] = choices.sort((a, b) => a.length - b.length);
    if (nearest !== undefined && nearest.length > 0)
      return nearest.flatMap((inner) => describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, source));
  }
  if (issue.code === 'unrecognized_keys' && keysAt(issue.path) !== undefined) {
    const known = keysOfChoice(issue.path, source) ?? keysAt(issue.path) ?? [];
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const lacking = notBuilt(path);
      if (lacking !== undefined) return `${source.locate(path, 'key')}: ${lacking}`;
      return `${source.locate(path, 'key')}: unknown key ${dotted(path)}: expected ${known.join(', ')}.${suggestion(issue.path, key, known)}`;
    });
  }
  // A list's or union's inner problem is told by the description of the whole: its parts have none of their own.
  let path = issue.path;
  while (path.length > 0 && schemaAt(path) === undefined) path = path.slice(0, -1);
  if (issue.code === 'custom' && issue.params?.['expected'] !== undefined)
    return [
      `${source.locate(path, 'key')}: wrong ${dotted(path)}: expected ${param(issue, 'expected')}, got ${param(issue, 'found')}.`,
    ];
  const expected = schemaAt(path)?.description ?? issue.message;
  const found = source.get(issue.path.length > 0 ? issue.path : path);
  const key = dotted(issue.path);
  const lacking = notBuilt(issue.path, found);
  if (lacking !== undefined) return [`${source.locate(issue.path, 'value')}: ${lacking}`];
  if (found === undefined && issue.code === 'invalid_type') {
    return [
      `${source.locate(issue.path, 'key')}: ${key === '' ? '' : `${key} is missing: `}expected ${expected}, got nothing.${missingHint(key, source)}`,
    ];
  }
  return [`${source.locate(issue.path, 'value')}: wrong ${key}: expected ${expected}, got ${describe(found)}.`];
}

/** What else may be missing when a key is. */
function missingHint(key: string, source: ConfigSource): string {
  if (key !== 'data.target') return '';
  const path = source.get(['data', 'path']);
  const isText = source.get(['data', 'context_length']) !== undefined || (typeof path === 'string' && /\.txt$/i.test(path));
  return isText ? ' For a language model of a running text, which has no target, add data.format: text.' : '';
}

/** Keys of the choice that a section's `type` or `kind` names; undefined where it names none. */
function keysOfChoice(path: readonly PropertyKey[], source: ConfigSource): readonly string[] | undefined {
  const schema = schemaAt(path);
  const choices = schema === undefined ? [] : alternatives(schema).filter((choice) => choice instanceof z.ZodObject);
  const named = choices.find((choice) =>
    ['type', 'kind'].some((key) => {
      const name = choice.shape[key] as unknown;
      return name instanceof z.ZodLiteral && name.value === source.get([...path, key]);
    }),
  );
  return named === undefined ? undefined : Object.keys(named.shape);
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
