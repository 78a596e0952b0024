/** Recurrent layers. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkOneOf } from '../arguments.js';
import { gru, lstm, rnn, type RecurrentWeights, type SequenceOptions } from '../backend/custom/recurrent.js';
import { TensorkilnError } from '../errors.js';
import { checkLayerOptions, type CallOptions, type LayerDType, type LayerOptions } from './layer.js';
import { MaskedLayer } from './masked-layer.js';
import { readBias, readRole, roleKeys, type ParameterOptions, type RoleOptions } from './parameter-options.js';
import { layerFromJSON, registerLayer } from './registry.js';
import { formatBatchShape, isSameShape, type Shape } from './shape.js';

/** Initialisers: kernel 'glorot_uniform', recurrent 'orthogonal', bias 'zeros'. */
export type RecurrentOptions = LayerOptions &
  RoleOptions<'kernel' | 'recurrent' | 'bias'> & {
    /** Size of the state, >= 1. */
    readonly units: number;
    /** Whether the outputs of all steps are given, [N, T, units], and not only the last state. Default false. */
    readonly returnSequences?: boolean;
    /** Whether the last state follows as further outputs, [N, units] each: h, for LSTM also c. Default false. */
    readonly returnState?: boolean;
    /** Whether first states follow as last inputs, [N, units] each: h, for LSTM also c. Default false: they are 0. */
    readonly initialState?: boolean;
    /** Whether steps run from the last to the first; outputs stay at their steps. Default false. */
    readonly reverse?: boolean;
    /** Whether a bias is added. Default true. */
    readonly useBias?: boolean;
  };

const KEYS = [
  'units',
  'returnSequences',
  'returnState',
  'initialState',
  'reverse',
  'useBias',
  ...roleKeys('kernel', 'recurrent', 'bias'),
];

/**
 * What recurrent layers share: one op over the whole sequence. Inputs x [N, T, C], optionally a bool mask [N, T] (steps that are
 * false leave the state as it is and give 0), and with `initialState` the first states; parameters `kernel` [C, gates * units], `recurrent` [units, gates * units], `bias` [gates * units].
 */
