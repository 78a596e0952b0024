import { type Expected, type KernelCase, SUMS, input, output } from '../harness/case.js';
import { filled } from '../harness/fill.js';

interface Layer {
  readonly n: number;
  readonly size: number;
  readonly c: number;
  readonly co: number;
  readonly kernel: number;
  readonly pad: number;
  readonly depthwise?: boolean;
}

const PASSES = ['conv2d', 'conv2d_input_grad', 'conv2d_filter_grad'] as const;
const DEPTHWISE_PASSES = ['depthwise_conv2d', 'depthwise_conv2d_input_grad', 'depthwise_conv2d_filter_grad'] as const;

/** One of the three passes of a layer with stride 1 and square images, NHWC. */
function pass(layer: Layer, which: 0 | 1 | 2, quick: boolean): KernelCase {
  const { n, size, c, co, kernel, pad, depthwise = false } = layer;
  const out = size + 2 * pad - kernel + 1;
  const image = [n, size, size, c];
  const result = [n, out, out, co];
  const filter = depthwise ? [kernel, kernel, c, 1] : [kernel, kernel, c, co];
  const name = (depthwise ? DEPTHWISE_PASSES : PASSES)[which];
  const shape = `${n}*${size}x${size}x${c}:${depthwise ? 'dw' : co}:${kernel}x${kernel}`;
  const dims = [
    [image, filter, result],
    [result, filter, image],
    [image, result, filter],
  ][which]!;
  const operands = [input('f', 'u1', ...dims[0]!), input('f', 'u2', ...dims[1]!), output(...dims[2]!)];
  const [first, second] = [filled('u1'), filled('u2')];
  const imageAt = (b: number, y: number, x: number, channel: number): number => ((b * size + y) * size + x) * c + channel;
  const resultAt = (b: number, y: number, x: number, channel: number): number => ((b * out + y) * out + x) * co + channel;
  const filterAt = (ky: number, kx: number, i: number, o: number): number =>
    depthwise ? (ky * kernel + kx) * c + i : ((ky * kernel + kx) * c + i) * co + o;

  const expected = (index: number): Expected => {
    let value = 0;
    let scale = 0;
    const add = (product: number): void => {
      value += product;
      scale += Math.abs(product);
    };
    const last = dims[2]![3]!;
    const channel = index % last;
    const [d1, d2] = [dims[2]![1]!, dims[2]![2]!];
    const x = Math.floor(index / last) % d2;
    const y = Math.floor(index / (last * d2)) % d1;
    const b = Math.floor(index / (last * d2 * d1));
    if (which === 2) {
      // [ky, kx, i, o], or [ky, kx, c, 1] of a depthwise filter.
      const o = depthwise ? 0 : channel;
      const i = depthwise ? Math.floor(index) % c : x;
      const kx = Math.floor(index / (depthwise ? c : c * co)) % kernel;
      const ky = Math.floor(index / (depthwise ? c * kernel : c * co * kernel));
      for (let p = 0; p < n; ++p) {
        for (let oy = 0; oy < out; ++oy) {
          for (let ox = 0; ox < out; ++ox) {
            const [iy, ix] = [oy + ky - pad, ox + kx - pad];
            if (iy < 0 || ix < 0 || iy >= size || ix >= size) continue;
            add(first(imageAt(p, iy, ix, i)) * second(resultAt(p, oy, ox, depthwise ? i : o)));
          }
        }
      }
      return { value, scale };
    }
    for (let ky = 0; ky < kernel; ++ky) {
      for (let kx = 0; kx < kernel; ++kx) {
        const [sy, sx] = which === 0 ? [y + ky - pad, x + kx - pad] : [y - ky + pad, x - kx + pad];
        const limit = which === 0 ? size : out;
        if (sy < 0 || sx < 0 || sy >= limit || sx >= limit) continue;
        if (depthwise) {
          add(
            (which === 0 ? first(imageAt(b, sy, sx, channel)) : first(resultAt(b, sy, sx, channel))) *
              second(filterAt(ky, kx, channel, 0)),
          );
        } else if (which === 0) {
          for (let i = 0; i < c; ++i) add(first(imageAt(b, sy, sx, i)) * second(filterAt(ky, kx, i, channel)));
        } else {
          for (let o = 0; o < co; ++o) add(first(resultAt(b, sy, sx, o)) * second(filterAt(ky, kx, channel, o)));
        }
      }
    }
    return { value, scale };
  };

  return {
    name: `${name} ${shape}`,
    op: name,
    shape,
    dtype: 'f32',
    family: depthwise ? 'depthwise convolution' : 'convolution',
    work: { amount: 2 * n * out * out * (depthwise ? c : c * co) * kernel * kernel, unit: 'flop' },
    size: dims[2]!.reduce((product, dim) => product * dim, 1),
    expected,
    tolerance: SUMS,
    quick,
    ours: { name, ints: [1, 1, 1, 1, pad, pad], operands, result: 2 },
    peer: { name: 'conv', ints: [which, n, size, size, c, co, kernel, kernel, 1, pad, Number(depthwise)], operands, result: 2 },
  };
}

const LAYERS: readonly Layer[] = [
  { n: 8, size: 56, c: 64, co: 64, kernel: 3, pad: 1 },
  { n: 8, size: 28, c: 128, co: 128, kernel: 3, pad: 1 },
  { n: 8, size: 14, c: 256, co: 256, kernel: 3, pad: 1 },
  { n: 8, size: 56, c: 64, co: 256, kernel: 1, pad: 0 },
  { n: 8, size: 56, c: 128, co: 128, kernel: 3, pad: 1, depthwise: true },
  { n: 64, size: 28, c: 1, co: 32, kernel: 5, pad: 2 },
  { n: 64, size: 14, c: 32, co: 64, kernel: 5, pad: 2 },
];

export const CONV_CASES: readonly KernelCase[] = LAYERS.flatMap((layer, index) =>
  ([0, 1, 2] as const).map((which) => pass(layer, which, index === 5)),
);
