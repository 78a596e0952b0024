/** Training images that are changed at random by worker threads, anew in each epoch. */
import { createHash } from 'node:crypto';
import { ImageBatches, type ImageTransform, type PreparedImages, type WorkerPool } from '../data/index.js';
import { epochOrder, type BatchSource, type HostBatch, type PassOptions } from '../train/index.js';

export interface AugmentedImagesOptions {
  readonly pool: WorkerPool;
  readonly transforms: readonly ImageTransform[];
  /** Of the random changes. */
  readonly seed: number;
}

/** Batches of the training part. What an image becomes depends on seed, epoch and image alone, so a resumed run sees the same. */
export class AugmentedImages implements BatchSource {
  readonly size: number;
  readonly inputShapes: readonly (readonly number[])[];
  readonly targetShapes = [[]];
  readonly #images: PreparedImages;
  readonly #options: AugmentedImagesOptions;
  #batches: { readonly batchSize: number; readonly batches: ImageBatches } | undefined;

  constructor(images: PreparedImages, options: AugmentedImagesOptions) {
    this.#images = images;
    this.#options = options;
    this.size = images.split.train.length;
    this.inputShapes = [images.set.shape];
  }

  fingerprint(): string {
    const { set, split, scale } = this.#images;
    const { transforms, seed } = this.#options;
    return createHash('sha256')
      .update(set.pixels)
      .update(set.labels)
      .update(split.train)
      .update(JSON.stringify([transforms, seed, scale]))
      .digest('hex');
  }

  async *batches({ batchSize, pass, seed, shuffle, skip }: PassOptions): AsyncGenerator<HostBatch> {
    const order = epochOrder(this.size, shuffle ? { seed, epoch: pass } : undefined);
    const { split } = this.#images;
    const rows = order === undefined ? split.train : Int32Array.from(order, (index) => split.train[index] as number);
    for await (const batch of this.#ofSize(batchSize).epoch(pass, rows.subarray(skip * batchSize))) {
      yield { rows: batch.rows, inputs: [batch.features], targets: [batch.targets] };
    }
  }

  /** Buffers for batches are kept from epoch to epoch. */
  #ofSize(batchSize: number): ImageBatches {
    if (this.#batches?.batchSize !== batchSize) {
      const { pool, transforms, seed } = this.#options;
      const { set, scale } = this.#images;
      this.#batches = { batchSize, batches: new ImageBatches(set, { pool, batchSize, transforms, seed, ...scale }) };
    }
    return this.#batches.batches;
  }
}
