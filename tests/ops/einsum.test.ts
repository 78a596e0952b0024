import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { OURS, summation, testOps, type OpCase } from '../support/op-cases.js';

const SIZES: Readonly<Record<string, number>> = { a: 1, b: 2, c: 3, i: 4, j: 5, k: 6, l: 7 };

const EQUATIONS: readonly string[] = [
  'ij->ji',
  'ij->',
  'ij->i',
  'bij->bji',
  'ijk->ki',
  'i,i->',
  'i,j->ij',
  'i,j->ji',
  'ij,jk->ik',
  'ij,jk->ki',
  'ji,jk->ik',
  'ij,kj->ik',
  'bij,bjk->bik',
  'bij,jk->bik',
  'bi,bi->b',
  'bci,bcj->cij',
  'bijc,bkjl->bikcl',
  'ijk,jil->kl',
  'ijk,jl->il',
  'ij,->i',
  'a,ab->b',
  'bi,bj->',
];

function shapesOf(equation: string): number[][] {
  const [terms = ''] = equation.split('->');
  return terms.split(',').map((term) => Array.from(term, (letter) => SIZES[letter] as number));
}

const cases: readonly OpCase[] = EQUATIONS.flatMap((equation) => {
  const shapes = shapesOf(equation);
  return (['float32', 'int32'] as const).map((dtype) => ({
    name: `einsum ${equation} ${dtype}`,
    inputs: shapes.map((shape) => ({ shape, dtype })),
    run: (...tensors: tf.Tensor[]) => tf.einsum(equation, ...tensors),
    // At most all letters of an equation are summed: 4 * 5 * 6 * 7 products of up to 4.
    ...(dtype === 'float32' ? { tolerance: summation(60, 4) } : {}),
  }));
});

describe('einsum', () => {
  testOps(cases);

  it('sums an axis that only one tensor has, in both, which the stock backend refuses', async () => {
    await tf.setBackend(OURS);
    const a = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const b = tf.tensor2d([1, 1, 10, 2, 2, 20], [2, 3]);
    expect(tf.einsum('ij,kl->jl', a, b).arraySync()).toEqual([
      [12, 12, 120],
      [18, 18, 180],
    ]);
  });

  it('sums an axis of one tensor before it multiplies, as PyTorch does: an infinity then hides a 0 beside it', async () => {
    await tf.setBackend(OURS);
    const [x, y] = [tf.tensor3d([0, -Infinity], [1, 1, 2]), tf.tensor2d([[Infinity]])];
    expect(tf.einsum('ijk,jl->il', x, y).arraySync()).toEqual([[-Infinity]]);
  });

  it('refuses sizes that differ and equations tfjs-core does not take', async () => {
    await tf.setBackend(OURS);
    const [a, b] = [tf.ones([2, 3]), tf.ones([4, 2])];
    expect(() => tf.einsum('ij,jk->ik', a, b)).toThrow(/Expected dimension 3/);
    expect(() => tf.einsum('ii->i', a)).toThrow(/duplicate axes/);
    expect(() => tf.einsum('ij,jk,kl->il', a, b, a)).toThrow(/more than 2 input tensors/);
  });
});
