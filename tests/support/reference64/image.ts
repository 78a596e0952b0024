/** Resizing of images and grey-value dilation, with gradients. */
import { backend_util } from '@tensorflow/tfjs-core';
import { addAt, at, build, reference, type Dense, type ReferenceKernel } from './dense.js';

type Shape3 = [number, number, number];
type Shape4 = [number, number, number, number];

interface ResizeAttrs {
  alignCorners: boolean;
  halfPixelCenters: boolean;
  size: [number, number];
}

/** A source position and the share it has in one output position. */
interface Share {
  readonly index: number;
  readonly weight: number;
}

/** Where output position `out` falls on the axis of the input. */
function sourcePosition(out: number, inSize: number, outSize: number, { alignCorners, halfPixelCenters }: ResizeAttrs): number {
  const shrink = alignCorners && outSize > 1 ? 1 : 0;
  const scale = (inSize - shrink) / (outSize - shrink);
  return halfPixelCenters ? scale * (out + 0.5) : scale * out;
}

function linear(out: number, inSize: number, outSize: number, attrs: ResizeAttrs): Share[] {
  const source = sourcePosition(out, inSize, outSize, attrs) - (attrs.halfPixelCenters ? 0.5 : 0);
  const below = Math.max(0, Math.floor(source));
  const above = Math.min(inSize - 1, Math.ceil(source));
  const part = source - below;
  // Right on a pixel, or beyond the last one, that pixel alone: a neighbour of no weight must not make NaN of an infinity.
  if (below === above) return [{ index: below, weight: 1 }];
  return [
    { index: below, weight: 1 - part },
    { index: above, weight: part },
  ];
}

function nearest(out: number, inSize: number, outSize: number, attrs: ResizeAttrs): Share[] {
  const source = sourcePosition(out, inSize, outSize, attrs);
  const index = attrs.alignCorners ? Math.round(source) : Math.floor(source);
  return [{ index: Math.max(0, Math.min(inSize - 1, index)), weight: 1 }];
}

type Method = typeof linear;

/** Calls `visit` for each pair of an output and an input element that it depends on. */
function eachShare(
  inShape: readonly number[],
  method: Method,
  attrs: ResizeAttrs,
  visit: (weight: number, from: Shape4, to: Shape4) => void,
): void {
  const [batch, height, width, channels] = inShape as Shape4;
  const [outHeight, outWidth] = attrs.size;
  for (let row = 0; row < outHeight; ++row) {
    for (let col = 0; col < outWidth; ++col) {
      for (const vertical of method(row, height, outHeight, attrs)) {
        for (const horizontal of method(col, width, outWidth, attrs)) {
          for (let n = 0; n < batch; ++n) {
            for (let c = 0; c < channels; ++c) {
              visit(vertical.weight * horizontal.weight, [n, vertical.index, horizontal.index, c], [n, row, col, c]);
            }
          }
        }
      }
    }
  }
}

function resize(images: Dense, method: Method, attrs: ResizeAttrs, dtype: 'float32' | Dense['dtype']): Dense {
  const y = build([images.shape[0]!, ...attrs.size, images.shape[3]!], dtype, () => 0);
  eachShare(images.shape, method, attrs, (weight, from, to) => addAt(y, weight * at(images, ...from), ...to));
  return y;
}

/** The size is that of dy; every output element gives its gradient back to where it came from. */
function resizeGradient(images: Dense, dy: Dense, method: Method, attrs: ResizeAttrs): Dense {
  const dx = build(images.shape, 'float32', () => 0);
  const size = dy.shape.slice(1, 3) as [number, number];
  eachShare(images.shape, method, { ...attrs, size }, (weight, from, to) => addAt(dx, weight * at(dy, ...to), ...from));
  return dx;
}

interface DilationInputs {
  x: Dense;
  filter: Dense;
}
interface DilationAttrs {
  strides: number | [number, number];
  pad: 'valid' | 'same' | number;
  dilations: number | [number, number];
}

