/** The training loop. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys } from '../arguments.js';
import type { Dataset } from '../data/dataset.js';
import { TensorkilnError } from '../errors.js';
import type { UnaryLayer } from '../nn/layer.js';
import type { Loss } from '../nn/losses.js';
import type { Optimizer } from '../optim/optimizer.js';
import { batches, disposeBatch, epochOrder } from './batches.js';
import { checkBackend, checkBatchSize, checkDataset, checkFitOptions, checkParameters } from './checks.js';
import { InFlight } from './in-flight.js';
import { Snapshot } from './snapshot.js';
import { makeSteps, type Steps } from './steps.js';
import type { EpochRecord, StopReason, TrainingEvent, TrainingHistory } from './types.js';

/** Steps that may be enqueued and not yet read back: one runs, one waits, so the engine is never idle. */
const STEPS_IN_FLIGHT = 2;
const DEFAULT_BATCH_SIZE = 256;

export interface TrainerOptions {
  /** Built, or built by `fit` for the training data's features. */
  readonly model: UnaryLayer;
  readonly loss: Loss;
  /** Not bound to other parameters. The trainer does not dispose it. */
  readonly optimizer: Optimizer;
  /** Seed of the order of rows, an integer in [0, 2^53). Default 0. Initial weights and dropout follow the model's seed. */
  readonly seed?: number;
  /** Whether steps are recorded once per batch shape and replayed; the results are the same bits. Default true. */
  readonly compile?: boolean;
}

/** Ends training when the validation loss no longer improves. */
export interface EarlyStopping {
  /** Epochs without improvement before training ends, >= 1. */
  readonly patience: number;
  /** How much less the loss must be to count as better, >= 0. Default 0. */
  readonly minDelta?: number;
  /** Whether the model ends with the weights of its best epoch, however training ends. Default true. */
  readonly restoreBest?: boolean;
}

export interface FitOptions {
  /** Judged after each epoch. */
  readonly validation?: Dataset;
  /** Most epochs to run, >= 1. */
  readonly epochs: number;
  /** Rows per step, >= 1; the last step of an epoch takes what is left. */
  readonly batchSize: number;
  /** Whether each epoch visits the rows in a new order. Default true. */
  readonly shuffle?: boolean;
  readonly earlyStopping?: EarlyStopping;
  /** Ends training after the running step. */
  readonly signal?: AbortSignal;
  /** Called in order; an error it throws ends training and rejects `fit`. */
  readonly onEvent?: (event: TrainingEvent) => void;
}

/** Mean loss over rows, and the share of rows whose largest score is the target when the loss is one of classification. */
export interface Evaluation {
  readonly loss: number;
  readonly accuracy?: number;
}

type CheckedOptions = ReturnType<typeof checkFitOptions> & Pick<FitOptions, 'validation' | 'signal' | 'onEvent'>;

