/** The trainer: checks, one call at a time, and what it keeps between calls. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys, checkObject, checkOneOf, show } from '../arguments.js';
import { PRECISIONS, type Precision } from '../backend/custom/autocast.js';
import { TensorkilnError } from '../errors.js';
import { Layer } from '../nn/layer.js';
import type { Loss } from '../nn/losses.js';
import { GradScaler } from '../optim/grad-scaler.js';
import type { Optimizer } from '../optim/optimizer.js';
import { ofDType } from './batches.js';
import { applyClassWeights, checkBackend, checkMetrics, checkShapes, checkSource, checkTrainerParts } from './checks.js';
import { flatten, type Facts } from './checkpoint/facts.js';
import { CheckpointStore } from './checkpoint/store.js';
import { InFlight } from './in-flight.js';
import { judge, JUDGE_BATCH, type Evaluation } from './judge.js';
import { checkFitOptions, type CheckedFit, type FitOptions, type StepTrainerOptions, type TrainerOptions } from './options.js';
import { findRate, type RateFinderOptions, type RateFinding } from './rate-finder.js';
import { findUnfinished } from './run-checkpoints.js';
import { STEPS_IN_FLIGHT, TrainingRun } from './run.js';
import { profileSteps, type ProfileOptions, type StepProfile } from './profile-steps.js';
import { makeOwnSteps, makeSteps, resetSteps, type Metric, type StepFunctions, type Steps } from './steps.js';
import { bindOptimizer, checkParameters, toTrainable, type Trainable } from './trainable.js';
import { toSource, type BatchSource, type TrainingData, type TypedValues } from './training-data.js';
import type { TrainingHistory } from './types.js';

/**
 * Trains a model on data in memory or from a source of batches.
 *
 * Steps are enqueued without waiting: the loss of step i - 2 is awaited before step i + 1, so the event loop is never
 * blocked and the engine never idle. Equal seeds, data and options give equal weights bit for bit, on any number of threads,
 * also when a run was killed and resumed.
 *
 * @example
 * const model = new Sequential({ layers: [new Dense({ units: 16, activation: 'relu' }), new Dense({ units: 3 })], seed: 1 });
 * const trainer = new Trainer({ model, loss: crossEntropy, optimizer: new Adam() });
 * const history = await trainer.fit(train, { validation, epochs: 50, batchSize: 32, earlyStopping: { patience: 5 } });
 * const { accuracy } = await trainer.evaluate(test);
 *
 * @throws E_CONFIG for wrong options
 */
export class Trainer {
  readonly #model: Trainable;
  readonly #losses: readonly Loss[];
  readonly #metrics: readonly Metric[];
  readonly #optimizer: Optimizer | undefined;
  readonly #classWeights: readonly number[] | undefined;
  readonly #functions: StepFunctions | undefined;
  readonly #layer: Layer | undefined;
  readonly #seed: number;
  readonly #precision: Precision = 'float32';
  readonly #steps: Steps;
  #nextPass = 0;
  #isBusy = false;
  #isDisposed = false;

