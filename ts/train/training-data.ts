/** What a trainer can learn from: arrays in memory, or a source that makes batches as they are needed. */
import { show } from '../arguments.js';
import type { Dataset } from '../data/dataset.js';
import { TensorkilnError } from '../errors.js';
import { epochOrder, pickRows } from './batches.js';
import { digest } from './checkpoint/facts.js';

export type TypedValues = Float32Array | Int32Array;

/** Values of every row for one input or output of a model. */
export interface RowArray {
  /** [size, ...shape], row-major. */
  readonly values: TypedValues;
  /** Shape of one row. */
  readonly shape: readonly number[];
}

/** Rows in memory for a model with several inputs or outputs. */
export interface MultiDataset {
  readonly size: number;
  /** In the order of the model's inputs. */
  readonly inputs: readonly RowArray[];
  /** In the order of the model's outputs. */
  readonly outputs: readonly RowArray[];
  /** [size]: how much each row counts in the loss, >= 0; default 1 each. */
  readonly sampleWeights?: Float32Array;
}

/** A data set with one input and one output, each row of which may count differently. */
export interface WeightedDataset extends Dataset {
  /** [size]: how much each row counts in the loss, >= 0; default 1 each. */
  readonly sampleWeights?: Float32Array;
}

/** One batch in host memory; the arrays are copied before the next one is asked for. */
export interface HostBatch {
  readonly rows: number;
  readonly inputs: readonly TypedValues[];
  readonly targets: readonly TypedValues[];
  /** [rows] */
  readonly weights?: Float32Array;
}

export interface PassOptions {
  readonly batchSize: number;
  /** Number of the pass over the data since training began, from 0: what a pass does at random depends on it and `seed` only. */
  readonly pass: number;
  readonly seed: number;
  readonly shuffle: boolean;
  /** Batches to leave out at the start, because an interrupted run has done them. */
  readonly skip: number;
}

/** Makes batches as they are needed, such as images that are augmented by workers. */
export interface BatchSource {
  /** Rows of one pass. */
  readonly size: number;
  readonly inputShapes: readonly (readonly number[])[];
  readonly targetShapes: readonly (readonly number[])[];
  /** A text that is equal for equal data, compared when a run is resumed. */
  fingerprint(): string;
  /** The batches of one pass, in order; all of `batchSize` rows but the last. Equal options give equal batches. */
  batches(options: PassOptions): Iterable<HostBatch> | AsyncIterable<HostBatch>;
}

export type TrainingData = WeightedDataset | MultiDataset | BatchSource;

function isSource(data: TrainingData): data is BatchSource {
  return 'batches' in data;
}

/** Arrays in memory as a source. */
export class ArraySource implements BatchSource {
  readonly size: number;
  readonly inputs: readonly RowArray[];
  readonly outputs: readonly RowArray[];
  readonly #weights: Float32Array | undefined;

  constructor({ size, inputs, outputs, sampleWeights }: MultiDataset) {
    this.size = size;
    this.inputs = inputs;
    this.outputs = outputs;
    this.#weights = sampleWeights;
  }

  get inputShapes(): readonly (readonly number[])[] {
    return this.inputs.map(({ shape }) => shape);
  }

  get targetShapes(): readonly (readonly number[])[] {
    return this.outputs.map(({ shape }) => shape);
  }

