/** Kernels of images [batch, height, width, channels]: resizing, cropping, turning, boxes, dilation, local normalization. */
import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp, type Operand, type OpRef } from '../../native/engine.js';
import { NO_HANDLE, storageOf } from '../record.js';
import { dilationGeometry, resizedShape, rotationFill, type DilationAttrs, type ImageShape } from '../shapes/image.js';
import { assertNumeric, assertShape, cast, consume, kernel, withDtype, type Kernel } from './kernel.js';

const resizeBilinearOp = declareOp('resize_bilinear');
const resizeBilinearGradOp = declareOp('resize_bilinear_grad');
const resizeNearestOp = declareOp('resize_nearest');
const resizeNearestGradOp = declareOp('resize_nearest_grad');
const cropAndResizeOp = declareOp('crop_and_resize');
const transformOp = declareOp('transform_image');
const rotateOp = declareOp('rotate_image');
const reverseOp = declareOp('reverse');
const nonMaxSuppressionOp = declareOp('non_max_suppression');
const dilationOp = declareOp('dilation2d');
const dilationInputGradOp = declareOp('dilation2d_input_grad');
const dilationFilterGradOp = declareOp('dilation2d_filter_grad');
const lrnOp = declareOp('lrn');
const lrnGradOp = declareOp('lrn_grad');

/** Axis of an image along which a row runs. */
const WIDTH_AXIS = 2;
/** Numbers of transform_image's fill_mode. */
const FILL_MODES: readonly string[] = ['constant', 'reflect', 'wrap', 'nearest'];

interface ResizeAttrs {
  alignCorners: boolean;
  halfPixelCenters?: boolean;
}

function resizeInts({ alignCorners, halfPixelCenters }: ResizeAttrs): number[] {
  return [alignCorners ? 1 : 0, halfPixelCenters === true ? 1 : 0];
}

/** Runs an op on float32 copies of tensors of other dtypes; the result has the dtype asked for. */
function inFloat(
  backend: TensorkilnBackend,
  op: OpRef,
  tensors: readonly TensorInfo[],
  output: { shape: readonly number[]; dtype: TensorInfo['dtype'] },
  attributes: { ints?: readonly number[]; floats?: readonly number[] },
): TensorInfo {
  assertNumeric(tensors, op.name);
  const y = withDtype(backend, tensors, 'float32', (floats) =>
    backend.run(
      op,
      floats.map((tensor) => backend.operand(tensor)),
      { shape: output.shape, dtype: 'float32' },
      attributes.ints,
      attributes.floats,
    ),
  );
  return output.dtype === 'float32' ? y : consume(backend, y, (float) => cast(backend, float, output.dtype));
}

function resizeGrad(
  backend: TensorkilnBackend,
  op: OpRef,
  inputs: { images: TensorInfo; dy: TensorInfo },
  attrs: ResizeAttrs,
): TensorInfo {
  const [batch, , , channels] = inputs.images.shape as ImageShape;
  const [, height, width] = inputs.dy.shape as ImageShape;
  assertShape(`${op.name}: dy`, inputs.dy, [batch, height, width, channels]);
  // Nothing was made from an image without pixels, so it has no gradient either.
  resizedShape(inputs.images.shape, [height, width]);
  return inFloat(
    backend,
    op,
    [inputs.dy],
    { shape: inputs.images.shape, dtype: inputs.images.dtype },
    { ints: resizeInts(attrs) },
  );
}

interface CropInputs {
  image: TensorInfo;
  boxes: TensorInfo;
  boxInd: TensorInfo;
}

interface CropAttrs {
  cropSize: [number, number];
  method: 'bilinear' | 'nearest';
  extrapolationValue: number;
}

