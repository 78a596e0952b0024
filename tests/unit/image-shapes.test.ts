import { describe, expect, it } from 'vitest';
import {
  batchToSpace,
  cropped,
  depthToSpace,
  dilationGeometry,
  resizedShape,
  rotationFill,
  spaceToBatch,
} from '../../ts/backend/shapes/image.js';

describe('resizedShape', () => {
  it('keeps images and channels', () => {
    expect(resizedShape([2, 5, 7, 3], [4, 9])).toEqual([2, 4, 9, 3]);
    expect(resizedShape([0, 0, 7, 3], [4, 9])).toEqual([0, 4, 9, 3]);
    expect(resizedShape([2, 0, 7, 3], [0, 9])).toEqual([2, 0, 9, 3]);
  });

  it('refuses to make pixels from none', () => {
    expect(() => resizedShape([2, 5, 0, 3], [4, 9])).toThrow(
      expect.objectContaining({ code: 'E_SHAPE', message: expect.stringContaining('[2, 5, 0, 3]') as string }) as Error,
    );
  });
});

describe('blocks', () => {
  it('become images', () => {
    expect(spaceToBatch([2, 4, 6, 3], [2, 3])).toEqual({
      split: [2, 2, 2, 2, 3, 3],
      perm: [2, 4, 0, 1, 3, 5],
      joined: [12, 2, 2, 3],
    });
  });

  it('come from images', () => {
    expect(batchToSpace([12, 2, 2, 3], [2, 3])).toEqual({
      split: [2, 3, 2, 2, 2, 3],
      perm: [2, 3, 0, 4, 1, 5],
      joined: [2, 4, 6, 3],
    });
  });

  it('come from channels, which stand last or first', () => {
    expect(depthToSpace([1, 2, 3, 8], 2, 'NHWC').joined).toEqual([1, 4, 6, 2]);
    expect(depthToSpace([1, 8, 2, 3], 2, 'NCHW').joined).toEqual([1, 2, 4, 6]);
  });

  it('lose what is cropped, axis by axis', () => {
    const crops = [
      [1, 2],
      [0, 3],
    ];
    expect(cropped([5, 6, 7, 8], crops)).toEqual({ begin: [0, 1, 0, 0], size: [5, 3, 4, 8] });
  });
});

describe('dilationGeometry', () => {
  it('gives shape, strides, dilations and padding', () => {
    const attrs = { strides: [2, 1] as [number, number], pad: 'same' as const, dilations: [1, 2] as [number, number] };
    expect(dilationGeometry([1, 5, 6, 3], [3, 2, 3], attrs)).toEqual({ output: [1, 3, 6, 3], ints: [2, 1, 1, 2, 1, 1] });
    expect(dilationGeometry([1, 5, 6, 3], [3, 2, 3], { ...attrs, pad: 'valid' }).output).toEqual([1, 2, 4, 3]);
  });
});

describe('rotationFill', () => {
  it('has one value for all channels, or colours, opacity and nothing', () => {
    expect(rotationFill(7, 3, 'float32')).toEqual([7]);
    expect(rotationFill([1, 2, 3], 1, 'float32')).toEqual([1]);
    expect(rotationFill([1, 2, 3], 4, 'float32')).toEqual([1, 2, 3, 255]);
    expect(rotationFill([1, 2, 3], 9, 'float32')).toEqual([1, 2, 3, 255, NaN]);
    expect(rotationFill([1, 2, 3], 5, 'int32')).toEqual([1, 2, 3, 255, 0]);
  });
});
