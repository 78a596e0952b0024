import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  binaryCrossEntropyWithLogits,
  contrastiveLoss,
  cosineLoss,
  hingeLoss,
  huberLoss,
  klDivergence,
  meanAbsoluteError,
  tripletLoss,
} from '../../ts/nn/index.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const close = (actual: tf.Tensor, expected: readonly number[]): void => {
  expect(actual.shape).toEqual([expected.length]);
  // A few float32 operations on numbers near 1.
  [...actual.dataSync()].forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5));
};
const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;
const p = (): tf.Tensor2D => tf.tensor2d([1, -2, 0.5, 3], [2, 2]);
const t = (): tf.Tensor2D => tf.tensor2d([0, 1, 1, 0], [2, 2]);

describe('losses per row', () => {
  it('follow their formulas', () => {
    close(meanAbsoluteError.rows(p(), t()), [2, 1.75]);
    close(huberLoss().rows(p(), t()), [(0.5 + 2.5) / 2, (0.125 + 2.5) / 2]);
    close(huberLoss({ delta: 2 }).rows(p(), t()), [(0.5 + 4) / 2, (0.125 + 4) / 2]);
    const bce = (z: number, y: number): number =>
      -(y * Math.log(1 / (1 + Math.exp(-z))) + (1 - y) * Math.log(1 / (1 + Math.exp(z))));
    close(binaryCrossEntropyWithLogits.rows(p(), t()), [(bce(1, 0) + bce(-2, 1)) / 2, (bce(0.5, 1) + bce(3, 0)) / 2]);
    close(hingeLoss.rows(p(), tf.tensor2d([1, 1, -1, 1], [2, 2])), [1.5, 0.75]);
    close(cosineLoss.rows(p(), t()), [1 + 2 / Math.sqrt(5), 1 - 0.5 / Math.sqrt(9.25)]);
    const logSoftmax = (a: number, b: number): number => a - Math.log(Math.exp(a) + Math.exp(b));
    const target = tf.tensor2d([0.25, 0.75, 1, 0], [2, 2]);
    close(klDivergence.rows(p(), target), [
      0.25 * (Math.log(0.25) - logSoftmax(1, -2)) + 0.75 * (Math.log(0.75) - logSoftmax(-2, 1)),
      -logSoftmax(0.5, 3),
    ]);
  });

  it('do not overflow and have finite gradients where functions bend', () => {
    const extreme = tf.tensor2d([200, -200], [1, 2]);
    close(binaryCrossEntropyWithLogits.rows(extreme, tf.tensor2d([0, 1], [1, 2])), [200]);
    const same = tf.ones([1, 2]);
    for (const loss of [meanAbsoluteError, huberLoss(), cosineLoss, binaryCrossEntropyWithLogits, klDivergence]) {
      const gradient = tf.grad((x: tf.Tensor) => tf.sum(loss.rows(x, same)))(tf.zeros([1, 2]));
      expect([...gradient.dataSync()].every(Number.isFinite), loss.name).toBe(true);
    }
    const pair = tf.grad((x: tf.Tensor) => tf.sum(contrastiveLoss([x, same], tf.tensor1d([0]))))(same);
    expect([...pair.dataSync()].every(Number.isFinite)).toBe(true);
  });

  it('compare embeddings', () => {
    const [a, b, c] = [tf.tensor2d([[0, 0]]), tf.tensor2d([[1, 0]]), tf.tensor2d([[0, 3]])];
    close(tripletLoss([a, b, c]), [0]);
    close(tripletLoss([a, c, b], { margin: 0.5 }), [8.5]);
    close(contrastiveLoss([a, b], tf.tensor1d([1])), [0.5]);
    close(contrastiveLoss([a, b], tf.tensor1d([1]), { sampleWeights: tf.tensor1d([3]) }), [1.5]);
    close(tripletLoss([a, c, b], { margin: 0.5, sampleWeights: tf.tensor1d([2]) }), [17]);
    expect(() => tripletLoss([a, c, b], { sampleWeights: tf.tensor1d([1, 2]) })).toThrow(/wrong sampleWeights: expected \[1\]/);
    close(contrastiveLoss([a, b], tf.tensor1d([0]), { margin: 3 }), [2]);
    expect(() => huberLoss({ delta: 0 })).toThrow(/\[huberLoss\] wrong delta: expected a finite number > 0, got 0/);
    expect(() => contrastiveLoss([a, b], tf.tensor1d([1]), { margin: NaN })).toThrow(/margin/);
  });

  it('compare embeddings row by row, and nothing that would be broadcast', () => {
    const [three, one, numbers] = [tf.zeros([3, 2]), tf.zeros([1, 2]), tf.zeros([3])];
    expect(() => tripletLoss([three, one, three])).toThrow(
      failure('E_SHAPE', /\[tripletLoss\] wrong positive: expected \[3, 2\] as anchor, got \[1, 2\]/),
    );
    expect(() => tripletLoss([numbers, numbers, numbers])).toThrow(
      failure('E_SHAPE', /wrong anchor: expected \[N, C\], got \[3\]/),
    );
    expect(() => contrastiveLoss([three, three], tf.zeros([3, 1]))).toThrow(
      failure('E_SHAPE', /\[contrastiveLoss\] wrong same: expected \[3\], one per row, got \[3, 1\]/),
    );
    expect(() => contrastiveLoss([three, one], numbers)).toThrow(failure('E_SHAPE', /wrong second/));
    expect(() => contrastiveLoss([three, three], numbers, { weights: numbers } as object)).toThrow(
      failure('E_CONFIG', /unknown option 'weights'/),
    );
  });
});