/**
 * Trains a model on data in memory.
 *
 * Steps are enqueued without waiting: the loss of step i - 2 is awaited before step i + 1, so the event loop is never
 * blocked and the engine never idle. Equal seeds, data and options give equal weights bit for bit, on any number of threads.
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
  readonly #model: UnaryLayer;
  readonly #loss: Loss;
  readonly #optimizer: Optimizer;
  readonly #seed: number;
  readonly #steps: Steps;
  #epochsDone = 0;
  #isBusy = false;
  #isDisposed = false;

  constructor(options: TrainerOptions) {
    checkKeys('trainer', options, ['model', 'loss', 'optimizer', 'seed', 'compile']);
    this.#model = options.model;
    this.#loss = options.loss;
    this.#optimizer = options.optimizer;
    this.#seed = checkInteger('trainer', 'seed', options.seed ?? 0, { min: 0 });
    const isCompiled = checkBoolean('trainer', 'compile', options.compile ?? true);
    this.#steps = makeSteps(options.model, options.loss, options.optimizer, isCompiled);
  }

  /**
   * Trains.
   *
   * The epoch with the least validation loss (training loss without validation data) is the best one; its weights are kept
   * on the device. The model ends with them when `earlyStopping.restoreBest` holds, when training is aborted, and when the
   * loss stops being finite; otherwise it ends with the last weights. The optimizer's state is not taken back.
   *
   * @param train    rows to learn from
   * @param options  see FitOptions
   * @returns        what happened, epoch by epoch
   * @throws (as rejections) before any work: E_CONFIG for options, E_DATA, E_SHAPE or E_DTYPE for data that does not fit,
   *         E_DEVICE when the current backend is not ours, E_USAGE while another call runs. While training: E_DIVERGED when
   *         a loss is not finite, after the best weights have been restored.
   */
  async fit(train: Dataset, options: FitOptions): Promise<TrainingHistory> {
    return this.#exclusively('fit', async () => {
      const { validation, signal, onEvent } = options;
      const checked: CheckedOptions = {
        ...checkFitOptions(options),
        ...(validation === undefined ? {} : { validation }),
        ...(signal === undefined ? {} : { signal }),
        ...(onEvent === undefined ? {} : { onEvent }),
      };
      checkDataset('fit', train, this.#model, this.#loss);
      if (validation !== undefined) {
        if (validation.featureShape.join() !== train.featureShape.join()) {
          throw new TensorkilnError(
            'E_SHAPE',
            `[fit] validation features differ from training features: expected [${train.featureShape.join(', ')}], got [${validation.featureShape.join(', ')}].`,
          );
        }
        checkDataset('fit validation', validation, this.#model, this.#loss);
      }
      this.#model.build(train.featureShape);
      this.#optimizer.bind(this.#model.trainableVariables());
      const best = new Snapshot(this.#model);
      try {
        return await this.#run(train, checked, best);
      } finally {
        best.dispose();
      }
    });
  }

  /**
   * The model's outputs for rows of features, without dropout.
   *
   * @param features  [rows, ...inputShape] float32, row-major
   * @param options   `batchSize`: rows per step, default 256
   * @returns         [rows, ...outputShape] float32, row-major
   * @throws (as rejections) E_SHAPE when the values are no whole number of rows; E_CONFIG; E_USAGE before the model is built
   */
  async predict(features: Float32Array, options: { readonly batchSize?: number } = {}): Promise<Float32Array> {
    return this.#exclusively('predict', async () => {
      const batchSize = checkBatchSize('predict', options.batchSize ?? DEFAULT_BATCH_SIZE);
      const { inputShape, outputShape } = this.#model;
      const [inputSize, outputSize] = [inputShape, outputShape].map((shape) =>
        shape.reduce((product, dim) => product * dim, 1),
      ) as [number, number];
      const rows = features.length / inputSize;
      if (!Number.isInteger(rows)) {
        throw new TensorkilnError(
          'E_SHAPE',
          `[predict] wrong number of features: expected a multiple of ${inputSize} for rows of [${inputShape.join(', ')}], got ${features.length}.`,
        );
      }
      const result = new Float32Array(rows * outputSize);
      const inFlight = new InFlight<number>(STEPS_IN_FLIGHT, (values, start) => {
        result.set(values, start);
      });
      try {
        for (let start = 0; start < rows; start += batchSize) {
          const end = Math.min(start + batchSize, rows);
          const x = tf.tensor(features.subarray(start * inputSize, end * inputSize), [end - start, ...inputShape], 'float32');
          let y: tf.Tensor;
          try {
            y = this.#steps.predict(x);
          } finally {
            x.dispose();
          }
          await inFlight.push(y, start * outputSize);
        }
        await inFlight.drain();
      } finally {
        await inFlight.abandon();
      }
      return result;
    });
  }

  /**
   * Mean loss, and accuracy for classification, over all rows, without dropout.
   *
   * @param dataset  rows to judge the model on
   * @param options  `batchSize`: rows per step, default 256
   * @throws (as rejections) E_DATA, E_SHAPE, E_DTYPE for data that does not fit; E_CONFIG; E_USAGE before the model is built
   */
  async evaluate(dataset: Dataset, options: { readonly batchSize?: number } = {}): Promise<Evaluation> {
    return this.#exclusively('evaluate', async () => {
      const batchSize = checkBatchSize('evaluate', options.batchSize ?? DEFAULT_BATCH_SIZE);
      if (!this.#model.isBuilt)
        throw new TensorkilnError('E_USAGE', '[evaluate] the model is not built: call build(inputShape) or fit first.');
      checkDataset('evaluate', dataset, this.#model, this.#loss);
      return (await this.#judge(dataset, batchSize)) as Evaluation;
    });
  }

  /** Frees recorded steps. Model and optimizer stay the caller's. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#steps.train.dispose();
    this.#steps.evaluate.dispose();
    this.#steps.predict.dispose();
  }

  async #run(train: Dataset, options: CheckedOptions, best: Snapshot): Promise<TrainingHistory> {
    const { epochs, batchSize, validation, earlyStopping, signal, onEvent } = options;
    const replaysBefore = this.#steps.train.replays;
    const records: EpochRecord[] = [];
    let stopReason: StopReason = 'epochs';
    let steps = 0;
    let bestLoss = Infinity;
    let sinceBest = 0;
    onEvent?.({
      type: 'start',
      epochs,
      stepsPerEpoch: Math.ceil(train.size / batchSize),
      parameters: this.#model.countParameters().total,
    });
    for (let epoch = 1; epoch <= epochs; ++epoch) {
      const start = performance.now();
      const pass = await this.#trainEpoch(train, epoch, options).catch((error: unknown) => this.#takeBack(error, best));
      steps += pass.steps;
      const trainSeconds = (performance.now() - start) / 1000;
      const judged =
        pass.isComplete && validation !== undefined
          ? await this.#judge(validation, Math.max(batchSize, DEFAULT_BATCH_SIZE), signal)
          : undefined;
      if (!pass.isComplete || (validation !== undefined && judged === undefined)) {
        stopReason = 'aborted';
        break;
      }
      if (judged !== undefined && !Number.isFinite(judged.loss))
        this.#takeBack(divergedError('validation loss', judged.loss, epoch), best);
      const watched = judged?.loss ?? pass.meanLoss;
      const improved = watched < bestLoss - (bestLoss === Infinity ? 0 : (earlyStopping?.minDelta ?? 0));
      const record: EpochRecord = {
        epoch,
        trainLoss: pass.meanLoss,
        ...(judged === undefined ? {} : { validationLoss: judged.loss }),
        ...(judged?.accuracy === undefined ? {} : { validationAccuracy: judged.accuracy }),
        learningRate: this.#optimizer.learningRate,
        seconds: (performance.now() - start) / 1000,
        samplesPerSecond: train.size / trainSeconds,
      };
      records.push(record);
      sinceBest = improved ? 0 : sinceBest + 1;
      if (improved) {
        bestLoss = watched;
        best.take(epoch);
      }
      onEvent?.({ type: 'epoch', record, improved });
      if (earlyStopping !== undefined && sinceBest >= earlyStopping.patience && epoch < epochs) {
        stopReason = 'early_stopping';
        break;
      }
    }
    const mustRestore = stopReason === 'aborted' || earlyStopping?.restoreBest === true;
    if (mustRestore && best.epoch > 0) best.restore();
    const history: TrainingHistory = {
      epochs: records,
      bestEpoch: mustRestore ? best.epoch : records.length,
      stopReason,
      steps,
      replayedSteps: this.#steps.train.replays - replaysBefore,
    };
    onEvent?.({ type: 'end', history });
    return history;
  }

  /** One pass over the training rows. Not complete when the signal ended it. */
  async #trainEpoch(
    train: Dataset,
    epoch: number,
    { batchSize, shuffle, signal, onEvent }: CheckedOptions,
  ): Promise<{ meanLoss: number; steps: number; isComplete: boolean }> {
    let lossSum = 0;
    let steps = 0;
    let isComplete = true;
    const inFlight = new InFlight<{ step: number; rows: number }>(STEPS_IN_FLIGHT, (values, { step, rows }) => {
      const loss = values[0] as number;
      if (!Number.isFinite(loss)) throw divergedError('training loss', loss, epoch, step);
      lossSum += loss * rows;
      onEvent?.({ type: 'step', epoch, step, loss });
    });
    const order = epochOrder(train.size, shuffle ? { seed: this.#seed, epoch: this.#epochsDone++ } : undefined);
    try {
      for (const batch of batches(train, batchSize, order)) {
        let loss: tf.Tensor;
        try {
          if (signal?.aborted === true) {
            isComplete = false;
            break;
          }
          loss = this.#steps.train(batch.features, batch.targets);
        } finally {
          disposeBatch(batch);
        }
        await inFlight.push(loss, { step: ++steps, rows: batch.rows });
      }
      await inFlight.drain();
    } finally {
      await inFlight.abandon();
    }
    return { meanLoss: lossSum / train.size, steps, isComplete };
  }

  /** Mean loss and accuracy; nothing when the signal ended it early. */
  async #judge(dataset: Dataset, batchSize: number, signal?: AbortSignal): Promise<Evaluation | undefined> {
    let lossSum = 0;
    let correctRows = 0;
    const inFlight = new InFlight<undefined>(STEPS_IN_FLIGHT, (values) => {
      lossSum += values[0] as number;
      correctRows += values[1] as number;
    });
    try {
      for (const batch of batches(dataset, batchSize)) {
        let sums: tf.Tensor;
        try {
          if (signal?.aborted === true) return undefined;
          sums = this.#steps.evaluate(batch.features, batch.targets);
        } finally {
          disposeBatch(batch);
        }
        await inFlight.push(sums, undefined);
      }
      await inFlight.drain();
    } finally {
      await inFlight.abandon();
    }
    const loss = lossSum / dataset.size;
    return this.#loss.isClassification ? { loss, accuracy: correctRows / dataset.size } : { loss };
  }

  /** Restores the best weights when training diverged, and passes the error on. */
  #takeBack(error: unknown, best: Snapshot): never {
    if (error instanceof TensorkilnError && error.code === 'E_DIVERGED') best.restore();
    throw error;
  }

  /** Runs one call at a time: steps of two calls would mix their batches and epochs. */
  async #exclusively<T>(place: string, run: () => Promise<T>): Promise<T> {
    if (this.#isDisposed) throw new TensorkilnError('E_DISPOSED', `[${place}] the trainer has been disposed.`);
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

function divergedError(what: string, value: number, epoch: number, step?: number): TensorkilnError {
  const where = step === undefined ? `epoch ${epoch}` : `epoch ${epoch}, step ${step}`;
  return new TensorkilnError(
    'E_DIVERGED',
    `[fit] the ${what} of ${where} is ${value}: expected a finite number. The best weights so far are restored. Try a smaller learning rate, or look for values that are not finite or not scaled in the data.`,
  );
}
