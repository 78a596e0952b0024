/** What attention remembers of a sequence while it is generated piece by piece. */
import * as tf from '@tensorflow/tfjs-core';

/**
 * Keys and values of the places seen so far, by layer path. Give one cache to every call of a generation
 * (`model.call(next, { cache })`): each call's inputs continue the sequence. Not part of recorded steps, since it grows.
 */
export class KeyValueCache {
  readonly #entries = new Map<string, readonly tf.Tensor[]>();
  readonly #lengths = new Map<string, number>();

  /** Places a layer has seen before this call. */
  lengthOf(path: string): number {
    return this.#lengths.get(path) ?? 0;
  }

  /** Notes that a layer has seen more places. */
  advance(path: string, places: number): void {
    this.#lengths.set(path, this.lengthOf(path) + places);
  }

  /**
   * Appends to a layer's tensors along axis 1.
   *
   * @param path    names the layer
   * @param tensors [N, T, ...] each; the same number at every call
   * @returns       everything so far, [N, T so far, ...] each; the cache owns them
   */
  append(path: string, tensors: readonly tf.Tensor[]): readonly tf.Tensor[] {
    const before = this.#entries.get(path);
    const joined = tensors.map((tensor, i) => {
      const past = before?.[i];
      return tf.keep(past === undefined ? tf.clone(tensor) : tf.concat([past, tensor], 1));
    });
    tf.dispose([...(before ?? [])]);
    this.#entries.set(path, joined);
    this.advance(path, tensors[0]?.shape[1] ?? 0);
    return joined;
  }

  /** Forgets everything, so that another sequence can begin. */
  dispose(): void {
    for (const tensors of this.#entries.values()) tf.dispose([...tensors]);
    this.#entries.clear();
    this.#lengths.clear();
  }
}
