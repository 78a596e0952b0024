/** Pieces of a text as rows: a context, and at each of its places the character that follows. */
import { createHash } from 'node:crypto';
import { SeededRandom } from '../../data/index.js';
import { epochOrder, type BatchSource, type HostBatch, type PassOptions } from '../../train/index.js';

/**
 * Windows side by side over a text. Shuffled, they begin at another place in each pass, so that contexts are cut elsewhere; in order,
 * they begin at the start. What a pass gives depends on seed and pass alone, so a resumed run sees the same.
 */
export class TextWindows implements BatchSource {
  readonly size: number;
  readonly inputShapes: readonly (readonly number[])[];
  readonly targetShapes: readonly (readonly number[])[];
  readonly #tokens: Int32Array;
  readonly #length: number;
  /** Windows may begin as far behind the start. */
  readonly #slack: number;

  /**
   * @param tokens  more than `length`
   * @param options `length`: places of a window; `shifts`: whether room is kept for windows to begin elsewhere in each pass
   */
  constructor(tokens: Int32Array, { length, shifts }: { readonly length: number; readonly shifts: boolean }) {
    this.#tokens = tokens;
    this.#length = length;
    // The last place needs a character behind it.
    const places = tokens.length - 1;
    this.size = Math.max(1, Math.floor((shifts ? places - length + 1 : places) / length));
    this.#slack = Math.min(length - 1, places - this.size * length);
    this.inputShapes = [[length]];
    this.targetShapes = [[length]];
  }

  fingerprint(): string {
    return createHash('sha256').update(this.#tokens).update(String(this.#length)).digest('hex');
  }

  *batches({ batchSize, pass, seed, shuffle, skip }: PassOptions): Generator<HostBatch> {
    const order = epochOrder(this.size, shuffle ? { seed, epoch: pass } : undefined);
    const offset = shuffle ? new SeededRandom(seed + pass).nextBelow(this.#slack + 1) : 0;
    const length = this.#length;
    for (let start = skip * batchSize; start < this.size; start += batchSize) {
      const rows = Math.min(batchSize, this.size - start);
      const inputs = new Int32Array(rows * length);
      const targets = new Int32Array(rows * length);
      for (let row = 0; row < rows; row++) {
        const at = offset + (order?.[start + row] ?? start + row) * length;
        inputs.set(this.#tokens.subarray(at, at + length), row * length);
        targets.set(this.#tokens.subarray(at + 1, at + 1 + length), row * length);
      }
      yield { rows, inputs: [inputs], targets: [targets] };
    }
  }
}
