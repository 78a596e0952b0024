/** Recurrent layers. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkOneOf } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { checkLayerOptions, type CallOptions, type LayerJSON, type LayerOptions } from './layer.js';
import { MaskedLayer } from './masked-layer.js';
import { readBias, readRole, roleKeys, type ParameterOptions, type RoleOptions } from './parameter-options.js';
import { gruResetAfterCell, gruResetBeforeCell, lstmCell, reluCell, runCell, tanhCell, type Cell } from './recurrent-cells.js';
import { layerFromJSON, registerLayer } from './registry.js';
import type { Shape } from './shape.js';

/** Initialisers: kernel 'glorot_uniform', recurrent 'orthogonal', bias 'zeros'. */
export type RecurrentOptions = LayerOptions &
  RoleOptions<'kernel' | 'recurrent' | 'bias'> & {
    /** Size of the state, >= 1. */
    readonly units: number;
    /** Whether the outputs of all steps are given, [N, T, units], and not only the last state. Default false. */
    readonly returnSequences?: boolean;
    /** Whether the last state follows as further outputs, [N, units] each: h, for LSTM also c. Default false. */
    readonly returnState?: boolean;
    /** Whether steps run from the last to the first; outputs stay at their steps. Default false. */
    readonly reverse?: boolean;
    /** Whether a bias is added. Default true. */
    readonly useBias?: boolean;
  };

const KEYS = ['units', 'returnSequences', 'returnState', 'reverse', 'useBias', ...roleKeys('kernel', 'recurrent', 'bias')];

/**
 * What recurrent layers share. Inputs x [N, T, C] and optionally a bool mask [N, T] (steps that are false leave the state as it
 * is and give 0); parameters `kernel` [C, gates * units], `recurrent` [units, gates * units], `bias` [gates * units].
 */
export abstract class RecurrentLayer extends MaskedLayer {
  protected readonly units: number;
  readonly #gates: number;
  readonly #numStates: number;
  readonly #returnSequences: boolean;
  readonly #returnState: boolean;
  readonly #isReverse: boolean;
  readonly #kernelOptions: ParameterOptions;
  readonly #recurrentOptions: ParameterOptions;
  protected readonly biasOptions: ParameterOptions | undefined;
  readonly #config: Readonly<Record<string, unknown>>;
  #kernel: tf.Variable | undefined;
  #recurrent: tf.Variable | undefined;
  protected bias: tf.Variable | undefined;

  constructor(
    type: string,
    options: RecurrentOptions,
    more: { readonly gates: number; readonly numStates: number; readonly keys?: readonly string[] },
  ) {
    checkLayerOptions(type, options, [...KEYS, ...(more.keys ?? [])]);
    super(options);
    this.units = checkInteger(type, 'units', options.units, { min: 1 });
    this.#gates = more.gates;
    this.#numStates = more.numStates;
    this.#returnSequences = checkBoolean(type, 'returnSequences', options.returnSequences ?? false);
    this.#returnState = checkBoolean(type, 'returnState', options.returnState ?? false);
    this.#isReverse = checkBoolean(type, 'reverse', options.reverse ?? false);
    const kernel = readRole(type, options, 'kernel', 'glorot_uniform');
    const recurrent = readRole(type, options, 'recurrent', 'orthogonal');
    const bias = readBias(type, options);
    this.#kernelOptions = kernel.parameter;
    this.#recurrentOptions = recurrent.parameter;
    this.biasOptions = bias.parameter;
    this.#config = {
      units: this.units,
      returnSequences: this.#returnSequences,
      returnState: this.#returnState,
      reverse: this.#isReverse,
      ...kernel.config,
      ...recurrent.config,
      ...bias.config,
    };
  }

  protected abstract readonly cell: Cell;

  override computeOutputShape(inputShape: Shape): Shape {
    const [steps] = this.checkSequence(inputShape);
    return this.#returnSequences ? [steps, this.units] : [this.units];
  }

  protected override outputShapesFor(inputShape: Shape): readonly Shape[] {
    const states = this.#returnState ? Array.from({ length: this.#numStates }, () => [this.units]) : [];
    return [this.computeOutputShape(inputShape), ...states];
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    const width = this.#gates * this.units;
    this.#kernel = this.addParameter('kernel', [inputShape[1] as number, width], this.#kernelOptions);
    this.#recurrent = this.addParameter('recurrent', [this.units, width], this.#recurrentOptions);
    this.bias = this.biasOptions === undefined ? undefined : this.createBias(this.biasOptions, width);
  }

  protected createBias(options: ParameterOptions, width: number): tf.Variable {
    return this.addParameter('bias', [width], options);
  }

  /** The bias of x W, and the one within the recurrent part. */
  protected biases(): { input: tf.Tensor | undefined; recurrent?: tf.Tensor } {
    return { input: this.bias };
  }

  protected override transformMasked(x: tf.Tensor, mask: tf.Tensor | undefined, _options: CallOptions): readonly tf.Tensor[] {
    const [batch, steps, size] = x.shape as [number, number, number];
    const flat = tf.matMul(tf.reshape(x, [batch * steps, size]), this.#kernel as tf.Tensor);
    const { input, recurrent } = this.biases();
    const products = tf.reshape(input === undefined ? flat : tf.add(flat, input), [batch, steps, -1]);
    const { outputs, state } = runCell(this.cell, products, {
      weights: {
        recurrent: this.#recurrent as tf.Tensor,
        units: this.units,
        ...(recurrent === undefined ? {} : { recurrentBias: recurrent }),
      },
      numStates: this.#numStates,
      mask,
      isReverse: this.#isReverse,
    });
    const y = this.#returnSequences ? tf.stack(outputs, 1) : tf.clone(state[0] as tf.Tensor);
    return this.#returnState ? [y, ...state.map((value) => tf.clone(value))] : [y];
  }

  protected override ownFlops(): number {
    const [steps, size] = this.inputShape as [number, number];
    return 2 * steps * (size + this.units) * this.#gates * this.units;
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return this.#config;
  }
}

