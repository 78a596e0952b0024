import { TensorkilnError } from '../../errors.js';
import { shared } from '../shared-memory.js';
import type { WorkerPool } from '../worker-pool.js';
import { augment, type AugmentTask, type ImageTransform } from './augment.js';
import type { ImageSet } from './image-set.js';

export interface ImageBatchesOptions {
  readonly pool: WorkerPool;
  readonly batchSize: number;
  /** Default none: images are only scaled. */
  readonly transforms?: readonly ImageTransform[];
  /** Default 0. */
  readonly seed?: number;
  /** Batches that are made ready while one is in use; default: one for each worker thread, and one more. */
  readonly ahead?: number;
  /** Per channel; default 0 and 1, which gives values from 0 to 1. */
  readonly mean?: readonly number[];
  readonly deviation?: readonly number[];
}

export interface ImageBatch {
  readonly rows: number;
  /** [rows, height, width, channels]; reused two batches later, so copy it to keep it */
  readonly features: Float32Array;
  /** [rows], class indices */
  readonly targets: Int32Array;
}

/**
 * Batches of augmented images, made by worker threads in shared memory ahead of their use, so that training never waits for them while
 * the pool keeps up.
 */
export class ImageBatches {
  readonly #set: ImageSet;
  readonly #options: ImageBatchesOptions;
  readonly #pixels: Uint8Array;
  readonly #slots: readonly Float32Array[];

  /** @throws E_USAGE when batch size is no integer >= 1 or mean and deviation do not have one number for each channel */
  constructor(set: ImageSet, options: ImageBatchesOptions) {
    const { batchSize, pool, ahead = pool.threads + 1, mean, deviation } = options;
    const [height, width, channels] = set.shape;
    if (!Number.isInteger(batchSize) || batchSize < 1)
      throw new TensorkilnError('E_USAGE', `[images] invalid batch size: expected an integer >= 1, got ${batchSize}.`);
    for (const values of [mean, deviation]) {
      if (values !== undefined && values.length !== channels)
        throw new TensorkilnError(
          'E_USAGE',
          `[images] wrong normalisation: expected ${channels} numbers, one a channel, got ${values.length}.`,
        );
    }
    this.#set = set;
    this.#options = options;
    this.#pixels = shared(set.pixels);
    const cells = Math.min(batchSize, set.size) * height * width * channels;
    // One slot is in the hands of the caller, and one may still be read by what the caller enqueued.
    this.#slots = Array.from({ length: ahead + 2 }, () => shared(new Float32Array(cells)));
  }

  /** Number of batches in an epoch. */
  get length(): number {
    return Math.ceil(this.#set.size / this.#options.batchSize);
  }

  /**
   * The batches of one epoch; the last holds the rest.
   *
   * @param order images in the order wanted; default their own
   * @throws E_ABORTED
   */
  async *epoch(epoch: number, order?: Int32Array | Uint32Array, signal?: AbortSignal): AsyncGenerator<ImageBatch> {
    const { batchSize } = this.#options;
    const rows = Int32Array.from(order ?? this.#set.labels.keys());
    const count = Math.ceil(rows.length / batchSize);
    const pending: Promise<ImageBatch>[] = [];
    const ahead = this.#slots.length - 2;
    try {
      for (let index = 0; index < count; index++) {
        while (pending.length < Math.min(count, index + 1 + ahead)) {
          const next = pending.length;
          const batch = this.#make(rows.subarray(next * batchSize, (next + 1) * batchSize), { epoch, slot: next, signal });
          // A failure is met when its batch is awaited; until then it must not count as unhandled.
          batch.catch(() => undefined);
          pending.push(batch);
        }
        yield (await pending[index]) as ImageBatch;
      }
    } finally {
      // Of an epoch that is left early: the next one writes to the same buffers.
      await Promise.allSettled(pending);
    }
  }

  async #make(
    rows: Int32Array,
    at: { readonly epoch: number; readonly slot: number; readonly signal: AbortSignal | undefined },
  ): Promise<ImageBatch> {
    const { pool, transforms = [], seed = 0, mean, deviation } = this.#options;
    const { shape, labels } = this.#set;
    const channels = shape[2];
    const slot = this.#slots[at.slot % this.#slots.length] as Float32Array;
    const out = slot.subarray(0, rows.length * shape[0] * shape[1] * channels);
    const task: AugmentTask = {
      pixels: this.#pixels,
      shape,
      rows: rows.slice(),
      out,
      transforms,
      seed,
      epoch: at.epoch,
      mean: mean ?? new Array<number>(channels).fill(0),
      deviation: deviation ?? new Array<number>(channels).fill(1),
    };
    await pool.run('augment', task, at.signal === undefined ? {} : { signal: at.signal });
    return { rows: rows.length, features: out, targets: rows.map((row) => labels[row] as number) };
  }
}

/** Images as they are, scaled only: what validation and test use. @returns [rows, height, width, channels] */
export function plainImages(
  set: ImageSet,
  rows: Int32Array,
  scale: Pick<ImageBatchesOptions, 'mean' | 'deviation'> = {},
): Float32Array {
  const [height, width, channels] = set.shape;
  const out = new Float32Array(rows.length * height * width * channels);
  augment({
    pixels: set.pixels,
    shape: set.shape,
    rows,
    out,
    transforms: [],
    seed: 0,
    epoch: 0,
    mean: scale.mean ?? new Array<number>(channels).fill(0),
    deviation: scale.deviation ?? new Array<number>(channels).fill(1),
  });
  return out;
}
