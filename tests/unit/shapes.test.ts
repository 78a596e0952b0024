import { describe, expect, it } from 'vitest';
import { convGeometry, poolGeometry, toChannelsFirst, toChannelsLast } from '../../ts/backend/shapes/conv.js';
import { concatShape, contiguousOffset, paddedShape, rangeExtent, reshapedShape } from '../../ts/backend/shapes/layout.js';
import { matMulGeometry } from '../../ts/backend/shapes/matmul.js';
import { planReduction, splitAtAxis } from '../../ts/backend/shapes/reduce.js';
import { checkedSize } from '../../ts/native/engine.js';

const shapeError = expect.objectContaining({ code: 'E_SHAPE' }) as Error;

describe('planReduction', () => {
  it.each([
    ['one axis', [2, 3, 4], [1], false, [2, 4], [{ outer: 2, n: 3, inner: 4 }]],
    ['kept dims', [2, 3, 4], [1], true, [2, 1, 4], [{ outer: 2, n: 3, inner: 4 }]],
    ['neighbours in any order', [2, 3, 4], [2, 1], false, [2], [{ outer: 2, n: 12, inner: 1 }]],
    ['all', [2, 3], [0, 1], false, [], [{ outer: 1, n: 6, inner: 1 }]],
    [
      'axes that are apart',
      [2, 3, 4],
      [0, 2],
      false,
      [3],
      [
        { outer: 6, n: 4, inner: 1 },
        { outer: 1, n: 2, inner: 3 },
      ],
    ],
    ['axes apart but for a unit axis', [2, 1, 4], [0, 2], false, [1], [{ outer: 1, n: 8, inner: 1 }]],
    ['a unit axis', [2, 1, 3], [1], false, [2, 3], [{ outer: 6, n: 1, inner: 1 }]],
    ['no axis', [2, 3], [], false, [2, 3], [{ outer: 6, n: 1, inner: 1 }]],
    ['a scalar', [], [], false, [], [{ outer: 1, n: 1, inner: 1 }]],
    ['an empty axis', [3, 0], [1], false, [3], [{ outer: 3, n: 0, inner: 1 }]],
  ])('plans %s', (_, shape, axes, keepDims, expected, steps) => {
    const plan = planReduction(shape, axes, keepDims);
    expect(plan.shape).toEqual(expected);
    expect(plan.steps).toEqual(steps);
  });

  it('splits a shape at an axis', () => {
    expect(splitAtAxis([2, 3, 4, 5], 2)).toEqual([6, 4, 5]);
    expect(splitAtAxis([7], 0)).toEqual([1, 7, 1]);
  });
});

describe('matMulGeometry', () => {
  const plain = { transposeA: false, transposeB: false };

  it('joins the batch with the rows when the right side is one matrix', () => {
    const { shape, a, b, y } = matMulGeometry([4, 3, 5], [5, 2], plain);
    expect({ shape, a, b, y }).toEqual({ shape: [4, 3, 2], a: [1, 12, 5], b: [1, 5, 2], y: [1, 12, 2] });
  });

  it('keeps the batch when the left side is transposed', () => {
    const { a, y } = matMulGeometry([4, 5, 3], [1, 5, 2], { transposeA: true, transposeB: false });
    expect({ a, y }).toEqual({ a: [4, 5, 3], y: [4, 3, 2] });
  });

  it('expands a batch that is neither the result nor 1', () => {
    const { shape, expandA, expandB } = matMulGeometry([2, 1, 3, 5], [1, 3, 5, 2], plain);
    expect({ shape, expandA, expandB }).toEqual({ shape: [2, 3, 3, 2], expandA: [2, 3, 3, 5], expandB: [2, 3, 5, 2] });
  });

  it('names both shapes when inner sizes differ', () => {
    expect(() => matMulGeometry([8, 64], [32, 16], plain)).toThrow(/\[8, 64\].*64.*\[32, 16\].*32/);
    expect(() => matMulGeometry([8, 64], [32, 16], plain)).toThrow(shapeError);
  });
});