  constructor(options: TrainerOptions) {
    checkObject('trainer', options);
    this.#seed = checkInteger('trainer', 'seed', options.seed ?? 0, { min: 0 });
    this.#optimizer = options.optimizer;
    if ('step' in options) {
      checkKeys('trainer', options, ['step', 'optimizer', 'seed', 'compile']);
      this.#functions = options.step;
      this.#model = new FunctionTrainable(options);
      this.#losses = [];
      this.#metrics = [];
      this.#steps = makeOwnSteps(
        options.step,
        () => this.#model.inputShapes.length,
        checkBoolean('trainer', 'compile', options.compile ?? true),
      );
      return;
    }
    checkKeys('trainer', options, [
      ...['model', 'loss', 'lossWeights', 'metrics', 'optimizer', 'classWeights'],
      ...['seed', 'compile', 'precision'],
    ]);
    const precision = checkOneOf('trainer', 'precision', options.precision ?? 'float32', PRECISIONS);
    this.#precision = precision;
    this.#losses = Array.isArray(options.loss) ? (options.loss as readonly Loss[]) : [options.loss as Loss];
    checkTrainerParts(options.model, this.#losses, options.optimizer);
    this.#model = toTrainable(options.model);
    this.#layer = options.model instanceof Layer ? options.model : undefined;
    checkMetrics(options.metrics ?? []);
    this.#metrics = options.metrics ?? [];
    this.#classWeights = options.classWeights;
    const lossWeights = options.lossWeights ?? this.#losses.map(() => 1);
    if (lossWeights.length !== this.#losses.length || !lossWeights.every((weight) => weight >= 0 && Number.isFinite(weight))) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[trainer] wrong lossWeights: expected ${this.#losses.length} finite numbers >= 0, got ${lossWeights.join(', ')}.`,
      );
    }
    const isCompiled = checkBoolean('trainer', 'compile', options.compile ?? true);
    this.#steps = makeSteps(
      {
        model: this.#model,
        losses: this.#losses,
        lossWeights,
        metrics: this.#metrics,
        optimizer: options.optimizer,
        precision,
        scaler: precision === 'f16' ? new GradScaler() : undefined,
      },
      isCompiled,
    );
  }

  /**
   * Trains.
   *
   * The epoch with the best monitored figure (least validation loss, without validation data least training loss) is the best
   * one; its weights are kept on the device. The model ends with them when `earlyStopping.restoreBest` holds, when training is
   * ended from outside or by time, and when the loss stops being finite; otherwise it ends with the last weights. The
   * optimizer's state is not taken back.
   *
   * With `checkpoints` the whole state of training is saved now and then: weights, optimizer, random states, place in the data.
   * `resume` goes on from there, and the end is the same bit for bit as without the interruption. Without a checkpoint to go on
   * from, it starts at the beginning.
   *
   * @param train    rows to learn from
   * @param options  see FitOptions
   * @returns        what happened, epoch by epoch, those before a resume included
   * @throws (as rejections) before any work: E_CONFIG for options, E_DATA, E_SHAPE or E_DTYPE for data that does not fit,
   *         E_DEVICE when the current backend is not ours, E_USAGE while another call runs, when `resume` finds a checkpoint of
   *         other data or options, or when a run that has not ended would be overwritten; E_DATA when every checkpoint is
   *         damaged. While training: E_DIVERGED when a loss is not finite, after the best weights have been restored; E_IO when
   *         a checkpoint cannot be saved.
   */
  async fit(train: TrainingData, options: FitOptions): Promise<TrainingHistory> {
    return this.#exclusively('fit', async () => {
      const checked = checkFitOptions(options, this.#monitors());
      const source = toSource('fit', train);
      this.#checkSource('fit', source);
      const validation = this.#checkValidation(options.validation, source);
      this.#model.build(source.inputShapes);
      await this.#bindOptimizer();
      const weighted = applyClassWeights(source, this.#classWeights, this.#losses, this.#model.outputShapes[0] ?? []);
      const run = new TrainingRun({
        model: this.#model,
        steps: this.#steps,
        layer: this.#layer,
        optimizer: this.#optimizer,
        precision: this.#precision,
        isClassification: this.#isClassification,
        metricNames: this.#metrics.map(({ name }) => name),
        seed: this.#seed,
        firstPass: this.#nextPass,
        train: weighted,
        validation,
        options: checked,
        facts: () => this.#facts(weighted, validation, checked),
      });
      try {
        return await run.run();
      } finally {
        this.#nextPass = run.nextPass;
        run.dispose();
      }
    });
  }

  /**
   * Trains for some steps at growing learning rates and tells the loss at each, to choose one by. Model and optimizer are
   * afterwards as they were before.
   *
   * @throws (as rejections) as `fit`; E_USAGE for a trainer without an optimizer; E_ABORTED
   */
  async findLearningRate(train: TrainingData, options: RateFinderOptions = {}): Promise<RateFinding> {
    return this.#exclusively('findLearningRate', async () => {
      const optimizer = this.#optimizer;
      if (optimizer === undefined)
        throw new TensorkilnError(
          'E_USAGE',
          '[findLearningRate] there is no learning rate: the trainer was made without an optimizer.',
        );
      const source = toSource('findLearningRate', train);
      this.#checkSource('findLearningRate', source);
      this.#model.build(source.inputShapes);
      await this.#bindOptimizer();
      return findRate({ model: this.#model, steps: this.#steps, optimizer, source, seed: this.#seed }, options);
    });
  }

  /**
   * The model's first output for rows of features, without dropout.
   *
   * @param inputs   [rows, ...inputShape] row-major; for a model with several inputs one array each
   * @param options  `batchSize`: rows per step, default 256; `signal`
   * @returns        [rows, ...outputShape] float32, row-major
   * @throws (as rejections) E_SHAPE when the values are no whole number of rows; E_CONFIG; E_USAGE before the model is built and
   *         for a step function; E_ABORTED
   */
  async predict(inputs: Float32Array | readonly TypedValues[], options: PredictOptions = {}): Promise<Float32Array> {
    return (await this.predictAll(ArrayBuffer.isView(inputs) ? [inputs] : inputs, options))[0] as Float32Array;
  }

  /** As `predict`, with all outputs of the model. */
  async predictAll(inputs: readonly TypedValues[], options: PredictOptions = {}): Promise<readonly Float32Array[]> {
    return this.#exclusively('predict', async () => {
      if (this.#functions !== undefined)
        throw new TensorkilnError('E_USAGE', '[predict] a trainer of a step function has no model to predict with.');
      checkKeys('predict', options, ['batchSize', 'signal']);
      const given: unknown = inputs;
      if (!Array.isArray(given) || !given.every((values) => ArrayBuffer.isView(values)))
        throw new TensorkilnError(
          'E_CONFIG',
          `[predict] wrong inputs: expected a Float32Array of rows, or a list with one for each input, got ${show(inputs)}.`,
        );
      const batchSize = checkInteger('predict', 'batchSize', options.batchSize ?? JUDGE_BATCH, { min: 1 });
      const { inputShapes, outputShapes, inputDTypes } = this.#model;
      const rows = countRows(inputs, inputShapes);
      const sizes = outputShapes.map(sizeOf);
      const results = sizes.map((size) => new Float32Array(rows * size));
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const inFlight = new InFlight<number>(STEPS_IN_FLIGHT, (values, start) => {
        let offset = 0;
        results.forEach((result, output) => {
          const size = sizes[output] as number;
          for (let row = 0; row < values.length / total; ++row)
            for (let i = 0; i < size; ++i) result[(start + row) * size + i] = values[row * total + offset + i] as number;
          offset += size;
        });
      });
      try {
        for (let start = 0; start < rows; start += batchSize) {
          if (options.signal?.aborted === true) {
            throw new TensorkilnError('E_ABORTED', '[predict] cancelled by its caller.', { cause: options.signal.reason });
          }
          const end = Math.min(start + batchSize, rows);
          const tensors = inputs.map((values, index) => {
            const shape = inputShapes[index] as readonly number[];
            const size = sizeOf(shape);
            const own = ofDType(values.subarray(start * size, end * size), inputDTypes?.[index]);
            return tf.tensor(own, [end - start, ...shape], own instanceof Int32Array ? 'int32' : 'float32');
          });
          let y: tf.Tensor;
          try {
            y = this.#steps.predict(...tensors);
          } finally {
            tf.dispose(tensors);
          }
          await inFlight.push(y, start);
        }
        await inFlight.drain();
      } finally {
        await inFlight.abandon();
      }
      return results;
    });
  }

  /**
   * Mean loss, accuracy for classification, and the trainer's metrics, over all rows, without dropout and class weights.
   *
   * @param data     rows to judge the model on
   * @param options  `batchSize`: rows per step, default 256; `signal`
   * @throws (as rejections) E_DATA, E_SHAPE, E_DTYPE for data that does not fit; E_CONFIG; E_USAGE before the model is built;
   *         E_ABORTED
   */
  async evaluate(data: TrainingData, options: PredictOptions = {}): Promise<Evaluation> {
    return this.#exclusively('evaluate', async () => {
      checkKeys('evaluate', options, ['batchSize', 'signal']);
      const batchSize = checkInteger('evaluate', 'batchSize', options.batchSize ?? JUDGE_BATCH, { min: 1 });
      if (!this.#model.isBuilt)
        throw new TensorkilnError('E_USAGE', '[evaluate] the model is not built: call build(inputShape) or fit first.');
      const source = toSource('evaluate', data);
      this.#checkSource('evaluate', source);
      const judged = await judge(this.#steps.evaluate, source, {
        batchSize,
        limit: undefined,
        isClassification: this.#isClassification,
        metricNames: this.#metrics.map(({ name }) => name),
        signal: options.signal,
        inputDTypes: this.#model.inputDTypes,
      });
      if (judged === undefined)
        throw new TensorkilnError('E_ABORTED', '[evaluate] cancelled by its caller.', { cause: options.signal?.reason });
      const { metrics, ...rest } = judged;
      return this.#metrics.length === 0 ? rest : { ...rest, metrics };
    });
  }

  /**
   * The newest whole checkpoint in a folder, when it is of a run that has not ended by itself: what `resume` would go on from.
   *
   * @returns its path; undefined when there is none
   */
  static async findUnfinished(folder: string): Promise<string | undefined> {
    return findUnfinished(new CheckpointStore(folder, 1));
  }

  /**
   * Runs training steps on the first batch and says what they spend their time on. The model and the optimizer learn from them.
   *
   * @param train    rows to learn from
   * @param options  `batchSize`: rows of the batch, default 32; `steps`: steps that are profiled after those that record, default 10
   * @throws (as rejections) as `fit` for data that does not fit; E_ABORTED
   */
  async profile(train: TrainingData, options: ProfileOptions = {}): Promise<StepProfile> {
    return this.#exclusively('profile', async () => {
      const source = toSource('profile', train);
      this.#checkSource('profile', source);
      this.#model.build(source.inputShapes);
      await this.#bindOptimizer();
      return profileSteps({ model: this.#model, step: this.#steps.train, source }, options);
    });
  }

  /** Frees recorded steps and what they keep: sums of batches in parts, the factor of loss scaling. Model and optimizer stay the caller's. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#steps.train.dispose();
    this.#steps.evaluate.dispose();
    this.#steps.predict.dispose();
    this.#steps.parts?.apply.dispose();
    this.#steps.scaler?.dispose();
  }

  async #bindOptimizer(): Promise<void> {
    if (this.#optimizer !== undefined && (await bindOptimizer(this.#optimizer, this.#model))) resetSteps(this.#steps);
  }

  get #isClassification(): boolean {
    return this.#losses[0]?.isClassification === true;
  }

  #monitors(): readonly string[] {
    return ['train_loss', 'validation_loss', 'validation_accuracy', ...this.#metrics.map(({ name }) => `validation_${name}`)];
  }

  #checkSource(place: string, source: BatchSource): void {
    if (this.#functions === undefined) checkSource(place, source, this.#model, this.#losses);
    else if (place === 'evaluate' && this.#functions.evaluate === undefined)
      throw new TensorkilnError(
        'E_USAGE',
        '[evaluate] the step has no function evaluate: expected one that gives the loss of each row.',
      );
  }

  #checkValidation(data: TrainingData | undefined, train: BatchSource): BatchSource | undefined {
    if (data === undefined) return undefined;
    const source = toSource('fit validation', data);
    const [expected, found] = [train, source].map(({ inputShapes }) =>
      inputShapes.map((shape) => `[${shape.join(', ')}]`).join(' '),
    );
    if (expected !== found) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[fit] validation features differ from training features: expected ${expected}, got ${found}.`,
      );
    }
    if (this.#functions !== undefined && this.#functions.evaluate === undefined)
      throw new TensorkilnError(
        'E_CONFIG',
        '[fit] wrong validation: the step has no function evaluate that gives the loss of each row.',
      );
    this.#checkSource('fit validation', source);
    return source;
  }

  /** What this call of fit rests on, for the comparison when it is resumed. */
  #facts(train: BatchSource, validation: BatchSource | undefined, options: CheckedFit): Facts {
    const optimizer = this.#optimizer;
    return flatten({
      data: {
        train: { rows: train.size, sha256: train.fingerprint() },
        ...(validation === undefined ? {} : { validation: { rows: validation.size, sha256: validation.fingerprint() } }),
      },
      model: this.#model.describe(),
      optimizer: optimizer === undefined ? {} : { type: optimizer.type, ...optimizer.hyperParameters() },
      trainer: { seed: this.#seed, loss: this.#losses.map(({ name }) => name) },
      fit: {
        epochs: options.epochs,
        batch_size: options.batchSize,
        shuffle: options.shuffle,
        limit_train_batches: options.limitTrainBatches ?? null,
        limit_validation_batches: options.limitValidationBatches ?? null,
        monitor: options.best.monitor,
        mode: options.best.mode,
        min_delta: options.best.minDelta,
        early_stopping: options.earlyStopping ?? null,
        reduce_on_plateau: options.reduceOnPlateau ?? null,
      },
    });
  }

  /** Runs one call at a time: steps of two calls would mix their batches and epochs. */
  async #exclusively<T>(place: string, run: () => Promise<T>): Promise<T> {
    if (this.#isDisposed) throw new TensorkilnError('E_DISPOSED', `[${place}] the trainer has been disposed.`);
    if (this.#layer?.isDisposed === true) throw new TensorkilnError('E_DISPOSED', `[${place}] the model has been disposed.`);
    if (this.#isBusy)
      throw new TensorkilnError('E_USAGE', `[${place}] the trainer is busy: await the call that runs before starting another.`);
    checkBackend(place);
    checkParameters(place, this.#model);
    this.#isBusy = true;
    try {
      return await run();
    } finally {
      this.#isBusy = false;
    }
  }
}

export interface PredictOptions {
  /** Rows per step, >= 1. Default 256. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

/** A step function in the place of a model: it has variables and random states, and takes whatever the data has. */
class FunctionTrainable implements Trainable {
  readonly #options: StepTrainerOptions;
  #inputShapes: readonly (readonly number[])[] = [];
  readonly isBuilt = true;
  readonly inputDTypes = undefined;
  readonly usesBatchStatistics = false;
  readonly outputShapes = [];

  constructor(options: StepTrainerOptions) {
    this.#options = options;
  }

  get inputShapes(): readonly (readonly number[])[] {
    return this.#inputShapes;
  }

  outputShapesFor(): readonly [] {
    return [];
  }

  build(inputShapes: readonly (readonly number[])[]): void {
    this.#inputShapes = inputShapes;
  }

  call(): readonly tf.Tensor[] {
    return [];
  }

  applyConstraints(): void {
    // The user's own step holds its own constraints.
  }

  penalties(): readonly tf.Scalar[] {
    return [];
  }

  parameters(): ReturnType<Trainable['parameters']> {
    return Object.entries(this.#options.step.variables).map(([name, variable]) => ({
      name,
      variable,
      trainable: variable.trainable,
    }));
  }

  randomStates(): ReturnType<Trainable['randomStates']> {
    return this.#options.step.randomStates ?? {};
  }

  describe(): unknown {
    return Object.fromEntries(this.parameters().map(({ name, variable }) => [name, variable.shape.join('x')]));
  }
}

function countRows(inputs: readonly TypedValues[], shapes: readonly (readonly number[])[]): number {
  checkShapes('predict', shapes, shapes.slice(0, inputs.length).concat(inputs.slice(shapes.length).map(() => [])));
  const counts = inputs.map((values, index) => {
    const shape = shapes[index] as readonly number[];
    const rows = values.length / sizeOf(shape);
    if (Number.isInteger(rows)) return rows;
    throw new TensorkilnError(
      'E_SHAPE',
      `[predict] wrong number of features: expected a multiple of ${sizeOf(shape)} for rows of [${shape.join(', ')}], got ${values.length}.`,
    );
  });
  const [rows = 0] = counts;
  if (counts.some((count) => count !== rows))
    throw new TensorkilnError(
      'E_SHAPE',
      `[predict] inputs differ in rows: expected as many in each, got ${counts.join(', ')}.`,
    );
  return rows;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
