import { isMap, isPair, isScalar, LineCounter, parseDocument, type Document, type Node, type ParsedNode } from 'yaml';
import { TensorkilnError } from '../../errors.js';

export type ConfigPath = readonly PropertyKey[];

/**
 * A YAML file together with what the command line sets on top of it, able to say where each value came from.
 */
export class ConfigSource {
  readonly #file: string;
  readonly #document: Document<ParsedNode>;
  readonly #lines: LineCounter;
  /** Where values set after reading came from, by joined path. */
  readonly #origins = new Map<string, string>();

  /** @throws E_CONFIG for a YAML syntax error, with line and column, and for a file that is no mapping */
  constructor(file: string, text: string) {
    this.#file = file;
    this.#lines = new LineCounter();
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const error = this.#document.errors[0];
    if (error !== undefined)
      throw new TensorkilnError(
        'E_CONFIG',
        `[config] ${file}:${this.#position(error.pos[0])}: YAML syntax error: ${error.message}.`,
      );
    if (!isMap(this.#document.contents)) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[config] ${file}: expected a mapping with a data section, got ${describe(this.toJS())}.`,
      );
    }
  }

  /** Puts a value at a path; `origin` is how messages name its place. @throws E_CONFIG when the path leads through a plain value */
  set(path: readonly string[], value: unknown, origin: string): void {
    for (let depth = 1; depth < path.length; depth++) {
      const parent = this.#document.getIn(path.slice(0, depth), true);
      if (isScalar(parent) && parent.value === null) this.#document.deleteIn(path.slice(0, depth));
      else if (parent !== undefined && !isMap(parent)) {
        throw new TensorkilnError(
          'E_CONFIG',
          `[config] ${origin}: ${path.slice(0, depth).join('.')} is a plain value: expected a section there.`,
        );
      }
    }
    this.#document.setIn(path, this.#document.createNode(value));
    this.#origins.set(path.join('\0'), origin);
  }

  toJS(): unknown {
    try {
      return this.#document.toJS();
    } catch (cause) {
      // The yaml library refuses aliases that would expand beyond measure.
      throw new TensorkilnError(
        'E_CONFIG',
        `[config] ${this.#file}: ${cause instanceof Error ? cause.message : String(cause)}.`,
        { cause },
      );
    }
  }

  /** The value at a path as the user wrote it, or undefined. */
  get(path: ConfigPath): unknown {
    const node = this.#document.getIn(path, true);
    return isNode(node) ? node.toJS(this.#document) : node;
  }

  /** `file:line:column` of a value (or of its key), or the command-line option it came from; the nearest parent's when it is absent. */
  locate(path: ConfigPath, part: 'key' | 'value'): string {
    for (let depth = path.length; depth > 0; depth--) {
      const prefix = path.slice(0, depth);
      const origin = this.#origins.get(prefix.join('\0'));
      if (origin !== undefined) return origin;
      const offset = this.#offset(prefix, depth === path.length ? part : 'key');
      if (offset !== undefined) return `${this.#file}:${this.#position(offset)}`;
    }
    return this.#file;
  }

  #offset(path: ConfigPath, part: 'key' | 'value'): number | undefined {
    const parent = path.length === 1 ? this.#document.contents : this.#document.getIn(path.slice(0, -1), true);
    const key = path.at(-1);
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && (isScalar(item.key) ? item.key.value : item.key) === key);
      const node = part === 'key' ? pair?.key : (pair?.value ?? pair?.key);
      return isNode(node) ? node.range?.[0] : undefined;
    }
    const node = this.#document.getIn(path, true);
    return isNode(node) ? node.range?.[0] : undefined;
  }

  #position(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${line}:${col}`;
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'toJS' in value;
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