function cropAndResize(backend: TensorkilnBackend, { image, boxes, boxInd }: CropInputs, attrs: CropAttrs): TensorInfo {
  assertNumeric([image, boxes, boxInd], 'cropAndResize');
  assertShape('cropAndResize: boxes', boxes, [boxInd.shape[0] as number, 4]);
  const batch = image.shape[0] as number;
  for (const index of backend.record(boxInd).mirror ?? []) {
    if (index < 0) {
      throw new TensorkilnError(
        'E_INDEX',
        `[cropAndResize] the image number ${String(index)} is not in [0, ${String(batch - 1)}].`,
      );
    }
  }
  const shape = [boxes.shape[0] as number, ...attrs.cropSize, image.shape[3] as number];
  return withDtype(backend, [image, boxes], 'float32', ([x, corners]) =>
    withDtype(backend, [boxInd], 'int32', ([indices]) =>
      backend.run(
        cropAndResizeOp,
        [x, corners, indices].map((tensor) => backend.operand(tensor as TensorInfo)),
        { shape, dtype: 'float32' },
        [attrs.method === 'nearest' ? 1 : 0],
        [attrs.extrapolationValue],
      ),
    ),
  );
}

interface TransformAttrs {
  interpolation: 'nearest' | 'bilinear';
  fillMode: 'constant' | 'reflect' | 'wrap' | 'nearest';
  fillValue: number;
  outputShape?: [number, number];
}