export type LSTMOptions = RecurrentOptions & {
  /** Whether the forget gate's bias begins at 1. Default true. */
  readonly unitForgetBias?: boolean;
};

/**
 * Long short-term memory; the cell stands at `lstmCell`. [N, T, C] -> [N, units] or [N, T, units].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no sequence
 */
export class LSTM extends RecurrentLayer {
  readonly type = 'lstm';
  protected readonly cell = lstmCell;
  readonly #unitForgetBias: boolean;

  constructor(options: LSTMOptions) {
    super('lstm', options, { gates: 4, numStates: 2, keys: ['unitForgetBias'] });
    this.#unitForgetBias = checkBoolean('lstm', 'unitForgetBias', options.unitForgetBias ?? true);
  }

  protected override createBias(options: ParameterOptions, width: number): tf.Variable {
    const bias = super.createBias(options, width);
    if (this.#unitForgetBias) {
      const values = bias
        .dataSync<'float32'>()
        .slice()
        .fill(1, this.units, 2 * this.units);
      tf.tidy(() => bias.assign(tf.tensor(values)));
    }
    return bias;
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { ...super.getConfig(), unitForgetBias: this.#unitForgetBias };
  }
}

export type GRUOptions = RecurrentOptions & {
  /** Whether the reset gate acts after the recurrent product, as in PyTorch; the bias is [2, 3 * units] then. Default true. */
  readonly resetAfter?: boolean;
};

/**
 * Gated recurrent unit; the cells stand at `gruResetAfterCell`. [N, T, C] -> [N, units] or [N, T, units].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no sequence
 */
export class GRU extends RecurrentLayer {
  readonly type = 'gru';
  protected readonly cell: Cell;
  readonly #isResetAfter: boolean;

  constructor(options: GRUOptions) {
    super('gru', options, { gates: 3, numStates: 1, keys: ['resetAfter'] });
    this.#isResetAfter = checkBoolean('gru', 'resetAfter', options.resetAfter ?? true);
    this.cell = this.#isResetAfter ? gruResetAfterCell : gruResetBeforeCell;
  }

