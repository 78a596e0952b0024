import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import '../../ts/index.js';
import { chainedMethods, gradientConfigs } from '../../dist/backend/tfjs-gradients.js';
import { registerKernels } from '../../ts/backend/kernels/table.js';
import { registerGradients } from '../../ts/backend/tfjs.js';

const distribution = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-core/package.json')),
  'dist',
);

describe('what tfjs-core leaves out in Node', () => {
  it('is registered: every gradient it has', () => {
    // 101 kernels have gradients; FusedBatchNorm and others appear under one name each.
    const names = new Set(gradientConfigs.map(({ kernelName }) => kernelName));
    const files = readdirSync(path.join(distribution, 'gradients')).filter((file) => file.endsWith('_grad.js'));
    expect(names.size).toBe(files.length);
    for (const name of names) expect(tf.getGradient(name), name).toBeDefined();
  });

  it('is there: every chained method', () => {
    const files = readdirSync(path.join(distribution, 'public', 'chained_ops')).filter(
      (file) => file.endsWith('.js') && !file.startsWith('register_all') && !file.endsWith('_test.js'),
    );
    expect(Object.keys(chainedMethods).length).toBeGreaterThanOrEqual(files.length);
    const prototype = tf.Tensor.prototype as unknown as Record<string, unknown>;
    for (const name of Object.keys(chainedMethods)) expect(prototype[name], name).toBeTypeOf('function');
    tf.tidy(() => {
      const x = tf.tensor2d([
        [1, 2],
        [3, 4],
      ]);
      expect(x.add(1).mul(2).sum().dataSync()[0]).toBe(28);
      expect(x.transpose().concat(x, 0).shape).toEqual([4, 2]);
      expect(tf.unstack(tf.stack([x, x])).length).toBe(2);
    });
  });

  it('works with the engine that is loaded', () => {
    const before = tf.memory().numTensors;
    const dx = tf.tidy(() => tf.grad((x) => tf.sum(tf.avgPool(x as tf.Tensor4D, 2, 2, 'valid')))(tf.ones([1, 4, 4, 1])));
    expect([...dx.dataSync()]).toEqual(new Array(16).fill(0.25));
    dx.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('leaves what others registered alone', () => {
    const gradient = tf.getGradient('Square');
    const own = { ...gradient, kernelName: 'Square' };
    tf.registerGradient(own);
    const method = (tf.Tensor.prototype as unknown as Record<string, unknown>)['square'];
    registerGradients();
    registerKernels('tensorkiln-cpu');
    expect(tf.getGradient('Square')).toBe(own);
    expect((tf.Tensor.prototype as unknown as Record<string, unknown>)['square']).toBe(method);
    tf.registerGradient(gradient);
  });
});
