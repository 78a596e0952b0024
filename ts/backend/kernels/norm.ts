/** Normalisation with given statistics. */
import { backend_util, util, type TensorInfo } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp } from '../../native/engine.js';
import { sameShape } from '../record.js';
import { repeatsAlong } from '../shapes/norm.js';
import { assertNumeric, cast, consume, kernel, withDtype, type Kernel } from './kernel.js';
import { tileTo } from './layout.js';

interface BatchNormInputs {
  x: TensorInfo;
  mean: TensorInfo;
  variance: TensorInfo;
  scale?: TensorInfo | null;
  offset?: TensorInfo | null;
}

const batchNormOp = declareOp('batch_norm');
/** tfjs's value when the caller gives none. */
const EPSILON = 0.001;

/** Calls `body` with parameters that all have one element or one common length and repeat along x. @throws E_SHAPE */
function withEqualLengths<Result>(
  backend: TensorkilnBackend,
  params: readonly TensorInfo[],
  shape: readonly number[],
  body: (params: readonly TensorInfo[]) => Result,
): Result {
  for (const param of params) {
    if (!sameShape(backend_util.assertAndGetBroadcastShape(param.shape, [...shape]), shape)) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[batchNorm] a parameter [${param.shape.join(', ')}] does not fit an input [${shape.join(', ')}].`,
      );
    }
  }
  const lengths = new Set(params.map((param) => util.sizeFromShape(param.shape)).filter((length) => length !== 1));
  if (lengths.size <= 1 && params.every((param) => repeatsAlong(param.shape, shape))) return body(params);
  const tiled = params.map((param) => tileTo(backend, param, shape));
  try {
    return body(tiled);
  } finally {
    for (const param of tiled) backend.disposeIntermediate(param);
  }
}

function batchNorm(backend: TensorkilnBackend, inputs: BatchNormInputs, epsilon: number): TensorInfo {
  const { x, mean, variance, scale, offset } = inputs;
  const given = [mean, variance, scale, offset].filter((param) => param !== undefined && param !== null);
  assertNumeric([x, ...given], 'batchNorm');
  const y = withDtype(backend, [x, ...given], 'float32', ([image, ...floats]) =>
    withEqualLengths(backend, floats, x.shape, (params) =>
      backend.run(
        batchNormOp,
        [image as TensorInfo, ...params].map((tensor) => backend.operand(tensor)),
        { shape: x.shape, dtype: 'float32' },
        [scale ? 1 : 0, offset ? 1 : 0],
        [epsilon],
      ),
    ),
  );
  return x.dtype === 'float32' ? y : consume(backend, y, (float) => cast(backend, float, x.dtype));
}

export const normKernels: readonly Kernel[] = [
  kernel<BatchNormInputs, { varianceEpsilon?: number | null }>('FusedBatchNorm', ({ inputs, attrs, backend }) =>
    batchNorm(backend, inputs, attrs.varianceEpsilon ?? EPSILON),
  ),
];
