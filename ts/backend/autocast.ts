/** Mixed precision: which ops store their results in 16 bits, and which of their inputs are rounded first. */
import { isHalf } from './record.js';
import { declareOp, storageNumber, type Engine, type OpRef, type Operand } from '../native/engine.js';

const CAST = declareOp('cast');
const FLOAT32 = storageNumber('f32');

/** Matrix work: inputs are rounded to 16 bits, products are summed in float32, results are stored in 16 bits. */
const LOW = new Set(
  [
    'matmul',
    ...['conv2d', 'conv3d', 'depthwise_conv2d'].flatMap((name) => [name, `${name}_input_grad`, `${name}_filter_grad`]),
    ...['linear', 'attention', 'lstm', 'gru', 'rnn'].flatMap((name) => [name, `${name}_grad`]),
    'prelu',
    'prelu_grad',
  ].map(String),
);

/** Where 16 bits lose too much: inputs are taken in float32, results are stored so. */
const FLOAT = new Set([
  ...['acos', 'asin', 'cosh', 'sinh', 'tan', 'exp', 'expm1', 'log', 'log1p', 'pow', 'reciprocal', 'rsqrt', 'softplus'],
  ...['softmax', 'log_softmax', 'softmax_grad', 'softmax_cross_entropy', 'softmax_cross_entropy_grad'],
  ...['binary_cross_entropy', 'binary_cross_entropy_grad', 'squared_difference', 'complex_abs', 'fft'],
  ...['reduce_sum', 'reduce_mean', 'reduce_prod', 'cumsum', 'cumprod', 'unsorted_segment_sum', 'multi_norm'],
]);

/** Operands that stay in float32 whatever the op: statistics that gradients are formed from, and gradients of parameters. */
const FLOAT_OPERANDS = new Set([
  ...['mask', 'log_sum', 'mean', 'inverse', 'loss', 'row_weight', 'norm'],
  ...['dw', 'dbias', 'dfilter', 'dkernel', 'drecurrent', 'dscale', 'doffset', 'dalpha'],
]);

/** The lists by op name, for the documentation and its test. */
export const CAST_LISTS = { low: [...LOW], float: [...FLOAT] } as const;

/**
 * One scope in which results are stored in 16 bits where the lists say so.
 *
 * Inputs of matrix work that are float32 are cast. The copies of variables are kept to the end of the scope, since weights come
 * twice, forwards and backwards.
 */
export class AutocastScope {
  readonly storage: number;
  readonly #engine: Engine;
  readonly #variables: ReadonlySet<number>;
  /** 16-bit copies by the handle they were made from. */
  readonly #copies = new Map<number, number>();

  /**
   * @param storage    storage dtype by number, f16 or bf16
   * @param variables  handles of which copies are worth keeping
   */
  constructor(storage: number, engine: Engine, variables: ReadonlySet<number>) {
    this.storage = storage;
    this.#engine = engine;
    this.#variables = variables;
  }

  /** The inputs as the op is to see them. Handles put into `loans` are the caller's to release after the call. */
  inputs(op: OpRef, inputs: readonly Operand[], loans: number[]): readonly Operand[] {
    if (!LOW.has(op.name)) return inputs;
    const specs = this.#engine.info(op).operands;
    return inputs.map((input, index) => {
      const isTaken = input.storage === FLOAT32 && sizeOf(input.shape) > 0 && !FLOAT_OPERANDS.has(specs[index]?.name ?? '');
      return isTaken ? { handle: this.#copyOf(input, loans), storage: this.storage, shape: input.shape } : input;
    });
  }

  #copyOf(input: Operand, loans: number[]): number {
    const known = this.#copies.get(input.handle);
    if (known !== undefined) return known;
    const copy: Operand = { handle: -1, storage: this.storage, shape: input.shape };
    this.#engine.call(CAST, [input, copy]);
    if (this.#variables.has(input.handle)) this.#copies.set(input.handle, copy.handle);
    else loans.push(copy.handle);
    return copy.handle;
  }

  /** Forgets the copy of a buffer that is about to change. */
  forget(handle: number): void {
    const copy = this.#copies.get(handle);
    if (copy === undefined) return;
    this.#copies.delete(handle);
    this.#engine.release(copy);
  }

  /** Storage of an output. @param name  the operand's name in ops.def */
  output(op: OpRef, inputs: readonly Operand[], name: string, shape: readonly number[]): number {
    if (FLOAT.has(op.name) || FLOAT_OPERANDS.has(name)) return FLOAT32;
    if (LOW.has(op.name)) return this.storage;
    // Of all others the inputs decide that are as large as the result: a bias or a scalar does not make it float32.
    const floats = inputs.filter(({ storage }) => storage === FLOAT32 || isHalf(storage));
    const size = sizeOf(shape);
    const large = floats.filter((input) => sizeOf(input.shape) >= size);
    const deciding = large.length > 0 ? large : floats;
    const allHalf = deciding.length > 0 && deciding.every(({ storage }) => isHalf(storage));
    return allHalf ? (deciding[0] as Operand).storage : FLOAT32;
  }

  dispose(): void {
    for (const handle of this.#copies.values()) this.#engine.release(handle);
    this.#copies.clear();
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
