/**
 * What every kernel may be called with. tfjs-core checks the arguments of its public functions, but not those of
 * `engine().runKernel`, nor all that a converted model brings along; here a wrong call ends before anything is computed.
 *
 * A signature says what each input and attribute must be by itself. How they must fit each other the kernels check, where they
 * work out their geometry.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import {
  anyDtype,
  axes,
  complex,
  count,
  dtype,
  finite,
  imageSize,
  listOf,
  maybe,
  ANY_RANK,
  number,
  numberOrComplex,
  numberOrString,
  numeric,
  oneOf,
  onlyDtype,
  optional,
  padding,
  pairs,
  perAxis,
  positive,
  positives,
  rounding,
  ruleText,
  safeInteger,
  scalar,
  shape,
  splits,
  strings,
  tensorText,
  text,
  texts,
  whole,
  wholeOrWholes,
  wholes,
  type AttributeRule,
  type TensorRule,
} from './rules.js';

/** Inputs and attributes by name. The input `*` stands for all of a list of tensors. */
export interface Signature {
  readonly inputs: Readonly<Record<string, TensorRule>>;
  readonly attrs: Readonly<Record<string, AttributeRule>>;
}

function signature(inputs: Signature['inputs'], attrs: Signature['attrs'] = {}): Signature {
  return { inputs, attrs };
}

const unaryNumeric = signature({ x: numeric() });
const binaryNumeric = signature({ a: numeric(), b: numeric() });
const binaryComplex = signature({ a: numberOrComplex(), b: numberOrComplex() });
const comparison = signature({ a: numberOrString(), b: numberOrString() });
const reduction = signature({ x: numeric() }, { axis: axes });
const argument = signature({ x: numeric(1, ANY_RANK) }, { axis: wholeOrWholes });
const scan = signature({ x: numeric() }, { axis: whole });

const formats = oneOf('NHWC', 'NCHW');
const strides2 = perAxis(2);
const strides3 = perAxis(3);
const conv = { strides: strides2, pad: padding, dilations: optional(strides2), dimRoundingMode: rounding };
const conv3D = { strides: strides3, pad: oneOf('valid', 'same'), dilations: optional(strides3) };
const pool = { filterSize: strides2, strides: strides2, pad: padding, dimRoundingMode: rounding };
const pool3D = { filterSize: strides3, strides: strides3, pad: padding, dimRoundingMode: rounding };
const image = numeric(4);
/** The ops of 2-D convolutions and of some gradients take no other dtype, and tfjs-core's functions make none. */
const floatImage = onlyDtype('float32', 4, 4);
const volume = numeric(5);
const activation = { activation: optional(text), leakyreluAlpha: optional(number) };
const epilogue = { bias: maybe(numeric()), preluActivationWeights: maybe(numeric()) };
const dilation = { strides: strides2, pad: padding, dilations: strides2 };
const lrn = { depthRadius: count, bias: number, alpha: number, beta: number };
const boxes = { boxes: numeric(2), scores: numeric(1) };
const suppression = { maxOutputSize: count, iouThreshold: finite, scoreThreshold: number };
const segments = { data: numeric(1, ANY_RANK), indices: numeric(1), segmentIds: numeric(1) };

const UNARY: readonly string[] = (
  'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Exp Expm1 Floor IsFinite IsInf IsNan Log Log1p Neg ' +
  'Reciprocal Relu Relu6 Round Rsqrt Selu Sigmoid Sign Sin Sinh Softplus Sqrt Square Tan Tanh'
).split(' ');
const BINARY: readonly string[] = 'Atan2 FloorDiv LogicalAnd LogicalOr Maximum Minimum Mod Pow RealDiv SquaredDifference'.split(
  ' ',
);
const COMPARISONS: readonly string[] = 'Equal Greater GreaterEqual Less LessEqual NotEqual'.split(' ');

function each(names: readonly string[], of: Signature): Record<string, Signature> {
  return Object.fromEntries(names.map((name) => [name, of]));
}

