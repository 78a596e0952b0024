/** A configuration as it is put together from files and the command line, able to say where each value came from. */
import { TensorkilnError } from '../../errors.js';

export type ConfigPath = readonly PropertyKey[];

/** How one layer names its places. */
export interface Layer {
  /** Where `path`, counted from the layer's own root, stands. */
  readonly locate: (path: ConfigPath, part: 'key' | 'value') => string;
  /** What relative paths in this layer are resolved against. */
  readonly folder: string;
}

interface Origin {
  readonly key: string;
  readonly value: string;
  readonly folder: string;
}

type Section = Record<string, unknown>;

/** Layers merged in order: sections key by key, anything else as a whole; later layers win. */
export class ConfigSource {
  readonly #file: string;
  readonly #root: Section = {};
  readonly #origins = new Map<string, Origin>();

  /** @param file  names the whole in messages about what is nowhere */
  constructor(file: string) {
    this.#file = file;
  }

  /** Merges a layer's section in at a path. @throws E_CONFIG when the path leads through a plain value */
  merge(mount: readonly string[], content: Readonly<Section>, layer: Layer): void {
    const section = this.#open(mount, layer.locate([], 'key'));
    for (const [key, value] of Object.entries(content)) this.#merge(section, value, layer, { mount, own: [key] });
  }

  /** Puts a value at a path; `origin` is how messages name its place. @throws E_CONFIG as `merge` */
  set(path: readonly string[], value: unknown, origin: { readonly text: string; readonly folder: string }): void {
    const section = this.#open(path.slice(0, -1), origin.text);
    const key = path.at(-1) as string;
    this.#forget(path);
    section[key] = value;
    this.#origins.set(keyOf(path), { key: origin.text, value: origin.text, folder: origin.folder });
  }

  /** Takes a key away; whether it was there. */
  delete(path: readonly string[]): boolean {
    const parent = this.get(path.slice(0, -1));
    const key = path.at(-1) as string;
    if (!isSection(parent) || !Object.hasOwn(parent, key)) return false;
    this.#forget(path);
    return Reflect.deleteProperty(parent, key);
  }

  /** The whole, as plain data. */
  toJS(): unknown {
    return structuredClone(this.#root);
  }

  /** The value at a path as the user wrote it, or undefined. */
  get(path: ConfigPath): unknown {
    let value: unknown = this.#root;
    for (const key of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
      value = (value as Readonly<Record<PropertyKey, unknown>>)[key];
    }
    return value;
  }

  /** `file:line:column` of a value (or of its key), or the command-line option it came from; the nearest parent's when it is absent. */
  locate(path: ConfigPath, part: 'key' | 'value'): string {
    for (let depth = path.length; depth > 0; depth--) {
      const origin = this.#origins.get(keyOf(path.slice(0, depth)));
      if (origin !== undefined) return depth === path.length ? origin[part] : origin.key;
    }
    return this.#file;
  }

  /** What a relative path that stands at `path` is resolved against: its file's folder, or the working directory. */
  folderOf(path: ConfigPath): string {
    for (let depth = path.length; depth > 0; depth--) {
      const origin = this.#origins.get(keyOf(path.slice(0, depth)));
      if (origin !== undefined) return origin.folder;
    }
    return process.cwd();
  }

  #open(path: readonly string[], place: string): Section {
    let section = this.#root;
    path.forEach((key, index) => {
      const inner = Object.hasOwn(section, key) ? section[key] : undefined;
      if (isSection(inner)) {
        section = inner;
        return;
      }
      if (inner !== undefined && inner !== null) {
        throw new TensorkilnError(
          'E_CONFIG',
          `[config] ${place}: ${path.slice(0, index + 1).join('.')} is a plain value: expected a section there.`,
        );
      }
      section = section[key] = {};
    });
    return section;
  }

  /** Merges sections, replaces anything else. `mount` is the layer's place here, `own` the path inside the layer. */
  #merge(
    section: Section,
    value: unknown,
    layer: Layer,
    place: { readonly mount: readonly string[]; readonly own: readonly string[] },
  ): void {
    const { mount, own } = place;
    const key = own.at(-1) as string;
    const path = [...mount, ...own];
    const old = Object.hasOwn(section, key) ? section[key] : undefined;
    if (isSection(old) && isSection(value)) {
      this.#record(path, layer, own);
      for (const [name, inner] of Object.entries(value)) this.#merge(old, inner, layer, { mount, own: [...own, name] });
      return;
    }
    this.#forget(path);
    // defineProperty: a key named __proto__ is a key like any other.
    Object.defineProperty(section, key, {
      value: structuredClone(value),
      writable: true,
      enumerable: true,
      configurable: true,
    });
    this.#recordAll(value, path, layer, own);
  }

  #recordAll(value: unknown, path: ConfigPath, layer: Layer, own: ConfigPath): void {
    this.#record(path, layer, own);
    if (Array.isArray(value)) {
      value.forEach((item: unknown, index) => {
        this.#recordAll(item, [...path, index], layer, [...own, index]);
      });
    } else if (isSection(value)) {
      for (const [key, inner] of Object.entries(value)) this.#recordAll(inner, [...path, key], layer, [...own, key]);
    }
  }

  #record(path: ConfigPath, layer: Layer, own: ConfigPath): void {
    this.#origins.set(keyOf(path), {
      key: layer.locate(own, 'key'),
      value: layer.locate(own, 'value'),
      folder: layer.folder,
    });
  }

  #forget(path: ConfigPath): void {
    const prefix = keyOf(path);
    for (const key of [...this.#origins.keys()]) if (key === prefix || key.startsWith(`${prefix}\0`)) this.#origins.delete(key);
  }
}

function keyOf(path: ConfigPath): string {
  return path.map(String).join('\0');
}

export function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value for a message: short, and its kind when it is not a plain value. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'an empty value';
  if (Array.isArray(value))
    return value.length <= 8 && value.every((item) => typeof item !== 'object')
      ? JSON.stringify(value)
      : `a list of ${value.length}`;
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  return 'a section';
}
