/** Pooling of [N, H, W, C] and [N, D, H, W, C] images and its gradients. */
import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp, type Operand, type OpRef } from '../../native/engine.js';
import { NO_HANDLE, storageOf } from '../record.js';
import { pool3DGeometry, poolGeometry, type Padding, type Pair, type Rounding, type Triple } from '../shapes/conv.js';
import { assertNumeric, assertShape, cast, consume, kernel, withDtype, type Kernel } from './kernel.js';

interface PoolAttrs {
  filterSize: Pair;
  strides: Pair;
  pad: Padding;
  dimRoundingMode?: Rounding;
}

interface Pool3DAttrs {
  filterSize: Triple;
  strides: Triple;
  pad: 'valid' | 'same' | number;
  dimRoundingMode?: Rounding;
}

const maxPoolOp = declareOp('max_pool2d');
const avgPoolOp = declareOp('avg_pool2d');
const maxPoolGradOp = declareOp('max_pool2d_grad');
const avgPoolGradOp = declareOp('avg_pool2d_grad');

const maxPoolArgmaxOp = declareOp('max_pool2d_argmax');
const maxPool3DOp = declareOp('max_pool3d');
const avgPool3DOp = declareOp('avg_pool3d');
const maxPool3DGradOp = declareOp('max_pool3d_grad');
const avgPool3DGradOp = declareOp('avg_pool3d_grad');

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

function geometry3DOf(x: TensorInfo, attrs: Pool3DAttrs): ReturnType<typeof pool3DGeometry> {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  return pool3DGeometry(x.shape, { filterSize, strides, pad, dimRoundingMode });
}

/** The result is float32 whatever came in. */
function pool3D(backend: TensorkilnBackend, op: OpRef, x: TensorInfo, attrs: Pool3DAttrs): TensorInfo {
  assertNumeric([x], op.name);
  const geometry = geometry3DOf(x, attrs);
  return withDtype(backend, [x], 'float32', ([image]) =>
    backend.run(op, [backend.operand(image as TensorInfo)], { shape: geometry.output, dtype: 'float32' }, geometry.ints),
  );
}

/** The pooled image in x's dtype, and the int32 positions of the largest values. */
function maxPoolWithArgmax(
  backend: TensorkilnBackend,
  x: TensorInfo,
  attrs: PoolAttrs & { includeBatchInIndex: boolean },
): TensorInfo[] {
  assertNumeric([x], 'maxPoolWithArgmax');
  const { output, ints } = geometryOf(x, attrs);
  return withDtype(backend, [x], 'float32', ([image]) => {
    const made = (dtype: DataType): Operand => ({
      handle: NO_HANDLE,
      storage: storageOf(dtype, maxPoolArgmaxOp.name),
      shape: output,
    });
    const [y, positions] = [made('float32'), made('int32')];
    backend.engine.call(
      maxPoolArgmaxOp,
      [backend.operand(image as TensorInfo), y, positions],
      [...ints, attrs.includeBatchInIndex ? 1 : 0],
    );
    const pooled = backend.adopt(y.handle, output, 'float32');
    return [
      x.dtype === 'float32' ? pooled : consume(backend, pooled, (float) => cast(backend, float, x.dtype)),
      backend.adopt(positions.handle, output, 'int32'),
    ];
  });
}

export const poolKernels: readonly Kernel[] = [
  kernel<{ x: TensorInfo }, PoolAttrs>('MaxPool', ({ inputs, attrs, backend }) => pool(backend, maxPoolOp, inputs.x, attrs)),
  kernel<{ x: TensorInfo }, PoolAttrs>('AvgPool', ({ inputs, attrs, backend }) => pool(backend, avgPoolOp, inputs.x, attrs)),
  kernel<{ dy: TensorInfo; input: TensorInfo }, PoolAttrs>('MaxPoolGrad', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.dy, inputs.input], 'maxPoolGrad');
    const { ints, input, output } = geometryOf(inputs.input, attrs);
    assertShape('maxPoolGrad: dy', inputs.dy, output);
    return backend.run(
      maxPoolGradOp,
      [backend.operand(inputs.dy), backend.operand(inputs.input)],
      { shape: input, dtype: 'float32' },
      ints,
    );
  }),
  kernel<{ dy: TensorInfo; input: TensorInfo }, PoolAttrs>('AvgPoolGrad', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.dy], 'avgPoolGrad');
    const { ints, input, output } = geometryOf(inputs.input, attrs);
    assertShape('avgPoolGrad: dy', inputs.dy, output);
    return backend.run(avgPoolGradOp, [backend.operand(inputs.dy)], { shape: input, dtype: 'float32' }, ints);
  }),
  kernel<{ x: TensorInfo }, PoolAttrs & { includeBatchInIndex: boolean }>('MaxPoolWithArgmax', ({ inputs, attrs, backend }) =>
    maxPoolWithArgmax(backend, inputs.x, attrs),
  ),
  kernel<{ x: TensorInfo }, Pool3DAttrs>('MaxPool3D', ({ inputs, attrs, backend }) =>
    pool3D(backend, maxPool3DOp, inputs.x, attrs),
  ),
  kernel<{ x: TensorInfo }, Pool3DAttrs>('AvgPool3D', ({ inputs, attrs, backend }) =>
    pool3D(backend, avgPool3DOp, inputs.x, attrs),
  ),
  kernel<{ dy: TensorInfo; input: TensorInfo }, Pool3DAttrs>('MaxPool3DGrad', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.dy, inputs.input], 'maxPool3DGrad');
    const { ints, input, output } = geometry3DOf(inputs.input, attrs);
    assertShape('maxPool3DGrad: dy', inputs.dy, output);
    return withDtype(backend, [inputs.dy, inputs.input], 'float32', ([dy, x]) =>
      backend.run(
        maxPool3DGradOp,
        [backend.operand(dy as TensorInfo), backend.operand(x as TensorInfo)],
        { shape: input, dtype: 'float32' },
        ints,
      ),
    );
  }),
  kernel<{ dy: TensorInfo; input: TensorInfo }, Pool3DAttrs>('AvgPool3DGrad', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.dy], 'avgPool3DGrad');
    const { ints, input, output } = geometry3DOf(inputs.input, attrs);
    assertShape('avgPool3DGrad: dy', inputs.dy, output);
    return withDtype(backend, [inputs.dy], 'float32', ([dy]) =>
      backend.run(avgPool3DGradOp, [backend.operand(dy as TensorInfo)], { shape: input, dtype: 'float32' }, ints),
    );
  }),
];
