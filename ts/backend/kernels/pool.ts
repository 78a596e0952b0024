/** 2-D pooling of [N, H, W, C] images and its gradients. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp, type OpRef } from '../native/engine.js';
import { poolGeometry, type Padding, type Pair, type Rounding } from '../shapes/conv.js';
import { assertNumeric, cast, consume, kernel, withDtype, type Kernel } from './kernel.js';

interface PoolAttrs {
  filterSize: Pair;
  strides: Pair;
  pad: Padding;
  dimRoundingMode?: Rounding;
}

const maxPoolOp = declareOp('max_pool2d');
const avgPoolOp = declareOp('avg_pool2d');
const maxPoolGradOp = declareOp('max_pool2d_grad');
const avgPoolGradOp = declareOp('avg_pool2d_grad');

function geometryOf(x: TensorInfo, attrs: PoolAttrs): ReturnType<typeof poolGeometry> {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  return poolGeometry(x.shape, { filterSize, strides, pad, dimRoundingMode });
}

function pool(backend: TensorkilnBackend, op: OpRef, x: TensorInfo, attrs: PoolAttrs): TensorInfo {
  assertNumeric([x], op.name);
  const geometry = geometryOf(x, attrs);
  if (geometry.isIdentity) return backend.alias(x);
  const y = withDtype(backend, [x], 'float32', ([image]) =>
    backend.run(op, [backend.operand(image as TensorInfo)], { shape: geometry.output, dtype: 'float32' }, geometry.ints),
  );
  return x.dtype === 'float32' ? y : consume(backend, y, (float) => cast(backend, float, x.dtype));
}

export const poolKernels: readonly Kernel[] = [
  kernel<{ x: TensorInfo }, PoolAttrs>('MaxPool', ({ inputs, attrs, backend }) => pool(backend, maxPoolOp, inputs.x, attrs)),
  kernel<{ x: TensorInfo }, PoolAttrs>('AvgPool', ({ inputs, attrs, backend }) => pool(backend, avgPoolOp, inputs.x, attrs)),
  kernel<{ dy: TensorInfo; input: TensorInfo }, PoolAttrs>('MaxPoolGrad', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.dy, inputs.input], 'maxPoolGrad');
    const { ints, input } = geometryOf(inputs.input, attrs);
    return backend.run(
      maxPoolGradOp,
      [backend.operand(inputs.dy), backend.operand(inputs.input)],
      { shape: input, dtype: 'float32' },
      ints,
    );
  }),
  kernel<{ dy: TensorInfo; input: TensorInfo }, PoolAttrs>('AvgPoolGrad', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.dy], 'avgPoolGrad');
    const { ints, input } = geometryOf(inputs.input, attrs);
    return backend.run(avgPoolGradOp, [backend.operand(inputs.dy)], { shape: input, dtype: 'float32' }, ints);
  }),
];
