/** Kernels that exchange pixels for images or channels, block by block. They only move elements. */
import { util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { batchToSpace, checkBlocks, cropped, depthToSpace, spaceToBatch, type Rearrangement } from '../shapes/image.js';
import { assertNumeric, consume, kernel, type Kernel } from './kernel.js';
import { pad, slice, transpose } from './layout.js';

function rearrange(backend: TensorkilnBackend, x: TensorInfo, { split, perm, joined }: Rearrangement): TensorInfo {
  return consume(backend, backend.alias(x, split), (whole) =>
    consume(backend, transpose(backend, whole, perm), (moved) => backend.alias(moved, joined)),
  );
}

interface OneInput {
  x: TensorInfo;
}

export const blockKernels: readonly Kernel[] = [
  kernel<OneInput, { blockShape: number[]; paddings: [number, number][] }>('SpaceToBatchND', ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    assertNumeric([x], 'spaceToBatchND');
    const { blockShape } = attrs;
    checkBlocks('spaceToBatchND', x.shape, blockShape, attrs.paddings);
    const rest = new Array<[number, number]>(x.shape.length - 1 - blockShape.length).fill([0, 0]);
    const padded = pad(backend, x, [[0, 0], ...attrs.paddings, ...rest], 0);
    return consume(backend, padded, (whole) => rearrange(backend, whole, spaceToBatch(whole.shape, blockShape)));
  }),
  kernel<OneInput, { blockShape: number[]; crops: number[][] }>('BatchToSpaceND', ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    assertNumeric([x], 'batchToSpaceND');
    const { blockShape, crops } = attrs;
    checkBlocks('batchToSpaceND', x.shape, blockShape, crops);
    return consume(backend, rearrange(backend, x, batchToSpace(x.shape, blockShape)), (whole) => {
      const { begin, size } = cropped(whole.shape, crops);
      return slice(backend, whole, begin, size);
    });
  }),
  kernel<OneInput, { blockSize: number; dataFormat: 'NHWC' | 'NCHW' }>('DepthToSpace', ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    assertNumeric([x], 'depthToSpace');
    util.assert(
      attrs.dataFormat === 'NHWC' || attrs.dataFormat === 'NCHW',
      () => `[depthToSpace] expected dataFormat NHWC or NCHW.`,
    );
    return rearrange(backend, x, depthToSpace(x.shape, attrs.blockSize, attrs.dataFormat));
  }),
];
