/** 3-D convolution of [N, D, H, W, C] images and its gradients. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp, type OpRef } from '../../native/engine.js';
import { conv3DGeometry, type Shape5, type Triple } from '../shapes/conv.js';
import { assertNumeric, assertShape, cast, commonDtype, consume, kernel, withDtype, type Kernel } from './kernel.js';

interface Conv3DAttrs {
  strides: Triple;
  pad: 'valid' | 'same';
  dilations?: Triple;
}

const convOp = declareOp('conv3d');
const inputGradOp = declareOp('conv3d_input_grad');
const filterGradOp = declareOp('conv3d_filter_grad');

function geometryOf(
  input: readonly number[],
  filter: readonly number[],
  { strides, pad, dilations }: Conv3DAttrs,
): ReturnType<typeof conv3DGeometry> {
  // Null when a converted model leaves it out.
  return conv3DGeometry(input, filter, { strides, pad, dilations: dilations ?? 1 });
}

/** Runs one of the three ops in float32. */
function runFloat(
  backend: TensorkilnBackend,
  op: OpRef,
  inputs: readonly TensorInfo[],
  call: { shape: readonly number[]; ints: readonly number[] },
): TensorInfo {
  assertNumeric(inputs, op.name);
  return withDtype(backend, inputs, 'float32', (floats) =>
    backend.run(
      op,
      floats.map((tensor) => backend.operand(tensor)),
      { shape: call.shape, dtype: 'float32' },
      call.ints,
    ),
  );
}

export const conv3DKernels: readonly Kernel[] = [
  kernel<{ x: TensorInfo; filter: TensorInfo }, Conv3DAttrs>('Conv3D', ({ inputs: { x, filter }, attrs, backend }) => {
    const { output, ints } = geometryOf(x.shape, filter.shape, attrs);
    const y = runFloat(backend, convOp, [x, filter], { shape: output, ints });
    const dtype = commonDtype(x, filter);
    return dtype === 'float32' ? y : consume(backend, y, (float) => cast(backend, float, dtype));
  }),
  kernel<{ dy: TensorInfo; filter: TensorInfo }, Conv3DAttrs & { inputShape: Shape5 }>(
    'Conv3DBackpropInputV2',
    ({ inputs: { dy, filter }, attrs, backend }) => {
      const { input, output, ints } = geometryOf(attrs.inputShape, filter.shape, attrs);
      assertShape('conv3dBackpropInput: dy', dy, output);
      return runFloat(backend, inputGradOp, [dy, filter], { shape: input, ints });
    },
  ),
  kernel<{ x: TensorInfo; dy: TensorInfo }, Conv3DAttrs & { filterShape: Shape5 }>(
    'Conv3DBackpropFilterV2',
    ({ inputs: { x, dy }, attrs, backend }) => {
      const { filter, output, ints } = geometryOf(x.shape, attrs.filterShape, attrs);
      assertShape('conv3dBackpropFilter: dy', dy, output);
      return runFloat(backend, filterGradOp, [x, dy], { shape: filter, ints });
    },
  ),
];
