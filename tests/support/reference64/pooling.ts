/** Maxima and means of windows in two and three dimensions, and their gradients. */
import { backend_util } from '@tensorflow/tfjs-core';
import { addAt, at, build, reference, type Dense, type ReferenceKernel } from './dense.js';
import { cube } from './convolution.js';

type Triple = readonly [number, number, number];
type Shape5 = [number, number, number, number, number];

interface PoolAttrs<Window> {
  filterSize: number | Window;
  strides: number | Window;
  pad: 'valid' | 'same' | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** Sizes along depth, height and width; an image is a volume of depth 1. */
interface Windows {
  readonly batch: number;
  readonly channels: number;
  readonly inside: Triple;
  readonly out: Triple;
  readonly window: Triple;
  readonly stride: Triple;
  readonly origin: Triple;
  readonly outShape: readonly number[];
}

function windows2D(shape: readonly number[], attrs: PoolAttrs<[number, number]>): Windows {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const shape4 = shape as [number, number, number, number];
  const info = backend_util.computePool2DInfo(shape4, filterSize, strides, 1, pad, dimRoundingMode);
  return {
    batch: info.batchSize,
    channels: info.inChannels,
    inside: [1, info.inHeight, info.inWidth],
    out: [1, info.outHeight, info.outWidth],
    window: [1, info.filterHeight, info.filterWidth],
    stride: [1, info.strideHeight, info.strideWidth],
    origin: [0, info.padInfo.top, info.padInfo.left],
    outShape: info.outShape,
  };
}

function windows3D(shape: readonly number[], attrs: PoolAttrs<[number, number, number]>): Windows {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const info = backend_util.computePool3DInfo(shape as Shape5, filterSize, strides, 1, pad, dimRoundingMode);
  return {
    batch: info.batchSize,
    channels: info.inChannels,
    inside: [info.inDepth, info.inHeight, info.inWidth],
    out: [info.outDepth, info.outHeight, info.outWidth],
    window: [info.filterDepth, info.filterHeight, info.filterWidth],
    stride: [info.strideDepth, info.strideHeight, info.strideWidth],
    origin: [info.padInfo.front, info.padInfo.top, info.padInfo.left],
    outShape: info.outShape,
  };
}

/** The tensor seen as a volume. */
function volume(x: Dense): Dense {
  return x.shape.length === 5 ? x : { ...x, shape: [x.shape[0]!, 1, ...x.shape.slice(1)] };
}

/** Calls `visit` with each output place and the input places its window covers inside the volume. */
function eachWindow(
  { batch, channels, inside, out, window, stride, origin }: Windows,
  visit: (y: Shape5, covered: Shape5[]) => void,
): void {
  for (let n = 0; n < batch; ++n) {
    for (const position of cube(out)) {
      const covered = cube(window)
        .map((tap) => tap.map((t, axis) => position[axis]! * stride[axis]! - origin[axis]! + t) as [number, number, number])
        .filter((from) => from.every((i, axis) => i >= 0 && i < inside[axis]!));
      for (let c = 0; c < channels; ++c) {
        visit(
          [n, ...position, c],
          covered.map((from): Shape5 => [n, ...from, c]),
        );
      }
    }
  }
}

type Combine = (values: number[]) => number;

function pool(x: Dense, windows: Windows, combine: Combine): Dense {
  const y = build(windows.outShape, x.dtype, () => 0);
  eachWindow(windows, (target, covered) => addAt(volume(y), combine(covered.map((from) => at(volume(x), ...from))), ...target));
  return y;
}

/** The largest number; NaN is no number and is passed over. */
const largest: Combine = (values) => values.reduce((best, value) => (value > best ? value : best), -Infinity);
/** Padding does not count. */
const mean: Combine = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The gradient of a maximum belongs to the first place that holds it. */
function maxGradient(dy: Dense, x: Dense, windows: Windows): Dense {
  const dx = build(x.shape, 'float32', () => 0);
  eachWindow(windows, (target, covered) => {
    if (covered.length === 0) return;
    const first = covered.reduce((best, from) => (at(volume(x), ...from) > at(volume(x), ...best) ? from : best));
    addAt(volume(dx), at(volume(dy), ...target), ...first);
  });
  return dx;
}

/** As tfjs defines it, the gradient divides by the whole window, also where the mean divided by the part inside. */
function meanGradient(dy: Dense, shape: readonly number[], windows: Windows): Dense {
  const dx = build(shape, 'float32', () => 0);
  const size = windows.window.reduce((product, dim) => product * dim, 1);
  eachWindow(windows, (target, covered) => {
    for (const from of covered) addAt(volume(dx), at(volume(dy), ...target) / size, ...from);
  });
  return dx;
}

interface GradInputs {
  dy: Dense;
  input: Dense;
}

function family<Window>(
  suffix: string,
  windows: (shape: readonly number[], attrs: PoolAttrs<Window>) => Windows,
): ReferenceKernel[] {
  type Attrs = PoolAttrs<Window>;
  return [
    reference<{ x: Dense }, Attrs>(`MaxPool${suffix}`, ({ x }, attrs) => pool(x, windows(x.shape, attrs), largest)),
    reference<{ x: Dense }, Attrs>(`AvgPool${suffix}`, ({ x }, attrs) => pool(x, windows(x.shape, attrs), mean)),
    reference<GradInputs, Attrs>(`MaxPool${suffix}Grad`, ({ dy, input }, attrs) =>
      maxGradient(dy, input, windows(input.shape, attrs)),
    ),
    reference<GradInputs, Attrs>(`AvgPool${suffix}Grad`, ({ dy, input }, attrs) =>
      meanGradient(dy, input.shape, windows(input.shape, attrs)),
    ),
  ];
}

export const poolingKernels: readonly ReferenceKernel[] = [...family('', windows2D), ...family('3D', windows3D)];
