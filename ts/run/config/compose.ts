/** `defaults:` lists, as Hydra has them: a configuration made of files, and of choices from groups of files. */
import { existsSync } from 'node:fs';
import { basename, isAbsolute, join, relative, resolve } from 'node:path';
import { omitKeys } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import type { Override } from './overrides.js';
import { ConfigSource, describe, isSection } from './source.js';
import { YamlFile } from './yaml-file.js';

/** Files inside files inside files: more than this is a mistake even where it is no circle. */
const MAX_DEPTH = 16;
const ROOT_EXPECTED = 'a mapping with a data section';

/** What a group of a defaults list is set to: files, or nothing. */
type Choice = readonly string[];

interface Entry {
  readonly kind: 'self' | 'file' | 'group';
  /** File name or group. */
  readonly name: string;
  readonly choice: Choice;
  readonly isOptional: boolean;
  readonly isOverride: boolean;
  readonly place: string;
}

interface Composition {
  readonly source: ConfigSource;
  /** Choices by group that replace those of the lists; those that a list used are taken note of. */
  readonly choices: Map<string, { readonly choice: Choice; readonly place: string; isUsed: boolean }>;
}

/**
 * Reads a file and everything its `defaults:` list names, in the list's order; `_self_` is the file itself, last unless the
 * list says where. A text is a file beside it; `group: choice` is `group/choice.yaml`, which goes under the key `group`.
 * `optional group: choice` may be missing, `override group: choice` changes what an included file chose, `group: null` is none.
 *
 * @param overrides  those that name a group change the list; the others are returned
 * @throws E_CONFIG for what cannot be read, is no defaults list, includes itself, or overrides a group that no list has
 * @source Hydra 1.3, "The Defaults List"
 */
export async function compose(
  file: string,
  overrides: readonly Override[],
): Promise<{ readonly source: ConfigSource; readonly rest: readonly Override[] }> {
  const root = await YamlFile.read(file, ROOT_EXPECTED);
  const source = new ConfigSource(file);
  const composition: Composition = { source, choices: new Map() };
  const listed = new Set(entriesOf(root, file).flatMap(({ kind, name }) => (kind === 'group' ? [name] : [])));
  const added: Entry[] = [];
  const rest = overrides.filter((override) => {
    const { kind, key, value, origin } = override;
    const choice = choiceOf(value);
    if (kind === 'delete' && listed.has(key) && choice !== undefined) {
      composition.choices.set(key, { choice: [], place: origin, isUsed: false });
      return false;
    }
    const isNone = choice?.length === 0 && listed.has(key);
    if (choice === undefined || (!isNone && !isGroup(root.folder, key, choice))) return true;
    if (kind === 'add' && !listed.has(key)) {
      added.push({ kind: 'group', name: key, choice, isOptional: false, isOverride: false, place: origin });
      return false;
    }
    if (kind === 'set' || kind === 'force') {
      composition.choices.set(key, { choice, place: origin, isUsed: false });
      return false;
    }
    return true;
  });
  await include(composition, root, file, [], added);
  for (const [group, { place, isUsed }] of composition.choices) {
    if (isUsed) continue;
    throw new TensorkilnError(
      'E_CONFIG',
      `[config] ${place}: no defaults list has the group "${group}": expected one that is listed. Add it with +${group}=<choice>.`,
    );
  }
  return { source, rest };
}

/** Whether `key=choice` chooses files: the choice is a file in a folder of that name. */
function isGroup(folder: string, key: string, choice: Choice): boolean {
  return choice.length > 0 && choice.every((name) => !isAbsolute(name) && existsSync(fileIn(join(folder, key), name)));
}

function choiceOf(value: unknown): Choice | undefined {
  if (value === undefined || value === null) return [];
  if (typeof value === 'string') return [value];
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string')) return value;
  return undefined;
}

function fileIn(folder: string, name: string): string {
  return resolve(folder, /\.(ya?ml|json)$/.test(name) ? name : `${name}.yaml`);
}

