/** One YAML (or JSON) file with the places of its keys and values. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isMap, isPair, isScalar, LineCounter, parseDocument, type Document, type Node, type ParsedNode } from 'yaml';
import { TensorkilnError } from '../../errors.js';
import { describe, isSection, type ConfigPath, type Layer } from './source.js';

export class YamlFile implements Layer {
  readonly #name: string;
  readonly #document: Document<ParsedNode>;
  readonly #lines = new LineCounter();
  readonly folder: string;
  /** The content; a mapping. */
  readonly content: Record<string, unknown>;

  /**
   * @param name      as the user wrote it; messages repeat it
   * @param expected  the end of "expected ..." when the file holds something else than a mapping
   * @throws E_CONFIG for a YAML syntax error, keys that stand twice among them, with line and column, and for a file that is no mapping
   */
  constructor(name: string, text: string, expected: string) {
    this.#name = name;
    this.folder = dirname(resolve(name));
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const error = this.#document.errors[0];
    if (error !== undefined) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[config] ${name}:${this.#position(error.pos[0])}: YAML syntax error: ${error.message}.`,
      );
    }
    const content = this.#toJS();
    if (!isSection(content)) {
      throw new TensorkilnError('E_CONFIG', `[config] ${name}: expected ${expected}, got ${describe(content)}.`);
    }
    this.content = content;
  }

  /** @throws E_CONFIG when the file cannot be read, and as the constructor */
  static async read(name: string, expected: string): Promise<YamlFile> {
    let text: string;
    try {
      text = await readFile(name, 'utf8');
    } catch (cause) {
      const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
      const reason = isMissing ? 'there is no such file' : cause instanceof Error ? cause.message : String(cause);
      throw new TensorkilnError('E_CONFIG', `[config] cannot read ${name}: ${reason}. Expected a YAML file.`, { cause });
    }
    return new YamlFile(name, text, expected);
  }

  /** `file:line:column` of a value or its key; the nearest parent's when it is absent. */
  readonly locate = (path: ConfigPath, part: 'key' | 'value'): string => {
    for (let depth = path.length; depth > 0; depth--) {
      const offset = this.#offset(path.slice(0, depth), depth === path.length ? part : 'key');
      if (offset !== undefined) return `${this.#name}:${this.#position(offset)}`;
    }
    return this.#name;
  };

  #toJS(): unknown {
    try {
      return this.#document.toJS();
    } catch (cause) {
      // The yaml library refuses aliases that would expand beyond measure.
      throw new TensorkilnError(
        'E_CONFIG',
        `[config] ${this.#name}: ${cause instanceof Error ? cause.message : String(cause)}.`,
        { cause },
      );
    }
  }

  #offset(path: ConfigPath, part: 'key' | 'value'): number | undefined {
    const parent = path.length === 1 ? this.#document.contents : this.#document.getIn(path.slice(0, -1), true);
    const key = path.at(-1);
    if (isMap(parent)) {
      const pair = parent.items.find(
        (item) => isPair(item) && (isScalar(item.key) ? String(item.key.value) : item.key) === key,
      );
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