export abstract class RecurrentLayer extends MaskedLayer {
  protected readonly units: number;
  readonly #gates: number;
  readonly #numStates: number;
  readonly #returnSequences: boolean;
  readonly #returnState: boolean;
  readonly #takesState: boolean;
  readonly #isReverse: boolean;
  readonly #kernelOptions: ParameterOptions;
  readonly #recurrentOptions: ParameterOptions;
  protected readonly biasOptions: ParameterOptions | undefined;
  readonly #config: Readonly<Record<string, unknown>>;
  #kernel: tf.Variable | undefined;
  #recurrent: tf.Variable | undefined;
  #bias: tf.Variable | undefined;

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
    this.#takesState = checkBoolean(type, 'initialState', options.initialState ?? false);
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
      initialState: this.#takesState,
      reverse: this.#isReverse,
      ...kernel.config,
      ...recurrent.config,
      ...bias.config,
    };
  }

  /** Outputs of all steps where wanted, then the last states. */
  protected abstract run(
    x: tf.Tensor,
    weights: RecurrentWeights,
    options: SequenceOptions,
    states: readonly tf.Tensor[],
  ): readonly [y: tf.Tensor | undefined, state: tf.Tensor, ...others: tf.Tensor[]];

  override computeOutputShape(inputShape: Shape): Shape {
    const [steps] = this.checkSequence(inputShape);
    return this.#returnSequences ? [steps, this.units] : [this.units];
  }

  protected override outputShapesFor(inputShape: Shape): readonly Shape[] {
    const states = this.#returnState ? Array.from({ length: this.#numStates }, () => [this.units]) : [];
    return [this.computeOutputShape(inputShape), ...states];
  }

  /** Inputs besides x: a mask where there is one, then the first states. */
  #split<T>(inputs: readonly T[]): { mask: T | undefined; states: readonly T[] } {
    const count = this.#takesState ? this.#numStates : 0;
    const states = inputs.slice(inputs.length - count);
    return { mask: inputs.length - count === 2 ? inputs[1] : undefined, states };
  }

  override inputDTypeAt(index: number): LayerDType {
    const isMask = index === 1 && (!this.#takesState || this.inputShapes.length === 2 + this.#numStates);
    return isMask ? 'bool' : 'float32';
  }

  override isFlexible(axis: number, _rank: number): boolean {
    return axis === 0;
  }

  protected override computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    if (!this.#takesState) return super.computeOutputShapes(inputShapes);
    const count = this.#numStates;
    if (inputShapes.length < 1 + count || inputShapes.length > 2 + count)
      throw this.shapeError('wrong number of inputs', `${1 + count}, or ${2 + count} with a mask`, String(inputShapes.length));
    const { mask, states } = this.#split(inputShapes);
    const wrong = states.find((shape) => !isSameShape(shape, [this.units]));
    if (wrong !== undefined)
      throw this.shapeError('wrong shape of the first state', `[N, ${this.units}]`, formatBatchShape(wrong));
    return super.computeOutputShapes([inputShapes[0] as Shape, ...(mask === undefined ? [] : [mask])]);
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    const width = this.#gates * this.units;
    this.#kernel = this.addParameter('kernel', [inputShape[1] as number, width], this.#kernelOptions);
    this.#recurrent = this.addParameter('recurrent', [this.units, width], this.#recurrentOptions);
    this.#bias = this.biasOptions === undefined ? undefined : this.createBias(this.biasOptions, width);
  }

  protected createBias(options: ParameterOptions, width: number): tf.Variable {
    return this.addParameter('bias', [width], options);
  }

  protected override forward(inputs: readonly tf.Tensor[], _options: CallOptions): readonly tf.Tensor[] {
    const { mask, states } = this.#split(inputs);
    const weights = {
      kernel: this.#kernel as tf.Tensor,
      recurrentKernel: this.#recurrent as tf.Tensor,
      bias: this.#bias,
    };
    const options = { mask, isReverse: this.#isReverse, returnSequences: this.#returnSequences };
    const [y, state, ...others] = this.run(inputs[0] as tf.Tensor, weights, options, states);
    if (!this.#returnState) return [y ?? state];
    // Without the outputs of all steps the last state leaves twice, each time as a tensor of its own.
    return [y ?? tf.clone(state), state, ...others];
  }

  protected override transformMasked(x: tf.Tensor, mask: tf.Tensor | undefined, options: CallOptions): readonly tf.Tensor[] {
    return this.forward(mask === undefined ? [x] : [x, mask], options);
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
 * Long short-term memory: i, f, o = sigmoid(x W + h R + b), g = tanh(x W + h R + b); c = f c + i g; h = o tanh(c). Gates stand in
 * the order i, f, g, o, as in Keras and PyTorch. [N, T, C] -> [N, units] or [N, T, units].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no sequence
 * @source Hochreiter, Schmidhuber 1997, with the forget gate of Gers et al. 2000
 */
export class LSTM extends RecurrentLayer {
  readonly type = 'lstm';
  readonly #unitForgetBias: boolean;

  constructor(options: LSTMOptions) {
    super('lstm', options, { gates: 4, numStates: 2, keys: ['unitForgetBias'] });
    this.#unitForgetBias = checkBoolean('lstm', 'unitForgetBias', options.unitForgetBias ?? true);
  }

  protected override createBias(options: ParameterOptions, width: number): tf.Variable {
    const adjust = (values: Float32Array): void => {
      if (this.#unitForgetBias) values.fill(1, this.units, 2 * this.units);
    };
    return this.addParameter('bias', [width], options, { adjust });
  }

  protected override run(
    x: tf.Tensor,
    weights: RecurrentWeights,
    options: SequenceOptions,
    [initialState, initialCell]: readonly tf.Tensor[],
  ): readonly [tf.Tensor | undefined, tf.Tensor, ...tf.Tensor[]] {
    const { y, state, cell } = lstm(x, weights, { ...options, initialState, initialCell });
    return [y, state, cell];
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
 * Gated recurrent unit: z, r = sigmoid(x W + h R + b), h = z h + (1 - z) g with g = tanh(x W + b + r (h R + b')), or, reset
 * before, g = tanh(x W + (r h) R + b), the form of the paper. Gates stand in the order z, r, g, as in Keras.
 * [N, T, C] -> [N, units] or [N, T, units].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no sequence
 * @source Cho et al. 2014, arXiv:1406.1078; reset after: the variant of cuDNN
 */
export class GRU extends RecurrentLayer {
  readonly type = 'gru';
  readonly #isResetAfter: boolean;

  constructor(options: GRUOptions) {
    super('gru', options, { gates: 3, numStates: 1, keys: ['resetAfter'] });
    this.#isResetAfter = checkBoolean('gru', 'resetAfter', options.resetAfter ?? true);
  }

  protected override createBias(options: ParameterOptions, width: number): tf.Variable {
    return this.addParameter('bias', this.#isResetAfter ? [2, width] : [width], options);
  }

  protected override run(
    x: tf.Tensor,
    weights: RecurrentWeights,
    options: SequenceOptions,
    [initialState]: readonly tf.Tensor[],
  ): readonly [tf.Tensor | undefined, tf.Tensor, ...tf.Tensor[]] {
    const { y, state } = gru(x, weights, { ...options, initialState, isResetAfter: this.#isResetAfter });
    return [y, state];
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
 * @source Elman 1990; with ReLU: Le, Jaitly, Hinton 2015, arXiv:1504.00941
 */
export class RNN extends RecurrentLayer {
  readonly type = 'rnn';
  readonly #activation: 'tanh' | 'relu';

  constructor(options: RNNOptions) {
    super('rnn', options, { gates: 1, numStates: 1, keys: ['activation'] });
    this.#activation = checkOneOf('rnn', 'activation', options.activation ?? 'tanh', ['tanh', 'relu']);
  }

  protected override run(
    x: tf.Tensor,
    weights: RecurrentWeights,
    options: SequenceOptions,
    [initialState]: readonly tf.Tensor[],
  ): readonly [tf.Tensor | undefined, tf.Tensor, ...tf.Tensor[]] {
    const { y, state } = rnn(x, weights, { ...options, initialState, activation: this.#activation });
    return [y, state];
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
  readonly #forward: RecurrentLayer;
  readonly #backward: RecurrentLayer;

  constructor(options: BidirectionalOptions) {
    checkLayerOptions('bidirectional', options, ['layer', 'merge']);
    super(options);
    const { layer } = options;
    const isPlain = (one: RecurrentLayer): boolean => {
      const { returnState, reverse, initialState } = one.getConfig();
      return returnState === false && reverse === false && initialState === false;
    };
    if (!(layer instanceof RecurrentLayer) || !isPlain(layer))
      throw new TensorkilnError(
        'E_CONFIG',
        '[bidirectional] wrong layer: expected a forward recurrent layer without returnState and initialState.',
      );
    this.#merge = checkOneOf('bidirectional', 'merge', options.merge ?? 'concat', MERGES);
    const { type, config } = layer.layerJSON();
    this.#forward = layer;
    const { trainable } = layer;
    this.#backward = layerFromJSON({ type, config: { ...config, reverse: true }, trainable }) as RecurrentLayer;
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
    // Which of the two directions is frozen stands in the form of the whole layer.
    const { type, config } = this.#forward.layerJSON();
    return { layer: { type, name: type, config }, merge: this.#merge };
  }
}

registerLayer('lstm', (config) => new LSTM(config as unknown as LSTMOptions));
registerLayer('gru', (config) => new GRU(config as unknown as GRUOptions));
registerLayer('rnn', (config) => new RNN(config as unknown as RNNOptions));
registerLayer('bidirectional', (config) => {
  const layer = layerFromJSON(config.layer, 'bidirectional layer') as RecurrentLayer;
  return new Bidirectional({ ...(config as unknown as BidirectionalOptions), layer });
});