function transform(
  backend: TensorkilnBackend,
  { image, transforms }: { image: TensorInfo; transforms: TensorInfo },
  attrs: TransformAttrs,
): TensorInfo {
  const [batch, height, width, channels] = image.shape as ImageShape;
  const [outHeight, outWidth] = attrs.outputShape ?? [height, width];
  // One transform for all images or one for each.
  assertShape('transform: transforms', transforms, [transforms.shape[0] === 1 ? 1 : batch, 8]);
  const mode = FILL_MODES.indexOf(attrs.fillMode);
  if (mode < 0 || (attrs.interpolation !== 'nearest' && attrs.interpolation !== 'bilinear')) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[transform] expected interpolation nearest or bilinear and a fill mode of ${FILL_MODES.join(', ')}, got ${attrs.interpolation} and ${attrs.fillMode}.`,
    );
  }
  const output = { shape: [batch, outHeight, outWidth, channels], dtype: image.dtype };
  const ints = [attrs.interpolation === 'bilinear' ? 1 : 0, mode];
  return inFloat(backend, transformOp, [image, transforms], output, { ints, floats: [attrs.fillValue] });
}

interface RotateAttrs {
  radians: number;
  fillValue: number | [number, number, number];
  center: number | [number, number];
}

function rotate(backend: TensorkilnBackend, image: TensorInfo, { radians, fillValue, center }: RotateAttrs): TensorInfo {
  assertNumeric([image], 'rotateWithOffset');
  const [, height, width, channels] = image.shape as ImageShape;
  const [centerX, centerY] = backend_util.getImageCenter(center, height, width);
  return backend.run(rotateOp, [backend.operand(image)], { shape: image.shape, dtype: image.dtype }, undefined, [
    Math.sin(radians),
    Math.cos(radians),
    centerX,
    centerY,
    ...rotationFill(fillValue, channels, image.dtype),
  ]);
}

interface BoxInputs {
  boxes: TensorInfo;
  scores: TensorInfo;
}

interface SuppressionAttrs {
  maxOutputSize: number;
  iouThreshold: number;
  scoreThreshold: number;
  softNmsSigma?: number;
}

interface Suppression {
  /** Numbers of the boxes kept, then zeros; [maxOutputSize] int32. */
  readonly selected: TensorInfo;
  /** Their scores, then zeros; [maxOutputSize] float32. */
  readonly scores: TensorInfo;
  /** How many were kept; int32 scalar. */
  readonly count: TensorInfo;
}

function suppress(backend: TensorkilnBackend, { boxes, scores }: BoxInputs, attrs: SuppressionAttrs): Suppression {
  assertNumeric([boxes, scores], 'nonMaxSuppression');
  assertShape('nonMaxSuppression: boxes', boxes, [scores.shape[0] as number, 4]);
  const { maxOutputSize, iouThreshold, scoreThreshold, softNmsSigma } = attrs;
  const output = (shape: readonly number[], dtype: 'int32' | 'float32'): Operand => ({
    handle: NO_HANDLE,
    storage: storageOf(dtype, 'nonMaxSuppression'),
    shape,
  });
  const selected = output([maxOutputSize], 'int32');
  const selectedScores = output([maxOutputSize], 'float32');
  const count = output([], 'int32');
  withDtype(backend, [boxes, scores], 'float32', (floats) => {
    const operands = [...floats.map((tensor) => backend.operand(tensor)), selected, selectedScores, count];
    backend.engine.call(nonMaxSuppressionOp, operands, undefined, [iouThreshold, scoreThreshold, softNmsSigma ?? 0]);
  });
  return {
    selected: backend.adopt(selected.handle, [maxOutputSize], 'int32'),
    scores: backend.adopt(selectedScores.handle, [maxOutputSize], 'float32'),
    count: backend.adopt(count.handle, [], 'int32'),
  };
}

/** Waits for the op. @throws E_RECORDING inside a recorded step */
function numKept(backend: TensorkilnBackend, { count }: Suppression): number {
  return (backend.readSync(count.dataId) as Int32Array)[0] as number;
}

function firstPlaces(backend: TensorkilnBackend, list: TensorInfo, count: number): TensorInfo {
  return backend.alias(list, [count]);
}

/** Passes a suppression through `body` and gives its tensors up. */
function withSuppression<Result>(
  backend: TensorkilnBackend,
  inputs: BoxInputs,
  attrs: SuppressionAttrs,
  body: (suppression: Suppression) => Result,
): Result {
  const suppression = suppress(backend, inputs, attrs);
  try {
    return body(suppression);
  } finally {
    for (const tensor of [suppression.selected, suppression.scores, suppression.count]) backend.disposeIntermediate(tensor);
  }
}

interface DilationInputs {
  x: TensorInfo;
  filter: TensorInfo;
}

function dilationGrad(
  backend: TensorkilnBackend,
  op: OpRef,
  { x, filter, dy }: DilationInputs & { dy: TensorInfo },
  of: TensorInfo,
  attrs: DilationAttrs,
): TensorInfo {
  const { output, ints } = dilationGeometry(x.shape, filter.shape, attrs);
  assertShape(`${op.name}: dy`, dy, output);
  return inFloat(backend, op, [dy, x, filter], { shape: of.shape, dtype: of.dtype }, { ints });
}

interface LrnAttrs {
  depthRadius: number;
  bias: number;
  alpha: number;
  beta: number;
}

function lrnAttributes({ depthRadius, bias, alpha, beta }: LrnAttrs): { ints: number[]; floats: number[] } {
  return { ints: [depthRadius], floats: [bias, alpha, beta] };
}

export const imageKernels: readonly Kernel[] = [
  kernel<{ images: TensorInfo }, ResizeAttrs & { size: [number, number] }>('ResizeBilinear', ({ inputs, attrs, backend }) => {
    const shape = resizedShape(inputs.images.shape, attrs.size);
    return inFloat(backend, resizeBilinearOp, [inputs.images], { shape, dtype: 'float32' }, { ints: resizeInts(attrs) });
  }),
  kernel<{ images: TensorInfo; dy: TensorInfo }, ResizeAttrs>('ResizeBilinearGrad', ({ inputs, attrs, backend }) =>
    resizeGrad(backend, resizeBilinearGradOp, inputs, attrs),
  ),
  kernel<{ images: TensorInfo }, ResizeAttrs & { size: [number, number] }>(
    'ResizeNearestNeighbor',
    ({ inputs, attrs, backend }) => {
      const { images } = inputs;
      assertNumeric([images], 'resizeNearestNeighbor');
      const shape = resizedShape(images.shape, attrs.size);
      return backend.run(resizeNearestOp, [backend.operand(images)], { shape, dtype: images.dtype }, resizeInts(attrs));
    },
  ),
  kernel<{ images: TensorInfo; dy: TensorInfo }, ResizeAttrs>('ResizeNearestNeighborGrad', ({ inputs, attrs, backend }) =>
    resizeGrad(backend, resizeNearestGradOp, inputs, attrs),
  ),
  kernel<CropInputs, CropAttrs>('CropAndResize', ({ inputs, attrs, backend }) => cropAndResize(backend, inputs, attrs)),
  kernel<{ image: TensorInfo; transforms: TensorInfo }, TransformAttrs>('Transform', ({ inputs, attrs, backend }) =>
    transform(backend, inputs, attrs),
  ),
  kernel<{ image: TensorInfo }, RotateAttrs>('RotateWithOffset', ({ inputs, attrs, backend }) =>
    rotate(backend, inputs.image, attrs),
  ),
  kernel<{ image: TensorInfo }>('FlipLeftRight', ({ inputs, backend }) => {
    const { image } = inputs;
    assertNumeric([image], 'flipLeftRight');
    return backend.run(reverseOp, [backend.operand(image)], { shape: image.shape, dtype: image.dtype }, [1 << WIDTH_AXIS]);
  }),
  kernel<BoxInputs, SuppressionAttrs>('NonMaxSuppressionV3', ({ inputs, attrs, backend }) =>
    withSuppression(backend, inputs, attrs, (result) => firstPlaces(backend, result.selected, numKept(backend, result))),
  ),
  kernel<BoxInputs, SuppressionAttrs & { padToMaxOutputSize: boolean }>('NonMaxSuppressionV4', ({ inputs, attrs, backend }) =>
    withSuppression(backend, inputs, attrs, (result) => {
      const kept = attrs.padToMaxOutputSize ? attrs.maxOutputSize : numKept(backend, result);
      return [firstPlaces(backend, result.selected, kept), backend.alias(result.count)];
    }),
  ),
  kernel<BoxInputs, SuppressionAttrs>('NonMaxSuppressionV5', ({ inputs, attrs, backend }) =>
    withSuppression(backend, inputs, attrs, (result) => {
      const kept = numKept(backend, result);
      return [firstPlaces(backend, result.selected, kept), firstPlaces(backend, result.scores, kept)];
    }),
  ),
  kernel<DilationInputs, DilationAttrs>('Dilation2D', ({ inputs, attrs, backend }) => {
    const { x, filter } = inputs;
    const { output, ints } = dilationGeometry(x.shape, filter.shape, attrs);
    return inFloat(backend, dilationOp, [x, filter], { shape: output, dtype: x.dtype }, { ints });
  }),
  kernel<DilationInputs & { dy: TensorInfo }, DilationAttrs>('Dilation2DBackpropInput', ({ inputs, attrs, backend }) =>
    dilationGrad(backend, dilationInputGradOp, inputs, inputs.x, attrs),
  ),
  kernel<DilationInputs & { dy: TensorInfo }, DilationAttrs>('Dilation2DBackpropFilter', ({ inputs, attrs, backend }) =>
    dilationGrad(backend, dilationFilterGradOp, inputs, inputs.filter, attrs),
  ),
  kernel<{ x: TensorInfo }, LrnAttrs>('LRN', ({ inputs, attrs, backend }) =>
    inFloat(backend, lrnOp, [inputs.x], inputs.x, lrnAttributes(attrs)),
  ),
  kernel<{ x: TensorInfo; y: TensorInfo; dy: TensorInfo }, LrnAttrs>('LRNGrad', ({ inputs, attrs, backend }) => {
    const { x, y, dy } = inputs;
    assertShape('LRNGrad: y', y, x.shape);
    assertShape('LRNGrad: dy', dy, x.shape);
    return inFloat(backend, lrnGradOp, [x, y, dy], x, lrnAttributes(attrs));
  }),
];
