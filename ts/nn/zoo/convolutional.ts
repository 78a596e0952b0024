import { Activation } from '../activation.js';
import type { ActivationName } from '../activations.js';
import { Conv2D } from '../conv2d.js';
import { Dense } from '../dense.js';
import { Dropout } from '../dropout.js';
import { Flatten } from '../flatten.js';
import type { UnaryLayer } from '../layer.js';
import { BatchNorm } from '../normalization.js';
import { GlobalAveragePooling2D } from '../pooling.js';
import { AveragePooling2D, MaxPooling2D } from '../pooling2d.js';
import { Sequential } from '../sequential.js';
import { ZooOptions, type ZooCommon } from './options.js';
import { initializerFor } from './perceptrons.js';

export interface CnnOptions extends ZooCommon {
  /** Channels of the convolutions; the image is halved after each as long as two rows and columns are left. Default [32, 64, 128]. */
  readonly filters?: readonly number[];
  /** Default 3. */
  readonly kernelSize?: number;
  /** Sizes of dense layers before the scores. Default []. */
  readonly hiddenUnits?: readonly number[];
  /** Default 'relu'. */
  readonly activation?: ActivationName;
  /** Whether a batch norm follows each convolution. Default true. */
  readonly batchNorm?: boolean;
  /** Before each dense layer. Default 0.2. */
  readonly dropout?: number;
  /** What makes a vector of the last image: the mean of its places (default) or all of them. */
  readonly head?: 'average' | 'flatten';
}

/** Convolutions with batch norm and max pooling, then dense layers. Input [N, H, W, C]. */
export function cnn(description: CnnOptions): Sequential {
  const keys = ['filters', 'kernelSize', 'hiddenUnits', 'activation', 'batchNorm', 'dropout', 'head'];
  const options = new ZooOptions('cnn', description, keys);
  options.refuse('rows are images', 'vocabulary');
  let [height, width] = options.imageShape;
  const activation = options.activation('relu');
  const kernelInitializer = initializerFor(activation);
  const kernelSize = options.integer('kernelSize', 3);
  const isNormed = options.boolean('batchNorm', true);
  const dropout = options.rate('dropout', 0.2);
  const drop = (): UnaryLayer[] => (dropout > 0 ? [new Dropout({ rate: dropout })] : []);
  const layers: UnaryLayer[] = [];
  for (const filters of options.integers('filters', [32, 64, 128])) {
    const shared = { filters, kernelSize, padding: 'same', kernelInitializer } as const;
    if (isNormed) layers.push(new Conv2D({ ...shared, useBias: false }), new BatchNorm(), new Activation({ activation }));
    else layers.push(new Conv2D({ ...shared, activation }));
    if (Math.min(height, width) < 2) continue;
    layers.push(new MaxPooling2D());
    [height, width] = [Math.floor(height / 2), Math.floor(width / 2)];
  }
  layers.push(
    options.oneOf('head', 'average', ['average', 'flatten']) === 'average' ? new GlobalAveragePooling2D() : new Flatten(),
  );
  for (const units of options.integers('hiddenUnits', [], 0)) {
    layers.push(...drop(), new Dense({ units, activation, kernelInitializer }));
  }
  layers.push(...drop(), new Dense({ units: options.numClasses, name: 'scores' }));
  return new Sequential({ layers, seed: options.seed });
}

export interface LenetOptions extends ZooCommon {
  /** Channels of both convolutions. Default [6, 16]. */
  readonly filters?: readonly number[];
  /** Sizes of the dense layers. Default [120, 84]. */
  readonly hiddenUnits?: readonly number[];
  /** Default 'tanh'. */
  readonly activation?: ActivationName;
  /** 'average' (default, as in the paper, without its weights per channel) or 'max'. */
  readonly pooling?: 'average' | 'max';
  /** Before each dense layer. Default 0. */
  readonly dropout?: number;
}

/**
 * LeNet-5: conv 5x5, pool, conv 5x5, pool, dense layers. Input [N, H, W, C], at least 12 x 12.
 *
 * @source LeCun, Bottou, Bengio, Haffner 1998, section II.B; every map sees all maps before it, and the last layer is linear
 */
export function lenet(description: LenetOptions): Sequential {
  const options = new ZooOptions('lenet', description, ['filters', 'hiddenUnits', 'activation', 'pooling', 'dropout']);
  options.refuse('rows are images', 'vocabulary');
  const [height, width] = options.imageShape;
  if (Math.min(height, width) < 12) throw options.error('inputShape', 'at least 12 x 12', `${height} x ${width}`);
  const activation = options.activation('tanh');
  const kernelInitializer = initializerFor(activation);
  const [first, second, ...rest] = options.integers('filters', [6, 16], 2) as [number, number];
  if (rest.length > 0) throw options.error('filters', 'two integers', `${rest.length + 2}`);
  const isMax = options.oneOf('pooling', 'average', ['average', 'max']) === 'max';
  const pool = (): UnaryLayer => (isMax ? new MaxPooling2D() : new AveragePooling2D());
  const dropout = options.rate('dropout', 0);
  const dense = options
    .integers('hiddenUnits', [120, 84], 0)
    .flatMap((units): UnaryLayer[] => [
      ...(dropout > 0 ? [new Dropout({ rate: dropout })] : []),
      new Dense({ units, activation, kernelInitializer }),
    ]);
  const layers = [
    new Conv2D({ filters: first, kernelSize: 5, padding: 'same', activation, kernelInitializer }),
    pool(),
    new Conv2D({ filters: second, kernelSize: 5, activation, kernelInitializer }),
    pool(),
    new Flatten(),
    ...dense,
    new Dense({ units: options.numClasses, name: 'scores' }),
  ];
  return new Sequential({ layers, seed: options.seed });
}
