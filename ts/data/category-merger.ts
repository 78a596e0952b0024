import { allocate, wholeOf } from './shared-memory.js';
import { sortCategories, type CategoricalColumn } from './table.js';

/** Above this many categories their order is that of their first rows: sorting would take longer than all the rest of reading. */
export const SORT_LIMIT = 100_000;

/** Joins parts of a text column, each with codes into a list of its own, into one column. */
export class CategoryMerger {
  readonly #rowCount: number;
  readonly #codeOf = new Map<string, number>();
  readonly #parts: { readonly codes: Int32Array; readonly merged: Int32Array }[] = [];

  /** @param rowCount rows of all parts together */
  constructor(rowCount: number) {
    this.#rowCount = rowCount;
  }

  /** Adds the next rows. @param codes index into `entries`; -1 = missing. Entries may repeat. */
  add(codes: Int32Array, entries: readonly string[]): void {
    const merged = Int32Array.from(entries, (entry) => {
      let code = this.#codeOf.get(entry);
      if (code === undefined) {
        code = this.#codeOf.size;
        this.#codeOf.set(entry, code);
      }
      return code;
    });
    this.#parts.push({ codes, merged });
  }

  /** The column, its categories in the order of `sortCategories` up to SORT_LIMIT, so that they do not depend on the order of rows. */
  finish(name: string): CategoricalColumn {
    const seen = [...this.#codeOf.keys()];
    const categories = seen.length > SORT_LIMIT ? seen : sortCategories(seen);
    const rank = new Int32Array(seen.length);
    categories.forEach((category, index) => {
      rank[this.#codeOf.get(category) as number] = index;
    });
    const own = this.#parts.map((part) => part.codes);
    // In place where the parts are one column already: each code is read before it is written.
    const codes = wholeOf(own, this.#rowCount) ?? allocate(Int32Array, this.#rowCount);
    let at = 0;
    for (const part of this.#parts) {
      const final = part.merged.map((code) => rank[code] as number);
      const { codes: own } = part;
      for (let row = 0; row < own.length; row++, at++) {
        const code = own[row] as number;
        codes[at] = code < 0 ? -1 : (final[code] as number);
      }
    }
    return { kind: 'categorical', name, codes, categories };
  }
}
