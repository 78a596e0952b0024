import { Activation } from '../activation.js';
import { Conv2D } from '../conv2d.js';
import { Dense } from '../dense.js';
import type { InitializerSettings } from '../initializers.js';
import type { UnaryLayer } from '../layer.js';
import { Residual } from '../merge.js';
import { BatchNorm } from '../normalization.js';
import { GlobalAveragePooling2D } from '../pooling.js';
import { MaxPooling2D } from '../pooling2d.js';
import { ZeroPadding2D } from '../padding.js';
import { Sequential } from '../sequential.js';
import { ZooOptions, type ZooCommon } from './options.js';

export interface ResnetOptions extends ZooCommon {
  /**
   * The first layers. 'large': conv 7x7 with stride 2 and a max pooling, as in the paper; 'small': conv 3x3, for images of some
   * 32 pixels. Default: large from 64 x 64 on.
   */
  readonly stem?: 'large' | 'small';
  /** Channels of the first stage; each of the four stages doubles them. Default 64. */
  readonly width?: number;
  /** Whether each branch begins as zero, its last scale being 0 (Goyal et al. 2017, arXiv:1706.02677). Default false. */
  readonly zeroInit?: boolean;
}

const STAGES = {
  resnet18: [2, 2, 2, 2],
  resnet34: [3, 4, 6, 3],
  resnet50: [3, 4, 6, 3],
} as const;

/** Kaiming's normal values by fan-out, as PyTorch's model begins. */
const HE_FAN_OUT: InitializerSettings = { type: 'variance_scaling', scale: 2, mode: 'fan_out', distribution: 'normal' };

/** Convolution without bias, padded by the same number of zeros on all sides. */
function conv(name: string, filters: number, kernelSize: number, strides: number): UnaryLayer[] {
  const shared = { filters, kernelSize, strides, useBias: false, kernelInitializer: HE_FAN_OUT, name };
  if (kernelSize === 1) return [new Conv2D(shared)];
  if (strides === 1) return [new Conv2D({ ...shared, padding: 'same' })];
  // 'same' puts an odd zero behind only; these networks pad evenly.
  const padding = (kernelSize - 1) / 2;
  return [new ZeroPadding2D({ padding, name: `${name}_padding` }), new Conv2D(shared)];
}

function norm(name: string, isZero = false): BatchNorm {
  return new BatchNorm({ name, momentum: 0.9, epsilon: 1e-5, ...(isZero ? { scaleInitializer: 'zeros' as const } : {}) });
}

const relu = (name: string): Activation => new Activation({ activation: 'relu', name });

interface Block {
  readonly filters: number;
  readonly strides: number;
  readonly hasShortcut: boolean;
  readonly zeroInit: boolean;
}

function shortcutFor({ strides, hasShortcut }: Block, filters: number): { shortcut?: Sequential } {
  if (!hasShortcut) return {};
  return { shortcut: new Sequential({ layers: [...conv('0', filters, 1, strides), norm('1')] }) };
}

/** Two 3x3 convolutions. */
function basicBlock(name: string, block: Block): Residual {
  const { filters, strides, zeroInit } = block;
  const layers = [
    ...conv('conv1', filters, 3, strides),
    norm('bn1'),
    relu('relu'),
    ...conv('conv2', filters, 3, 1),
    norm('bn2', zeroInit),
  ];
  return new Residual({ name, branch: new Sequential({ layers }), ...shortcutFor(block, filters), activation: 'relu' });
}

/** 1x1 down to `filters`, 3x3 with the stride, 1x1 up to four times as many. */
function bottleneck(name: string, block: Block): Residual {
  const { filters, strides, zeroInit } = block;
  const layers = [
    ...conv('conv1', filters, 1, 1),
    norm('bn1'),
    relu('relu1'),
    ...conv('conv2', filters, 3, strides),
    norm('bn2'),
    relu('relu2'),
    ...conv('conv3', 4 * filters, 1, 1),
    norm('bn3', zeroInit),
  ];
  return new Residual({ name, branch: new Sequential({ layers }), ...shortcutFor(block, 4 * filters), activation: 'relu' });
}

/**
 * Residual network of 18, 34 or 50 layers. Input [N, H, W, C], output scores [N, numClasses].
 *
 * Parameters are those of PyTorch's model under its names, with `branch/` inside a block and `shortcut` for `downsample`:
 * `layer1.0.conv1.weight` is `layer1/0/branch/conv1/kernel`.
 *
 * @source He, Zhang, Ren, Sun 2015, arXiv:1512.03385, table 1; the stride of a bottleneck stands at its 3x3 convolution
 */
export function resnet(architecture: keyof typeof STAGES, description: ResnetOptions): Sequential {
  const options = new ZooOptions(architecture, description, ['stem', 'width', 'zeroInit']);
  options.refuse('rows are images', 'vocabulary');
  const [height, width] = options.imageShape;
  const stem = options.oneOf('stem', Math.min(height, width) >= 64 ? 'large' : 'small', ['large', 'small']);
  const base = options.integer('width', 64);
  const zeroInit = options.boolean('zeroInit', false);
  const isDeep = architecture === 'resnet50';
  const makeBlock = isDeep ? bottleneck : basicBlock;
  const layers: UnaryLayer[] =
    stem === 'large'
      ? [
          ...conv('conv1', base, 7, 2),
          norm('bn1'),
          relu('relu'),
          // After ReLU a border of zeros is none: no window's maximum is smaller.
          new ZeroPadding2D({ padding: 1, name: 'maxpool_padding' }),
          new MaxPooling2D({ poolSize: 3, strides: 2, name: 'maxpool' }),
        ]
      : [...conv('conv1', base, 3, 1), norm('bn1'), relu('relu')];
  STAGES[architecture].forEach((count, stage) => {
    const filters = base * 2 ** stage;
    const blocks = Array.from({ length: count }, (_, i) => {
      const strides = i === 0 && stage > 0 ? 2 : 1;
      return makeBlock(String(i), { filters, strides, hasShortcut: i === 0 && (stage > 0 || isDeep), zeroInit });
    });
    layers.push(new Sequential({ name: `layer${stage + 1}`, layers: blocks }));
  });
  layers.push(new GlobalAveragePooling2D({ name: 'avgpool' }), new Dense({ units: options.numClasses, name: 'fc' }));
  return new Sequential({ layers, seed: options.seed });
}