  /** The same rows, each counting as much more as its class does. */
  withClassWeights(classWeights: readonly number[]): ArraySource {
    const weights = rowWeights(this.outputs[0]?.values as Int32Array, classWeights, this.#weights);
    return new ArraySource({ size: this.size, inputs: this.inputs, outputs: this.outputs, sampleWeights: weights });
  }

  fingerprint(): string {
    const arrays = [...this.inputs, ...this.outputs].map(({ values }) => values);
    return digest(this.#weights === undefined ? arrays : [...arrays, this.#weights]);
  }

  *batches({ batchSize, pass, seed, shuffle, skip }: PassOptions): Generator<HostBatch> {
    const order = epochOrder(this.size, shuffle ? { seed, epoch: pass } : undefined);
    for (let start = skip * batchSize; start < this.size; start += batchSize) {
      const range = { start, end: Math.min(start + batchSize, this.size), order };
      const pick = ({ values, shape }: RowArray): TypedValues => pickRows(values, sizeOf(shape), range);
      yield {
        rows: range.end - start,
        inputs: this.inputs.map(pick),
        targets: this.outputs.map(pick),
        ...(this.#weights === undefined ? {} : { weights: pickRows(this.#weights, 1, range) }),
      };
    }
  }
}

/** Weights of rows by their class, times their own; 0 for a target that is no class, which the loss ignores. */
function rowWeights(targets: TypedValues, classWeights: readonly number[], own: Float32Array | undefined): Float32Array {
  return Float32Array.from(targets, (target, row) => (classWeights[target] ?? 0) * (own?.[row] ?? 1));
}

/** A source that makes its batches, each row of which counts as much more as its class does. */
export class ClassWeightedSource implements BatchSource {
  readonly #source: BatchSource;
  readonly #classWeights: readonly number[];

  constructor(source: BatchSource, classWeights: readonly number[]) {
    this.#source = source;
    this.#classWeights = classWeights;
  }

  get size(): number {
    return this.#source.size;
  }

  get inputShapes(): readonly (readonly number[])[] {
    return this.#source.inputShapes;
  }

  get targetShapes(): readonly (readonly number[])[] {
    return this.#source.targetShapes;
  }

  fingerprint(): string {
    return `${this.#source.fingerprint()} ${this.#classWeights.join(' ')}`;
  }

  async *batches(options: PassOptions): AsyncGenerator<HostBatch> {
    for await (const batch of this.#source.batches(options)) {
      yield { ...batch, weights: rowWeights(batch.targets[0] as TypedValues, this.#classWeights, batch.weights) };
    }
  }
}

/**
 * Any training data as a source, after its sizes have been checked.
 *
 * @throws E_DATA for no rows or weights that are negative or not finite; E_SHAPE when an array does not fit its shape, or has
 *         none; E_DTYPE for what is no Float32Array or Int32Array
 */
export function toSource(place: string, data: TrainingData): BatchSource {
  if (typeof data !== 'object' || (data as unknown) === null)
    throw new TensorkilnError(
      'E_DATA',
      `[${place}] wrong data: expected rows in memory or a source of batches, got ${show(data)}.`,
    );
  const { size } = data;
  if (!Number.isSafeInteger(size) || size < 1)
    throw new TensorkilnError('E_DATA', `[${place}] there are no rows: expected at least one, got size ${show(size)}.`);
  if (isSource(data)) return data;
  const multi: MultiDataset =
    'inputs' in data
      ? data
      : {
          size,
          inputs: [{ values: data.features, shape: data.featureShape }],
          outputs: [{ values: data.targets, shape: data.targetShape }],
          ...(data.sampleWeights === undefined ? {} : { sampleWeights: data.sampleWeights }),
        };
  const check = (what: string, { values, shape }: RowArray): void => {
    if (!isShape(shape))
      throw new TensorkilnError(
        'E_SHAPE',
        `[${place}] wrong shape of ${what}: expected a list of positive integers, without the rows, got ${show(shape)}.`,
      );
    if (!(values instanceof Float32Array || values instanceof Int32Array))
      throw new TensorkilnError(
        'E_DTYPE',
        `[${place}] wrong ${what}: expected a Float32Array or an Int32Array, got ${nameOf(values)}.`,
      );
    const expected = sizeOf(shape) * size;
    if (values.length === expected) return;
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] wrong number of ${what}: expected ${expected} values for ${size} rows of [${shape.join(', ')}], got ${values.length}.`,
    );
  };
  multi.inputs.forEach((array, index) => {
    check(multi.inputs.length === 1 ? 'features' : `features of input ${index}`, array);
  });
  multi.outputs.forEach((array, index) => {
    check(multi.outputs.length === 1 ? 'targets' : `targets of output ${index}`, array);
  });
  const weights = multi.sampleWeights;
  if (weights !== undefined) {
    check('sample weights', { values: weights, shape: [] });
    const row = weights.findIndex((weight) => !(weight >= 0 && Number.isFinite(weight)));
    if (row >= 0)
      throw new TensorkilnError(
        'E_DATA',
        `[${place}] wrong sample weight of row ${row}: expected a finite number >= 0, got ${weights[row]}.`,
      );
  }
  return new ArraySource(multi);
}

function isShape(shape: unknown): shape is readonly number[] {
  return Array.isArray(shape) && shape.every((dim) => Number.isSafeInteger(dim) && dim > 0);
}

/** What callers without types may have given in place of an array. */
function nameOf(values: unknown): string {
  return typeof values === 'object' && values !== null ? `a ${values.constructor.name}` : show(values);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