/** One signature per kernel of the table; a test compares the two. */
export const SIGNATURES: Readonly<Record<string, Signature>> = {
  ...each(UNARY, unaryNumeric),
  ...each(BINARY, binaryNumeric),
  ...each(COMPARISONS, comparison),
  ...each(['Add', 'Multiply', 'Sub'], binaryComplex),
  ...each(['Sum', 'Mean', 'Prod', 'Min', 'All', 'Any'], reduction),
  ...each(['ArgMax', 'ArgMin'], argument),
  ...each(['Cumsum', 'Cumprod'], scan),

  // structure and creation
  Identity: signature({ x: anyDtype() }),
  Reshape: signature({ x: anyDtype() }, { shape: wholes }),
  ExpandDims: signature({ input: anyDtype() }, { dim: whole }),
  Cast: signature({ x: anyDtype() }, { dtype }),
  Complex: signature({ real: onlyDtype('float32'), imag: onlyDtype('float32') }),
  Real: signature({ input: complex() }),
  Imag: signature({ input: complex() }),
  BroadcastArgs: signature({ s0: numeric(1), s1: numeric(1) }),
  Fill: signature({}, { shape: shape(), value: scalar, dtype: optional(dtype) }),
  ZerosLike: signature({ x: numberOrComplex() }),
  OnesLike: signature({ x: numberOrComplex() }),
  Range: signature({}, { start: finite, stop: finite, step: finite, dtype: oneOf('float32', 'int32') }),
  LinSpace: signature({}, { start: number, stop: number, num: positive }),

  // elementwise with more than one input or an attribute
  BitwiseAnd: signature({ a: onlyDtype('int32'), b: onlyDtype('int32') }),
  LogicalNot: signature({ x: onlyDtype('bool') }),
  AddN: signature({ '*': numberOrComplex() }),
  LeakyRelu: signature({ x: numeric() }, { alpha: number }),
  Step: signature({ x: numeric() }, { alpha: number }),
  ClipByValue: signature({ x: numeric() }, { clipValueMin: number, clipValueMax: number }),
  Prelu: signature({ x: numeric(), alpha: numeric() }),
  EluGrad: signature({ dy: numeric(), y: numeric() }),
  Select: signature({ condition: numeric(), t: numeric(), e: numeric() }),

  // reductions and products
  Max: signature({ x: numeric() }, { reductionIndices: axes }),
  Softmax: signature({ logits: numeric(1, ANY_RANK) }, { dim: whole }),
  LogSoftmax: signature({ logits: numeric(1, ANY_RANK) }, { axis: whole }),
  BatchMatMul: signature({ a: numeric(2, ANY_RANK), b: numeric(2, ANY_RANK) }),
  _FusedMatMul: signature({ a: numeric(2, ANY_RANK), b: numeric(2, ANY_RANK), ...epilogue }, activation),
  Einsum: signature({ '*': numeric() }, { equation: text }),

  // convolution and pooling
  Conv2D: signature({ x: floatImage, filter: floatImage }, { ...conv, dataFormat: formats }),
  Conv2DBackpropInput: signature(
    { dy: floatImage, filter: floatImage },
    { ...conv, dataFormat: formats, inputShape: shape(4) },
  ),
  Conv2DBackpropFilter: signature({ x: floatImage, dy: floatImage }, { ...conv, dataFormat: formats, filterShape: shape(4) }),
  FusedConv2D: signature({ x: floatImage, filter: floatImage, ...epilogue }, { ...conv, ...activation, dataFormat: formats }),
  Conv3D: signature({ x: volume, filter: volume }, conv3D),
  Conv3DBackpropInputV2: signature({ dy: volume, filter: volume }, { ...conv3D, inputShape: shape(5) }),
  Conv3DBackpropFilterV2: signature({ x: volume, dy: volume }, { ...conv3D, filterShape: shape(5) }),
  DepthwiseConv2dNative: signature({ x: floatImage, filter: floatImage }, { ...conv, dataFormat: optional(formats) }),
  DepthwiseConv2dNativeBackpropInput: signature({ dy: floatImage, filter: floatImage }, { ...conv, inputShape: shape(4) }),
  DepthwiseConv2dNativeBackpropFilter: signature({ x: floatImage, dy: floatImage }, { ...conv, filterShape: shape(4) }),
  FusedDepthwiseConv2D: signature(
    { x: floatImage, filter: floatImage, ...epilogue },
    { ...conv, ...activation, dataFormat: optional(formats) },
  ),
  MaxPool: signature({ x: image }, pool),
  AvgPool: signature({ x: image }, pool),
  MaxPoolGrad: signature({ dy: floatImage, input: floatImage }, pool),
  AvgPoolGrad: signature({ dy: floatImage, input: image }, pool),
  MaxPoolWithArgmax: signature({ x: image }, pool),
  MaxPool3D: signature({ x: volume }, pool3D),
  AvgPool3D: signature({ x: volume }, pool3D),
  MaxPool3DGrad: signature({ dy: volume, input: volume }, pool3D),
  AvgPool3DGrad: signature({ dy: volume, input: volume }, pool3D),
  FusedBatchNorm: signature(
    { x: numeric(), mean: numeric(), variance: numeric(), scale: maybe(numeric()), offset: maybe(numeric()) },
    { varianceEpsilon: optional(number) },
  ),

  // spectral
  FFT: signature({ input: complex() }),
  IFFT: signature({ input: complex() }),
  ComplexAbs: signature({ x: complex() }),

  // indices
  GatherV2: signature({ x: anyDtype(1, ANY_RANK), indices: numeric() }, { axis: whole, batchDims: optional(whole) }),
  GatherNd: signature({ params: anyDtype(1, ANY_RANK), indices: onlyDtype('int32', 1) }),
  UnsortedSegmentSum: signature({ x: numeric(1, ANY_RANK), segmentIds: onlyDtype('int32', 1, 1) }, { numSegments: count }),
  OneHot: signature(
    { indices: numeric() },
    { depth: count, onValue: number, offValue: number, dtype: optional(oneOf('float32', 'int32', 'bool')) },
  ),
  ScatterNd: signature({ indices: onlyDtype('int32'), updates: numeric() }, { shape: shape() }),
  TensorScatterUpdate: signature({ tensor: anyDtype(1), indices: onlyDtype('int32'), updates: anyDtype() }),
  SparseToDense: signature(
    { sparseIndices: onlyDtype('int32'), sparseValues: anyDtype(), defaultValue: anyDtype() },
    { outputShape: shape() },
  ),
  Bincount: signature({ x: numeric(), weights: numeric() }, { size: count }),
  DenseBincount: signature({ x: numeric(0, 2), weights: numeric() }, { size: count }),
  SparseSegmentMean: signature(segments),
  SparseSegmentSum: signature(segments),
  TopK: signature({ x: numeric(1, ANY_RANK) }, { k: count }),
  Unique: signature({ x: numberOrString(1) }, { axis: wholeOrWholes }),
  SearchSorted: signature({ sortedSequence: numeric(2), values: numeric(2) }, { side: oneOf('left', 'right') }),

  // layout
  Transpose: signature({ x: anyDtype() }, { perm: wholes }),
  Slice: signature({ x: anyDtype() }, { begin: wholeOrWholes, size: optional(wholeOrWholes) }),
  StridedSlice: signature(
    { x: anyDtype() },
    {
      begin: wholes,
      end: wholes,
      strides: wholes,
      beginMask: whole,
      endMask: whole,
      ellipsisMask: whole,
      newAxisMask: whole,
      shrinkAxisMask: whole,
    },
  ),
  Concat: signature({ '*': anyDtype(1) }, { axis: wholeOrWholes }),
  Pack: signature({ '*': anyDtype() }, { axis: whole }),
  Unpack: signature({ value: anyDtype(1) }, { axis: wholeOrWholes }),
  SplitV: signature({ x: anyDtype(1) }, { numOrSizeSplits: splits, axis: wholeOrWholes }),
  PadV2: signature({ x: numeric() }, { paddings: pairs, constantValue: number }),
  MirrorPad: signature({ x: anyDtype() }, { paddings: pairs, mode: oneOf('reflect', 'symmetric') }),
  Tile: signature({ x: anyDtype() }, { reps: shape() }),
  Reverse: signature({ x: anyDtype() }, { dims: axes }),
  Diag: signature({ x: numeric() }),
  SpaceToBatchND: signature({ x: numeric(1, ANY_RANK) }, { blockShape: positives, paddings: pairs }),
  BatchToSpaceND: signature({ x: numeric(1, ANY_RANK) }, { blockShape: positives, crops: pairs }),
  DepthToSpace: signature({ x: image }, { blockSize: positive, dataFormat: formats }),

  // images
  ResizeBilinear: signature({ images: image }, { size: imageSize }),
  ResizeBilinearGrad: signature({ images: image, dy: image }),
  ResizeNearestNeighbor: signature({ images: image }, { size: imageSize }),
  ResizeNearestNeighborGrad: signature({ images: image, dy: image }),
  CropAndResize: signature(
    { image, boxes: numeric(2), boxInd: numeric(1) },
    { cropSize: imageSize, method: oneOf('bilinear', 'nearest'), extrapolationValue: number },
  ),
  Transform: signature(
    { image, transforms: numeric(2) },
    { interpolation: text, fillMode: text, fillValue: number, outputShape: optional(imageSize) },
  ),
  RotateWithOffset: signature({ image }, { radians: number, fillValue: numberOrList, center: numberOrList }),
  FlipLeftRight: signature({ image }),
  NonMaxSuppressionV3: signature(boxes, suppression),
  NonMaxSuppressionV4: signature(boxes, suppression),
  NonMaxSuppressionV5: signature(boxes, { ...suppression, softNmsSigma: optional(number) }),
  Dilation2D: signature({ x: image, filter: numeric(3) }, dilation),
  Dilation2DBackpropInput: signature({ x: image, filter: numeric(3), dy: image }, dilation),
  Dilation2DBackpropFilter: signature({ x: image, filter: numeric(3), dy: image }, dilation),
  LRN: signature({ x: image }, lrn),
  LRNGrad: signature({ x: image, y: image, dy: image }, lrn),
  Multinomial: signature({ logits: numeric(2) }, { numSamples: count, seed: number }),

  // sparse, ragged and string bookkeeping
  SparseFillEmptyRows: signature({
    indices: numeric(2),
    values: numberOrString(1, 1),
    denseShape: numeric(1),
    defaultValue: numberOrString(0, 0),
  }),
  SparseReshape: signature({ inputIndices: numeric(2), inputShape: numeric(1), newShape: numeric(1) }),
  RaggedGather: signature({
    paramsNestedSplits: listOf(numeric(0, 1)),
    paramsDenseValues: anyDtype(),
    indices: numeric(),
  }),
  RaggedRange: signature({ starts: numeric(), limits: numeric(), deltas: numeric() }),
  RaggedTensorToTensor: signature(
    { shape: numeric(0, 1), values: anyDtype(1), defaultValue: anyDtype(), rowPartitionTensors: listOf(numeric(0, 1)) },
    { rowPartitionTypes: texts },
  ),
  StringNGrams: signature(
    { data: strings(1, 1), dataSplits: numeric(1) },
    { separator: text, nGramWidths: positives, leftPad: text, rightPad: text, padWidth: whole },
  ),
  StringSplit: signature({ input: strings(), delimiter: strings() }),
  StringToHashBucketFast: signature({ input: strings() }, { numBuckets: safeInteger }),
  StaticRegexReplace: signature({ x: strings() }, { pattern: text, rewrite: text }),
};

