import type * as tf from '@tensorflow/tfjs-core';
import { checkBoolean } from '../arguments.js';
import { channelPrelu } from '../backend/custom/activations.js';
import { checkLayerOptions, UnaryLayer, type LayerOptions } from './layer.js';
import { readRole, roleKeys, type RoleOptions } from './parameter-options.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, type Shape } from './shape.js';

/** Initialiser of alpha: 0.25. */
export type PReLUOptions = LayerOptions &
  RoleOptions<'alpha'> & {
    /** Whether all channels share one alpha. Default false: one each. */
    readonly shared?: boolean;
  };

/**
 * ReLU with a learned slope below zero: y = x for x > 0, else alpha * x. [N, ..., C] -> same; parameter `alpha` [C] or [1].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when there is no axis besides the batch
 * @source He, Zhang, Ren, Sun 2015, arXiv:1502.01852, eq. 1
 */
export class PReLU extends UnaryLayer {
  readonly type = 'prelu';
  readonly #isShared: boolean;
  readonly #role: ReturnType<typeof readRole>;
  #alpha: tf.Variable | undefined;

  constructor(options: PReLUOptions = {}) {
    checkLayerOptions('prelu', options, ['shared', ...roleKeys('alpha')]);
    super(options);
    this.#isShared = checkBoolean('prelu', 'shared', options.shared ?? false);
    this.#role = readRole('prelu', options, 'alpha', { type: 'constant', value: 0.25 });
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis < rank - 1;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length === 0) throw this.shapeError('wrong input shape', '[N, ..., C]', formatBatchShape(inputShape));
    return inputShape;
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    this.#alpha = this.addParameter('alpha', [this.#isShared ? 1 : (inputShape.at(-1) as number)], this.#role.parameter);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return channelPrelu(x, this.#alpha as tf.Tensor);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { shared: this.#isShared, ...this.#role.config };
  }
}

registerLayer('prelu', (config) => new PReLU(config));
