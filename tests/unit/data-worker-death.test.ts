import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { ImageBatches } from '../../ts/data/images/image-batches.js';
import type { ImageSet } from '../../ts/data/images/image-set.js';
import { WorkerPool } from '../../ts/data/worker-pool.js';

/** Threads that were started since, newest last. */
const workers: Worker[] = [];
const onWorker = (worker: Worker): void => {
  workers.push(worker);
};
afterEach(() => {
  process.off('worker', onWorker);
  workers.length = 0;
});

function imageSet(size: number): ImageSet {
  const pixels = Uint8Array.from({ length: size * 32 * 32 * 3 }, (_, index) => (index * 31) % 251);
  return {
    size,
    shape: [32, 32, 3],
    pixels,
    labels: Int32Array.from({ length: size }, (_, row) => row % 2),
    classes: ['a', 'b'],
  };
}

describe('a pool worker that is killed', () => {
  it('in the middle of an epoch leaves the batches as they would have been', async () => {
    const transforms = [{ kind: 'rotate', degrees: 20 }] as const;
    const collect = async (kill: boolean): Promise<number[]> => {
      const pool = new WorkerPool(2);
      try {
        const batches = new ImageBatches(imageSet(600), { pool, batchSize: 50, transforms });
        const sums: number[] = [];
        for await (const { features } of batches.epoch(1)) {
          sums.push(features.reduce((sum, value, index) => sum + value * ((index % 97) + 1), 0));
          if (kill && sums.length === 2) for (const worker of workers.slice(-2)) await worker.terminate();
        }
        return sums;
      } finally {
        await pool.close();
      }
    };
    const expected = await collect(false);
    process.on('worker', onWorker);
    const found = await collect(true);
    // Two at first, and two in their place.
    expect(workers.length).toBeGreaterThanOrEqual(4);
    expect(found).toEqual(expected);
  });

  it('with a task whose input was handed over is an error that says so', async () => {
    process.on('worker', onWorker);
    const pool = new WorkerPool(1);
    const dialect = { delimiter: 0x2c, quote: 0x22, decimal: 0x2e, thousands: -1 };
    const parse = (bytes: Uint8Array<ArrayBuffer>): Promise<unknown> =>
      pool.run('parse', { bytes, dialect, kinds: new Uint8Array([1]), naValues: [''] }, { transfer: [bytes.buffer] });
    try {
      await parse(new Uint8Array([0x31, 0x0a]));
      const long = new Uint8Array(64 << 20);
      for (let at = 1; at < long.length; at += 2) [long[at - 1], long[at]] = [0x31, 0x0a];
      const result = parse(long);
      const refused = expect(result).rejects.toMatchObject({
        code: 'E_INTERNAL',
        message: expect.stringContaining('a worker thread ended in the middle of its work (parse)') as string,
      });
      await workers[0]?.terminate();
      await refused;
      // The pool has a worker again.
      await expect(parse(new Uint8Array([0x32, 0x0a]))).resolves.toMatchObject({ rows: 1 });
    } finally {
      await pool.close();
    }
  });
});