interface Choice {
  readonly y: Shape4;
  readonly x: Shape4;
  readonly tap: Shape3;
  readonly value: number;
}

/** For each output element the tap whose x + filter is largest, the first of equals. */
function dilationChoices({ x, filter }: DilationInputs, { strides, pad, dilations }: DilationAttrs): Choice[] {
  const info = backend_util.computeDilation2DInfo(x.shape as Shape4, filter.shape as Shape3, strides, pad, 'NHWC', dilations);
  const choices: Choice[] = [];
  for (let n = 0; n < info.batchSize; ++n) {
    for (let outRow = 0; outRow < info.outHeight; ++outRow) {
      for (let outCol = 0; outCol < info.outWidth; ++outCol) {
        for (let c = 0; c < info.inChannels; ++c) {
          let best: Choice | undefined;
          for (let tapRow = 0; tapRow < info.filterHeight; ++tapRow) {
            for (let tapCol = 0; tapCol < info.filterWidth; ++tapCol) {
              const row = outRow * info.strideHeight - info.padInfo.top + tapRow * info.dilationHeight;
              const col = outCol * info.strideWidth - info.padInfo.left + tapCol * info.dilationWidth;
              if (row < 0 || row >= info.inHeight || col < 0 || col >= info.inWidth) continue;
              const value = at(x, n, row, col, c) + at(filter, tapRow, tapCol, c);
              // NaN is never the largest, and neither is what lies below -2^53, as in tfjs.
              if (!(value > (best?.value ?? Number.MIN_SAFE_INTEGER))) continue;
              best = { y: [n, outRow, outCol, c], x: [n, row, col, c], tap: [tapRow, tapCol, c], value };
            }
          }
          if (best !== undefined) choices.push(best);
        }
      }
    }
  }
  return choices;
}

export const imageKernels: readonly ReferenceKernel[] = [
  reference<{ images: Dense }, ResizeAttrs>('ResizeBilinear', ({ images }, attrs) => resize(images, linear, attrs, 'float32')),
  reference<{ images: Dense; dy: Dense }, ResizeAttrs>('ResizeBilinearGrad', ({ images, dy }, attrs) =>
    resizeGradient(images, dy, linear, attrs),
  ),
  reference<{ images: Dense }, ResizeAttrs>('ResizeNearestNeighbor', ({ images }, attrs) =>
    resize(images, nearest, attrs, images.dtype),
  ),
  reference<{ images: Dense; dy: Dense }, ResizeAttrs>('ResizeNearestNeighborGrad', ({ images, dy }, attrs) =>
    resizeGradient(images, dy, nearest, attrs),
  ),
  reference<DilationInputs, DilationAttrs>('Dilation2D', (inputs, attrs) => {
    const { x, filter } = inputs;
    const { strides, pad, dilations } = attrs;
    const shapes = [x.shape as Shape4, filter.shape as Shape3] as const;
    const info = backend_util.computeDilation2DInfo(...shapes, strides, pad, 'NHWC', dilations);
    const largest = new Map(dilationChoices(inputs, attrs).map(({ y, value }) => [y.join(), value]));
    return build(info.outShape, x.dtype, (coords) => largest.get(coords.join()) ?? Number.MIN_SAFE_INTEGER);
  }),
  reference<DilationInputs & { dy: Dense }, DilationAttrs>('Dilation2DBackpropInput', (inputs, attrs) => {
    const dx = build(inputs.x.shape, 'float32', () => 0);
    for (const choice of dilationChoices(inputs, attrs)) addAt(dx, at(inputs.dy, ...choice.y), ...choice.x);
    return dx;
  }),
  reference<DilationInputs & { dy: Dense }, DilationAttrs>('Dilation2DBackpropFilter', (inputs, attrs) => {
    const dFilter = build(inputs.filter.shape, 'float32', () => 0);
    for (const choice of dilationChoices(inputs, attrs)) addAt(dFilter, at(inputs.dy, ...choice.y), ...choice.tap);
    return dFilter;
  }),
];
