/** What editors and readers need to know of the configuration, made from its schema. */
import { z } from 'zod';
import { omitKeys } from '../../arguments.js';
import { MEANINGS } from './meanings.js';
import { alternatives, configSchema, keysAt, schemaAt } from './schema.js';

/** Where the schema file lies in the package; the first line of a configuration may point there. */
export const SCHEMA_FILE = 'schemas/training-config.schema.json';

/** The JSON Schema of a configuration file. `model` and `targets` may be the path of a file instead of a section. */
export function configJsonSchema(): Readonly<Record<string, unknown>> {
  const schema = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as {
    properties: Record<string, Record<string, unknown>>;
    required?: string[];
  };
  const { properties } = schema;
  for (const section of ['model', 'targets']) {
    properties[section] = {
      anyOf: [{ type: 'string', description: 'the path of a file with this section' }, properties[section]],
    };
  }
  // What images and texts are predicted by is known without a name.
  const data = properties['data'] as { required?: string[] };
  data.required = data.required?.filter((key) => key !== 'target') ?? [];
  // A section that a defaults list brings in need not stand in the file.
  return { ...omitKeys(schema, 'required'), title: 'Configuration of a Tensorkiln training run' };
}

interface Row {
  readonly key: string;
  readonly takes: string;
  readonly byDefault: string;
  readonly meaning: string;
}

/** docs/config.md between its head and its tail: one table per section. */
export function configTables(): string {
  const sections = (keysAt([]) ?? []).filter((key) => key !== 'defaults');
  const plain = sections.filter((key) => keysAt([key]) === undefined);
  const tables = sections
    .filter((key) => !plain.includes(key))
    .map((section) => `### ${section}\n\n${table(leaves([section]).map((path) => row(path)))}`);
  return [`### At the top\n\n${table(plain.map((key) => row([key])))}`, ...tables].join('\n\n');
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ key, takes, byDefault, meaning }) => `| \`${key}\` | ${takes} | ${byDefault} | ${meaning} |`);
  return ['| key | takes | default | meaning |', '| --- | --- | --- | --- |', ...lines].join('\n');
}

/** Every key that takes a value; where a section may be of several kinds, the section itself comes first. */
export function leaves(path: readonly string[]): readonly (readonly string[])[] {
  const keys = keysAt(path);
  if (keys === undefined) return [path];
  const schema = schemaAt(path);
  const isChoice = schema !== undefined && alternatives(schema).some((choice) => !(choice instanceof z.ZodObject));
  const inner = keys.flatMap((key) => leaves([...path, key]));
  // Parts of a choice without a description of their own are told by that of the whole.
  return [...(isChoice ? [path] : []), ...inner.filter((leaf) => schemaAt(leaf)?.description !== undefined)];
}

function row(path: readonly string[]): Row {
  const key = path.join('.');
  const schema = schemaAt(path);
  return {
    key,
    takes: escape(schema?.description ?? ''),
    byDefault: defaultOf(schema),
    meaning: escape(MEANINGS[key] ?? ''),
  };
}

function defaultOf(schema: z.ZodType | undefined): string {
  if (schema === undefined) return '';
  const parsed = schema.safeParse(undefined);
  if (!parsed.success) return 'required';
  const { data } = parsed;
  return data === undefined ? '' : `\`${JSON.stringify(data).replaceAll('|', '\\|')}\``;
}

/** Text for a cell of a table; code spans keep their angle brackets. */
export function escape(text: string): string {
  return text
    .replaceAll('|', '\\|')
    .split('`')
    .map((part, index) => (index % 2 === 0 ? part.replaceAll('<', '\\<') : part))
    .join('`');
}
