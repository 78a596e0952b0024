/** Convolutions in two and three dimensions, depthwise convolutions, and their gradients. */
import { backend_util } from '@tensorflow/tfjs-core';
import { addAt, at, build, reference, type Dense, type ReferenceKernel } from './dense.js';
import { finish, type FusedAttrs, type FusedInputs } from './contraction.js';

type Shape4 = [number, number, number, number];
type Shape5 = [number, number, number, number, number];
type Pad = 'valid' | 'same' | number;

interface ConvAttrs {
  strides: number | [number, number];
  pad: Pad;
  dataFormat?: 'NHWC' | 'NCHW';
  dilations?: number | [number, number];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

interface Geometry {
  readonly info: backend_util.Conv2DInfo;
  readonly channelsFirst: boolean;
}

function geometry(xShape: readonly number[], filterShape: readonly number[], attrs: ConvAttrs, depthwise: boolean): Geometry {
  const channelsFirst = attrs.dataFormat === 'NCHW';
  const info = backend_util.computeConv2DInfo(
    xShape as Shape4,
    filterShape as Shape4,
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
    attrs.dimRoundingMode,
    depthwise,
    channelsFirst ? 'channelsFirst' : 'channelsLast',
  );
  return { info, channelsFirst };
}

/** Coordinates of an image element in the order its data format has. */
function place(channelsFirst: boolean, n: number, row: number, col: number, channel: number): Shape4 {
  return channelsFirst ? [n, channel, row, col] : [n, row, col, channel];
}

/** Calls `visit` for each pair of an output position and a filter tap whose input position lies inside the image. */
function eachTap(
  info: backend_util.Conv2DInfo,
  visit: (n: number, outRow: number, outCol: number, tapRow: number, tapCol: number, row: number, col: number) => void,
): void {
  for (let n = 0; n < info.batchSize; ++n) {
    for (let outRow = 0; outRow < info.outHeight; ++outRow) {
      for (let outCol = 0; outCol < info.outWidth; ++outCol) {
        for (let tapRow = 0; tapRow < info.filterHeight; ++tapRow) {
          for (let tapCol = 0; tapCol < info.filterWidth; ++tapCol) {
            const row = outRow * info.strideHeight - info.padInfo.top + tapRow * info.dilationHeight;
            const col = outCol * info.strideWidth - info.padInfo.left + tapCol * info.dilationWidth;
            if (row < 0 || row >= info.inHeight || col < 0 || col >= info.inWidth) continue;
            visit(n, outRow, outCol, tapRow, tapCol, row, col);
          }
        }
      }
    }
  }
}

/** A product of one element of x, one of the filter, that belongs to one element of y; all three by coordinates. */
type Product = (x: Shape4, filter: Shape4, y: Shape4) => void;

function eachConv2DProduct({ info, channelsFirst }: Geometry, visit: Product): void {
  eachTap(info, (n, outRow, outCol, tapRow, tapCol, row, col) => {
    for (let input = 0; input < info.inChannels; ++input) {
      for (let output = 0; output < info.outChannels; ++output) {
        visit(
          place(channelsFirst, n, row, col, input),
          [tapRow, tapCol, input, output],
          place(channelsFirst, n, outRow, outCol, output),
        );
      }
    }
  });
}

function eachDepthwiseProduct({ info, channelsFirst }: Geometry, visit: Product): void {
  const multiplier = info.outChannels / info.inChannels;
  eachTap(info, (n, outRow, outCol, tapRow, tapCol, row, col) => {
    for (let input = 0; input < info.inChannels; ++input) {
      for (let m = 0; m < multiplier; ++m) {
        visit(
          place(channelsFirst, n, row, col, input),
          [tapRow, tapCol, input, m],
          place(channelsFirst, n, outRow, outCol, input * multiplier + m),
        );
      }
    }
  });
}

interface ConvInputs {
  x: Dense;
  filter: Dense;
}

/** The three uses of one sum of products: forward, gradient of x, gradient of the filter. */
function convolution(depthwise: boolean, eachProduct: (geometry: Geometry, visit: Product) => void) {
  return {
    forward: ({ x, filter }: ConvInputs, attrs: ConvAttrs): Dense => {
      const sizes = geometry(x.shape, filter.shape, attrs, depthwise);
      const y = build(sizes.info.outShape, 'float32', () => 0);
      eachProduct(sizes, (inX, inFilter, inY) => addAt(y, at(x, ...inX) * at(filter, ...inFilter), ...inY));
      return y;
    },
    inputGradient: ({ dy, filter }: { dy: Dense; filter: Dense }, attrs: ConvAttrs & { inputShape: number[] }): Dense => {
      const dx = build(attrs.inputShape, 'float32', () => 0);
      const sizes = geometry(attrs.inputShape, filter.shape, attrs, depthwise);
      eachProduct(sizes, (inX, inFilter, inY) => addAt(dx, at(dy, ...inY) * at(filter, ...inFilter), ...inX));
      return dx;
    },
    filterGradient: ({ x, dy }: { x: Dense; dy: Dense }, attrs: ConvAttrs & { filterShape: number[] }): Dense => {
      const dFilter = build(attrs.filterShape, 'float32', () => 0);
      const sizes = geometry(x.shape, attrs.filterShape, attrs, depthwise);
      eachProduct(sizes, (inX, inFilter, inY) => addAt(dFilter, at(dy, ...inY) * at(x, ...inX), ...inFilter));
      return dFilter;
    },
  };
}

const conv2D = convolution(false, eachConv2DProduct);
const depthwise = convolution(true, eachDepthwiseProduct);

interface Conv3DAttrs {
  strides: number | [number, number, number];
  pad: 'valid' | 'same';
  dilations?: number | [number, number, number];
}

function eachConv3DProduct(
  xShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dilations }: Conv3DAttrs,
  visit: (x: Shape5, filter: Shape5, y: Shape5) => void,
): void {
  const info = backend_util.computeConv3DInfo(xShape as Shape5, filterShape as Shape5, strides, dilations ?? 1, pad);
  const origin = [info.padInfo.front, info.padInfo.top, info.padInfo.left];
  const step = [info.strideDepth, info.strideHeight, info.strideWidth];
  const spread = [info.dilationDepth, info.dilationHeight, info.dilationWidth];
  const positions = cube([info.outDepth, info.outHeight, info.outWidth]);
  const taps = cube([info.filterDepth, info.filterHeight, info.filterWidth]);
  const inside = [info.inDepth, info.inHeight, info.inWidth];
  for (let n = 0; n < info.batchSize; ++n) {
    for (const out of positions) {
      for (const tap of taps) {
        const from = out.map((i, axis) => i * step[axis]! - origin[axis]! + tap[axis]! * spread[axis]!) as typeof out;
        if (from.some((i, axis) => i < 0 || i >= inside[axis]!)) continue;
        for (let input = 0; input < info.inChannels; ++input) {
          for (let output = 0; output < info.outChannels; ++output) {
            visit([n, ...from, input], [...tap, input, output], [n, ...out, output]);
          }
        }
      }
    }
  }
}