async function include(
  composition: Composition,
  file: YamlFile,
  name: string,
  mount: readonly string[],
  added: readonly Entry[] = [],
  chain: readonly string[] = [resolve(name)],
): Promise<void> {
  if (chain.length > MAX_DEPTH)
    throw new TensorkilnError('E_CONFIG', `[config] ${name}: more than ${MAX_DEPTH} files include each other.`);
  const entries = [...entriesOf(file, name), ...added];
  for (const { isOverride, name: group, choice, place } of entries) {
    if (isOverride && !composition.choices.has(group)) composition.choices.set(group, { choice, place, isUsed: false });
  }
  const list = entries.some(({ kind }) => kind === 'self')
    ? entries
    : [...entries, { kind: 'self', name: '', choice: [], isOptional: false, isOverride: false, place: name } as const];
  for (const entry of list) {
    if (entry.isOverride) continue;
    if (entry.kind === 'self') {
      composition.source.merge(mount, omitKeys(file.content, 'defaults'), file);
      continue;
    }
    const replaced = entry.kind === 'group' ? composition.choices.get(entry.name) : undefined;
    if (replaced !== undefined) replaced.isUsed = true;
    const folder = entry.kind === 'group' ? join(file.folder, entry.name) : file.folder;
    const target = entry.kind === 'group' ? [...mount, ...entry.name.split('/')] : mount;
    for (const choice of replaced?.choice ?? entry.choice) {
      const path = fileIn(folder, choice);
      if (chain.includes(path))
        throw new TensorkilnError('E_CONFIG', `[config] ${entry.place}: ${shown(path)} includes itself.`);
      if (!existsSync(path)) {
        if (entry.isOptional) continue;
        const place = replaced?.place ?? entry.place;
        throw new TensorkilnError('E_CONFIG', `[config] ${place}: there is no file ${shown(path)} for "${choice}".`);
      }
      const inner = await YamlFile.read(shown(path), 'a mapping');
      await include(composition, inner, shown(path), target, [], [...chain, path]);
    }
  }
}

function entriesOf(file: YamlFile, name: string): readonly Entry[] {
  const list = file.content['defaults'];
  if (!('defaults' in file.content)) return [];
  if (!Array.isArray(list)) throw wrongList(file.locate(['defaults'], 'value'), list);
  const entries = list.map((item: unknown, index): Entry => {
    const place = file.locate(['defaults', index], 'value');
    if (item === '_self_') return { kind: 'self', name: '', choice: [], isOptional: false, isOverride: false, place };
    if (typeof item === 'string' && item !== '')
      return { kind: 'file', name: item, choice: [item], isOptional: false, isOverride: false, place };
    const [pair, ...others] = isSection(item) ? Object.entries(item) : [];
    const choice = pair === undefined ? undefined : choiceOf(pair[1]);
    if (pair === undefined || others.length > 0 || choice === undefined) throw wrongList(place, item);
    const words = pair[0].split(' ');
    const group = words.at(-1) ?? '';
    const flags = words.slice(0, -1);
    if (group === '' || !flags.every((flag) => flag === 'optional' || flag === 'override')) throw wrongList(place, item);
    if (group.includes('@')) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[config] ${place}: packages in defaults lists ("${group}") are not built yet: expected a group alone.`,
      );
    }
    return {
      kind: 'group',
      name: group,
      choice,
      isOptional: flags.includes('optional'),
      isOverride: flags.includes('override'),
      place,
    };
  });
  if (entries.filter(({ kind }) => kind === 'self').length > 1) {
    throw new TensorkilnError('E_CONFIG', `[config] ${name}: the defaults list holds _self_ twice: expected it once.`);
  }
  return entries;
}

function wrongList(place: string, found: unknown): TensorkilnError {
  return new TensorkilnError(
    'E_CONFIG',
    `[config] ${place}: wrong defaults: expected a list of file names, \`group: choice\` and _self_, got ${describe(found)}.`,
  );
}

/** Relative to the working directory where that is shorter to read. */
function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') || basename(short) === '' ? path : short;
}