/** A number or a list of numbers: per channel or per axis. */
function numberOrList(value: unknown): string | undefined {
  const fits =
    typeof value === 'number' || (Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number'));
  return fits ? undefined : 'a number or a list of numbers';
}

function isTensorInfo(value: unknown): value is TensorInfo {
  return typeof value === 'object' && value !== null && 'dataId' in value && 'shape' in value && 'dtype' in value;
}

function checkTensor(backend: TensorkilnBackend, place: string, rule: TensorRule, value: unknown): void {
  if (!isTensorInfo(value)) {
    throw new TensorkilnError('E_USAGE', `[${place}] expected ${ruleText(rule)}, got ${describe(value)}.`);
  }
  if (!rule.dtypes.includes(value.dtype)) {
    throw new TensorkilnError('E_DTYPE', `[${place}] expected ${ruleText(rule)}, got ${tensorText(value)}.`);
  }
  const rank = value.shape.length;
  if (rank < rule.minRank || rank > rule.maxRank) {
    throw new TensorkilnError('E_SHAPE', `[${place}] expected ${ruleText(rule)}, got ${tensorText(value)}.`);
  }
  backend.assertLiving(value, place);
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(describe).join(', ')}]`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** A check of all inputs and attributes of one kernel. */
export type CallCheck = (backend: TensorkilnBackend, inputs: unknown, attrs: unknown) => void;

/**
 * The check of a kernel's calls.
 *
 * @throws E_USAGE for an input that is no tensor or an attribute that is none of what it may be; E_DTYPE, E_SHAPE, E_DISPOSED
 */
export function callCheck(name: string): CallCheck {
  const found = SIGNATURES[name];
  if (found === undefined) throw new TensorkilnError('E_INTERNAL', `[${name}] the kernel has no signature.`);
  const inputRules = Object.entries(found.inputs).map(([key, rule]) => ({ key, rule, place: `${name}: ${key}` }));
  const attrRules = Object.entries(found.attrs);
  const every = found.inputs['*'];
  return (backend, inputs, attrs) => {
    if (every !== undefined) {
      const tensors = Object.values(inputs as object) as unknown[];
      if (tensors.length === 0) throw new TensorkilnError('E_USAGE', `[${name}] expected at least one tensor, got none.`);
      tensors.forEach((tensor, i) => checkTensor(backend, `${name}: input ${String(i)}`, every, tensor));
    } else {
      for (const { key, rule, place } of inputRules) {
        const value = (inputs as Record<string, unknown>)[key];
        if (rule.isOptional && (value === undefined || value === null)) continue;
        if (!rule.isList) {
          checkTensor(backend, place, rule, value);
        } else if (!Array.isArray(value)) {
          throw new TensorkilnError('E_USAGE', `[${place}] expected a list of tensors, got ${describe(value)}.`);
        } else {
          value.forEach((tensor, i) => checkTensor(backend, `${place}[${String(i)}]`, rule, tensor));
        }
      }
    }
    for (const [key, rule] of attrRules) {
      const value = (attrs as Record<string, unknown>)[key];
      const expected = rule(value);
      if (expected !== undefined) {
        throw new TensorkilnError(rule.code ?? 'E_USAGE', `[${name}: ${key}] expected ${expected}, got ${describe(value)}.`);
      }
    }
  };
}