describe('convolution and pooling', () => {
  const options = { strides: 2, dilations: 1, pad: 'same', dimRoundingMode: undefined } as const;

  it('puts the odd element of same padding after', () => {
    const geometry = convGeometry([1, 6, 7, 2], [3, 3, 2, 4], options);
    expect(geometry.output).toEqual([1, 3, 4, 4]);
    expect(geometry.ints).toEqual([2, 2, 1, 1, 0, 1]);
  });

  it('refuses channels that differ', () => {
    expect(() => convGeometry([1, 6, 7, 3], [3, 3, 2, 4], options)).toThrow(/\[\?, \?, 3, \?\].*\[3, 3, 2, 4\]/);
  });

  it('sees a window of one element as no pooling', () => {
    const pool = { filterSize: 1, strides: 1, pad: 'valid', dimRoundingMode: undefined } as const;
    expect(poolGeometry([1, 4, 4, 2], pool).isIdentity).toBe(true);
    expect(poolGeometry([1, 4, 4, 2], { ...pool, strides: 2 }).isIdentity).toBe(false);
  });

  it('turns formats there and back', () => {
    expect(toChannelsLast([1, 2, 3, 4])).toEqual([1, 3, 4, 2]);
    expect(toChannelsFirst(toChannelsLast([1, 2, 3, 4]))).toEqual([1, 2, 3, 4]);
  });
});

describe('layout', () => {
  it.each([
    [[6, 4], [2, 0], [3, 4], 8],
    [[6, 4], [2, 1], [1, 2], 9],
    [[6, 4], [0, 1], [6, 2], undefined],
    [[3, 4, 5], [1, 2, 0], [1, 2, 5], 30],
    [[3, 4, 5], [1, 0, 0], [2, 4, 4], undefined],
    [[3, 1, 5], [0, 0, 0], [3, 1, 5], 0],
    [[], [], [], 0],
  ])('finds where a slice of %j from %j of %j lies', (shape, begin, size, offset) => {
    expect(contiguousOffset(shape, begin, size)).toBe(offset);
  });

  it('pads and refuses negative paddings', () => {
    expect(
      paddedShape(
        [2, 3],
        [
          [1, 0],
          [2, 3],
        ],
      ),
    ).toEqual([3, 8]);
    expect(() =>
      paddedShape(
        [2, 3],
        [
          [1, 0],
          [-1, 0],
        ],
      ),
    ).toThrow(shapeError);
    expect(() => paddedShape([2, 3], [[1, 0]])).toThrow(shapeError);
  });

  it.each([
    [0, 5, 1, 5, 1],
    [0, 5, 2, 3, 2],
    [5, 0, 1, 5, -1],
    [5, 0, -2, 3, -2],
    [0, 5, -1, 0, -1],
    [5, 0, 2, 0, 2],
    [3, 3, 1, 0, 1],
  ])('counts a range from %d to %d by %d', (start, stop, step, count, effective) => {
    expect(rangeExtent(start, stop, step)).toEqual({ count, step: effective });
  });

  it('joins shapes and names those that differ', () => {
    expect(
      concatShape(
        [
          [2, 3],
          [2, 0],
          [2, 4],
        ],
        1,
      ),
    ).toEqual([2, 7]);
    expect(() =>
      concatShape(
        [
          [2, 3],
          [3, 4],
        ],
        1,
      ),
    ).toThrow(/\[2, 3\].*\[3, 4\]/);
    expect(() =>
      concatShape(
        [
          [2, 3],
          [2, 3, 1],
        ],
        1,
      ),
    ).toThrow(shapeError);
  });

  it.each([
    [
      [2, 3, 4],
      [6, -1],
      [6, 4],
    ],
    [[2, 3], [6], [6]],
    [[], [1, 1], [1, 1]],
    [[0, 3], [0], [0]],
    [
      [0, 3],
      [-1, 3],
      [0, 3],
    ],
  ])('reshapes %j to %j', (shape, wanted, result) => {
    expect(reshapedShape(shape, wanted)).toEqual(result);
  });

  it.each([
    [[2, 3], [4]],
    [
      [2, 3],
      [-1, 4],
    ],
    [
      [2, 3],
      [-1, -1],
    ],
    [
      [0, 3],
      [-1, 0],
    ],
    [
      [2, 3],
      [-2, -3],
    ],
  ])('refuses to reshape %j to %j', (shape, wanted) => {
    expect(() => reshapedShape(shape, wanted)).toThrow(shapeError);
  });
});

describe('checkedSize', () => {
  it('multiplies dimensions', () => {
    expect(checkedSize([])).toBe(1);
    expect(checkedSize([2, 0, 3])).toBe(0);
    expect(checkedSize([65_536, 65_536])).toBe(2 ** 32);
  });

  it.each([[[2.5]], [[-1]], [[NaN]], [[2 ** 31]], [[2 ** 30, 2 ** 30]]])('refuses %j', (shape) => {
    expect(() => checkedSize(shape)).toThrow(shapeError);
  });
});
