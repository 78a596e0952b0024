/** The profiler: what ran, how often, with how many bytes and operations, eagerly and in plans. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { lstm } from '../../ts/backend/custom/index.js';
import { compile } from '../../ts/backend/plan.js';
import { chromeTrace, measureLimits, profileExecution, profileTable } from '../../ts/backend/profiler.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeEach(async () => {
  await useNativeBackend();
});

const limits = { flopsPerSecond: 1e11, bytesPerSecond: 1e10 };

describe('a profile', () => {
  it('counts calls, bytes and operations', async () => {
    const a = tf.ones([64, 32]);
    const b = tf.ones([32, 16]);
    const profile = await profileExecution(
      () => {
        for (let i = 0; i < 3; ++i) tf.tidy(() => tf.relu(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D)));
      },
      { limits },
    );
    const row = (name: string): unknown => profile.rows.find((found) => found.name === name);
    expect(row('matmul')).toMatchObject({
      calls: 3,
      flops: 3 * 2 * 64 * 32 * 16,
      bytes: 3 * 4 * (64 * 32 + 32 * 16 + 64 * 16),
    });
    expect(row('relu')).toMatchObject({ calls: 3, flops: 3 * 1024, bytes: 3 * 2 * 4 * 1024 });
    expect(profile.records).toHaveLength(6);
    for (const { enqueuedMs, startMs, endMs } of profile.records) {
      expect(enqueuedMs).toBeGreaterThanOrEqual(0);
      expect(startMs).toBeGreaterThanOrEqual(enqueuedMs);
      expect(endMs).toBeGreaterThanOrEqual(startMs);
      expect(endMs).toBeLessThanOrEqual(profile.wallMs + 1);
    }
    expect(profile.javascript.filter(({ name }) => name === 'matmul')).toHaveLength(3);
    expect(profile.kernelMs).toBeLessThanOrEqual(profile.wallMs);
    tf.dispose([a, b]);
  });

  it('counts of the gradient of a recurrent layer what is made', async () => {
    const [rows, kernel, recurrent] = [2 * 3, 4 * 20, 5 * 20];
    const step = compile((x: tf.Tensor, w: tf.Tensor, r: tf.Tensor) => {
      const loss = (...[k, u]: tf.Tensor[]): tf.Tensor =>
        (lstm(x, { kernel: k as tf.Tensor, recurrentKernel: u as tf.Tensor }).y as tf.Tensor).square().sum();
      return tf.grads(loss)([w, r]);
    });
    const inputs = [tf.ones([2, 3, 4]), tf.ones([4, 20]), tf.ones([5, 20])] as const;
    for (let i = 0; i < 3; ++i) tf.dispose(step(...inputs));
    const profile = await profileExecution(() => tf.dispose(step(...inputs)), { limits });
    const flops = (name: string): unknown => profile.rows.find((row) => row.name === name)?.flops;
    expect(flops('lstm')).toBe(2 * rows * (kernel + recurrent));
    // Of the kernel and, twice, the recurrent kernel: nobody reads the gradient of x.
    expect(flops('lstm_grad')).toBe(2 * rows * (kernel + 2 * recurrent));
    tf.dispose([...inputs]);
    step.dispose();
  });

  it('sees the calls and chains of replays, and its trace has three lanes', async () => {
    const step = compile((x: tf.Tensor) =>
      tf
        .matMul(x as tf.Tensor2D, x as tf.Tensor2D)
        .add(1)
        .relu(),
    );
    const x = tf.ones([64, 64]);
    for (let i = 0; i < 3; ++i) step(x).dispose();
    const profile = await profileExecution(() => step(x).dispose(), { limits });
    expect(profile.records.map(({ name, inPlan }) => [name, inPlan])).toEqual(
      tf.getBackend() === 'tensorkiln-cpu'
        ? [
            ['matmul', true],
            ['add+relu', true],
          ]
        : [
            ['matmul', true],
            ['add', true],
            ['relu', true],
          ],
    );
    expect(profile.javascript.map(({ name }) => name)).toEqual(['replay']);
    const { traceEvents } = JSON.parse(chromeTrace(profile)) as {
      traceEvents: { ph: string; tid: number; name: string; args?: { name?: string } }[];
    };
    expect(traceEvents.filter(({ ph }) => ph === 'M').map(({ args }) => args?.name)).toEqual([
      'JavaScript',
      'queue',
      'kernels',
    ]);
    expect(traceEvents.filter(({ ph, tid }) => ph === 'X' && tid === 2)).toHaveLength(profile.records.length);
    expect(profileTable(profile)).toMatch(/of limit {2}op\n[^]*matmul/);
    x.dispose();
    step.dispose();
  });

  it('is refused inside another, and ends with an error of the work', async () => {
    await profileExecution(
      async () => {
        await expect(profileExecution(() => undefined, { limits })).rejects.toMatchObject({ code: 'E_USAGE' });
      },
      { limits },
    );
    await expect(
      profileExecution(
        () => {
          throw new RangeError('mine');
        },
        { limits },
      ),
    ).rejects.toThrow(RangeError);
    expect((await profileExecution(() => undefined, { limits })).records).toEqual([]);
  });

  it('is judged by limits that are those of a machine', () => {
    const { flopsPerSecond, bytesPerSecond } = measureLimits();
    expect(flopsPerSecond).toBeGreaterThan(1e8);
    expect(bytesPerSecond).toBeGreaterThan(1e7);
    expect(Number.isFinite(flopsPerSecond + bytesPerSecond)).toBe(true);
  });
});

describe('tf.time and tf.profile', () => {
  it('tf.time waits for what was enqueued', async () => {
    const x = tf.ones([256, 256]);
    const { kernelMs, wallMs } = await tf.time(() => {
      tf.tidy(() => tf.matMul(tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D), x as tf.Tensor2D));
    });
    expect(kernelMs as number).toBeGreaterThan(0);
    expect(wallMs).toBeGreaterThanOrEqual(kernelMs as number);
    x.dispose();
  });

  it('tf.profile names each kernel with its time', async () => {
    const x = tf.ones([64, 64]);
    const { kernels } = await tf.profile(() => tf.relu(tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D)));
    expect(kernels.map(({ name }) => name)).toEqual(expect.arrayContaining(['BatchMatMul', 'Relu']));
    const times = await Promise.all(kernels.map(async ({ kernelTimeMs }) => kernelTimeMs));
    for (const time of times) expect(time as number).toBeGreaterThanOrEqual(0);
    x.dispose();
  });
});