  protected override createBias(options: ParameterOptions, width: number): tf.Variable {
    return this.addParameter('bias', this.#isResetAfter ? [2, width] : [width], options);
  }

  protected override biases(): { input: tf.Tensor | undefined; recurrent?: tf.Tensor } {
    const { bias, units } = this;
    if (bias === undefined || !this.#isResetAfter) return { input: bias };
    // Both biases of the gates are simply added; that of the candidate stays within the product with the reset gate.
    const rows = tf.reshape(bias, [2, 3 * units]);
    const [first, second] = tf.unstack(rows, 0) as [tf.Tensor, tf.Tensor];
    const gates = tf.concat([tf.slice(second, [0], [2 * units]), tf.zeros([units])]);
    return { input: tf.add(first, gates), recurrent: tf.slice(second, [2 * units], [units]) };
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { ...super.getConfig(), resetAfter: this.#isResetAfter };
  }
}

export type RNNOptions = RecurrentOptions & {
  /** Default 'tanh'. */
  readonly activation?: 'tanh' | 'relu';
};

/**
 * Simple recurrent layer: h = activation(x W + h R + b). [N, T, C] -> [N, units] or [N, T, units].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no sequence
 */
export class RNN extends RecurrentLayer {
  readonly type = 'rnn';
  protected readonly cell: Cell;
  readonly #activation: 'tanh' | 'relu';

  constructor(options: RNNOptions) {
    super('rnn', options, { gates: 1, numStates: 1, keys: ['activation'] });
    this.#activation = checkOneOf('rnn', 'activation', options.activation ?? 'tanh', ['tanh', 'relu']);
    this.cell = this.#activation === 'tanh' ? tanhCell : reluCell;
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { ...super.getConfig(), activation: this.#activation };
  }
}

const MERGES = ['concat', 'sum', 'mul', 'average'] as const;

export interface BidirectionalOptions extends LayerOptions {
  /** The layer for the forward direction, without returnState; a copy of it with initial values of its own runs backward. */
  readonly layer: RecurrentLayer;
  /** How the outputs of both directions become one. Default 'concat'. */
  readonly merge?: (typeof MERGES)[number];
}

/**
 * A recurrent layer in both directions. Inputs as the layer's; parameters under `forward` and `backward`.
 *
 * @throws E_CONFIG for wrong options
 * @source Schuster, Paliwal 1997
 */
export class Bidirectional extends MaskedLayer {
  readonly type = 'bidirectional';
  readonly #merge: (typeof MERGES)[number];
  readonly #layer: LayerJSON;
  readonly #forward: RecurrentLayer;
  readonly #backward: RecurrentLayer;

  constructor(options: BidirectionalOptions) {
    checkLayerOptions('bidirectional', options, ['layer', 'merge']);
    super(options);
    const { layer } = options;
    if (!(layer instanceof RecurrentLayer) || layer.getConfig().returnState === true || layer.getConfig().reverse === true)
      throw new TensorkilnError(
        'E_CONFIG',
        '[bidirectional] wrong layer: expected a forward recurrent layer without returnState.',
      );
    this.#merge = checkOneOf('bidirectional', 'merge', options.merge ?? 'concat', MERGES);
    const { type, config } = layer.layerJSON();
    this.#layer = { type, name: type, config };
    this.#forward = layer;
    this.#backward = layerFromJSON({ type, config: { ...config, reverse: true } }) as RecurrentLayer;
    this.addSublayer(this.#forward, 'forward');
    this.addSublayer(this.#backward, 'backward');
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.nameSublayers();
    const shape = this.#forward.computeOutputShape(inputShape);
    return this.#merge === 'concat' ? [...shape.slice(0, -1), 2 * (shape.at(-1) as number)] : shape;
  }

  protected override createParameters(inputShapes: readonly Shape[]): void {
    for (const layer of this.sublayers) this.buildSublayer(layer, inputShapes);
  }

  protected override transformMasked(x: tf.Tensor, mask: tf.Tensor | undefined, options: CallOptions): readonly tf.Tensor[] {
    const inputs = mask === undefined ? [x] : [x, mask];
    const [a, b] = [this.#forward, this.#backward].map((layer) => layer.apply(inputs, options)[0]) as [tf.Tensor, tf.Tensor];
    switch (this.#merge) {
      case 'concat':
        return [tf.concat([a, b], -1)];
      case 'mul':
        return [tf.mul(a, b)];
      case 'sum':
        return [tf.add(a, b)];
      case 'average':
        return [tf.mul(tf.add(a, b), 0.5)];
    }
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { layer: this.#layer, merge: this.#merge };
  }
}

registerLayer('lstm', (config) => new LSTM(config as unknown as LSTMOptions));
registerLayer('gru', (config) => new GRU(config as unknown as GRUOptions));
registerLayer('rnn', (config) => new RNN(config as unknown as RNNOptions));
registerLayer('bidirectional', (config) => {
  const layer = layerFromJSON(config.layer, 'bidirectional layer') as RecurrentLayer;
  return new Bidirectional({ ...(config as unknown as BidirectionalOptions), layer });
});