/** All positions of a box, row-major. */
export function cube([depth, height, width]: readonly [number, number, number]): [number, number, number][] {
  const positions: [number, number, number][] = [];
  for (let d = 0; d < depth; ++d) {
    for (let h = 0; h < height; ++h) {
      for (let w = 0; w < width; ++w) positions.push([d, h, w]);
    }
  }
  return positions;
}

export const convolutionKernels: readonly ReferenceKernel[] = [
  reference('Conv2D', conv2D.forward),
  reference('Conv2DBackpropInput', conv2D.inputGradient),
  reference('Conv2DBackpropFilter', conv2D.filterGradient),
  reference<ConvInputs & FusedInputs, ConvAttrs & FusedAttrs>('FusedConv2D', (inputs, attrs) =>
    finish(conv2D.forward(inputs, attrs), inputs, attrs, attrs.dataFormat === 'NCHW'),
  ),
  reference('DepthwiseConv2dNative', depthwise.forward),
  reference('DepthwiseConv2dNativeBackpropInput', depthwise.inputGradient),
  reference('DepthwiseConv2dNativeBackpropFilter', depthwise.filterGradient),
  reference<ConvInputs & FusedInputs, ConvAttrs & FusedAttrs>('FusedDepthwiseConv2D', (inputs, attrs) =>
    finish(depthwise.forward(inputs, attrs), inputs, attrs, attrs.dataFormat === 'NCHW'),
  ),
  reference<ConvInputs, Conv3DAttrs>('Conv3D', ({ x, filter }, attrs) => {
    const { strides, dilations, pad } = attrs;
    const shapes = [x.shape as Shape5, filter.shape as Shape5] as const;
    const y = build(backend_util.computeConv3DInfo(...shapes, strides, dilations ?? 1, pad).outShape, 'float32', () => 0);
    eachConv3DProduct(x.shape, filter.shape, attrs, (inX, inFilter, inY) =>
      addAt(y, at(x, ...inX) * at(filter, ...inFilter), ...inY),
    );
    return y;
  }),
  reference<{ dy: Dense; filter: Dense }, Conv3DAttrs & { inputShape: number[] }>(
    'Conv3DBackpropInputV2',
    ({ dy, filter }, attrs) => {
      const dx = build(attrs.inputShape, 'float32', () => 0);
      eachConv3DProduct(attrs.inputShape, filter.shape, attrs, (inX, inFilter, inY) =>
        addAt(dx, at(dy, ...inY) * at(filter, ...inFilter), ...inX),
      );
      return dx;
    },
  ),
  reference<{ x: Dense; dy: Dense }, Conv3DAttrs & { filterShape: number[] }>('Conv3DBackpropFilterV2', ({ x, dy }, attrs) => {
    const dFilter = build(attrs.filterShape, 'float32', () => 0);
    eachConv3DProduct(x.shape, attrs.filterShape, attrs, (inX, inFilter, inY) =>
      addAt(dFilter, at(dy, ...inY) * at(x, ...inX), ...inFilter),
    );
    return dFilter;
  }),
];
