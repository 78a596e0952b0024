/** One call of `fit`: epochs, steps, judging, and everything that must be known to go on after an interruption. */
import { halfProducts, type Precision } from '../backend/custom/autocast.js';
import { TensorkilnError } from '../errors.js';
import type { Optimizer } from '../optim/optimizer.js';
import type { Layer } from '../nn/layer.js';
import { BatchRunner } from './batch-runner.js';
import { disposeBatch, toTensors } from './batches.js';
import type { CallbackContext } from './callbacks.js';
import type { Facts } from './checkpoint/facts.js';
import type { Position, SavedState } from './checkpoint/state.js';
import { adviceOnAveraging } from './advice.js';
import { Debugger } from './debug.js';
import { divergedError, Guard, readStep } from './guard.js';
import { InFlight } from './in-flight.js';
import { judge, JUDGE_BATCH, type Evaluation } from './judge.js';
import { applyLimit, type CheckedFit } from './options.js';
import { RateControl } from './rate-control.js';
import { RunCheckpoints } from './run-checkpoints.js';
import { Snapshot } from './snapshot.js';
import { resetSteps, type Steps } from './steps.js';
import { figureOf, Tracker } from './tracker.js';
import { bindOptimizer, type Trainable } from './trainable.js';
import type { BatchSource } from './training-data.js';
import type { EpochRecord, StopReason, TrainingHistory } from './types.js';
import { setTrainable, type Unfreezing } from './unfreeze.js';

/** Steps that may be enqueued and not yet read back: one runs, one waits, so the engine is never idle. */
export const STEPS_IN_FLIGHT = 2;

export interface RunParts {
  readonly model: Trainable;
  readonly steps: Steps;
  /** The model where it is made of our layers. */
  readonly layer: Layer | undefined;
  readonly optimizer: Optimizer | undefined;
  readonly precision: Precision;
  readonly isClassification: boolean;
  readonly metricNames: readonly string[];
  readonly seed: number;
  /** Passes over training data that earlier calls of `fit` have made. */
  readonly firstPass: number;
  readonly train: BatchSource;
  readonly validation: BatchSource | undefined;
  readonly options: CheckedFit;
  /** Asked for only when there are checkpoints. */
  readonly facts: () => Facts;
}

interface Judged extends Evaluation {
  readonly metrics: Readonly<Record<string, number>>;
}

/** Optimizers whose average an earlier call began: of its steps so far this one knows nothing. */
const AVERAGED = new WeakSet<Optimizer>();

/** When this process began an epoch, and what it took. */
interface EpochTimes {
  readonly start: number;
  readonly cpuStart: NodeJS.CpuUsage;
  /** Rows that were done before. */
  readonly rowsDone: number;
  readonly trainSeconds: number;
}

export class TrainingRun {
  readonly #parts: RunParts;
  readonly #stepsPerEpoch: number;
  readonly #best: Snapshot;
  readonly #early: Tracker;
  readonly #rate: RateControl;
  readonly #guard: Guard;
  readonly #runner: BatchRunner;
  readonly #debug: Debugger | undefined;
  readonly #checkpoints: RunCheckpoints | undefined;
  readonly #startedAt = performance.now();
  readonly #records: EpochRecord[] = [];
  readonly #context: CallbackContext;
  #position: Position;
  readonly #unfrozen = new Set<Unfreezing>();
  #unfrozenThrough = 0;
  #elapsedBefore = 0;
  #stopReason: StopReason = 'epochs';
  /** Why steps ran as they stand. */
  readonly #notCompiled = new Set<string>();

  constructor(parts: RunParts) {
    const { options, optimizer, train } = parts;
    this.#parts = parts;
    this.#stepsPerEpoch = applyLimit(Math.ceil(train.size / options.batchSize), options.limitTrainBatches);
    this.#best = new Snapshot(parts.model.parameters());
    this.#early = new Tracker(options.best);
    this.#rate = new RateControl(optimizer, options, this.#stepsPerEpoch);
    if (options.checkpoints !== undefined) {
      const state = { model: parts.model, optimizer, best: this.#best, scaler: parts.steps.scaler };
      this.#checkpoints = new RunCheckpoints(options.checkpoints, parts.facts(), state);
    }
    this.#guard = new Guard(options.guard);
    this.#runner = new BatchRunner(parts.model, parts.steps, {
      limit: options.microBatch,
      isAutomatic: options.microBatchAuto,
      updates: () => optimizer?.updates ?? 0,
      onLimit: (rows, cause) => this.#announceParts(rows, cause),
    });
    this.#debug = options.debug ? new Debugger(parts, (event) => options.onEvent?.(event)) : undefined;
    this.#position = { epoch: 1, stepInEpoch: 0, lossSum: 0, rowsDone: 0, step: 0, pass: parts.firstPass };
    const needOptimizer = (): Optimizer => {
      if (optimizer === undefined)
        throw new TensorkilnError('E_USAGE', '[fit] there is no learning rate: the trainer was made without an optimizer.');
      return optimizer;
    };
    const position = (): Position => this.#position;
    const stop = (): void => this.#stop('stopped');
    this.#context = {
      get epoch() {
        return position().epoch;
      },
      get step() {
        return position().step;
      },
      get learningRate() {
        return needOptimizer().learningRate;
      },
      set learningRate(value) {
        needOptimizer().learningRate = value;
      },
      stop,
    };
  }

  /** Number of the next pass over the training data, for later calls. */
  get nextPass(): number {
    return this.#position.pass;
  }

  dispose(): void {
    this.#best.dispose();
  }

  #tellFallbacks(step: 'train' | 'evaluate'): void {
    const { steps, options } = this.#parts;
    const reasons = [...steps[step].takeFallbacks(), ...(step === 'train' ? (steps.parts?.apply.takeFallbacks() ?? []) : [])];
    for (const reason of new Set(reasons)) {
      this.#notCompiled.add(reason);
      options.onEvent?.({ type: 'not_compiled', step, reason });
    }
  }

  async run(): Promise<TrainingHistory> {
    const { options, model, train } = this.#parts;
    const { callbacks, onEvent } = options;
    const replaysBefore = this.#replays;
    await this.#openCheckpoints();
    await this.#unfreeze();
    if (this.#position.step === 0) await this.#checkSanity();
    onEvent?.({
      type: 'start',
      epochs: options.epochs,
      stepsPerEpoch: this.#stepsPerEpoch,
      parameters: model.parameters().reduce((sum, { variable }) => sum + variable.size, 0),
      rows: train.size,
    });
    const { precision } = this.#parts;
    if (precision !== 'float32') onEvent?.({ type: 'precision', precision, products: halfProducts(precision) });
    this.#debug?.checkData();
    this.#adviseOnAveraging();
    for (const callback of callbacks) await callback.onStart?.(this.#context);
    while (this.#position.epoch <= options.epochs && this.#stopReason === 'epochs') await this.#epoch();
    const isComplete = this.#stopReason === 'epochs' || this.#stopReason === 'early_stopping';
    await this.#save(isComplete);
    const mustRestore = !isComplete || options.earlyStopping?.restoreBest === true;
    if (mustRestore && this.#best.epoch > 0) this.#best.restore();
    else if (this.#hasAverage) this.#parts.optimizer?.loadAverage();
    const history: TrainingHistory = {
      epochs: this.#records,
      bestEpoch: mustRestore ? this.#best.epoch : this.#records.length,
      stopReason: this.#stopReason,
      steps: this.#position.step,
      replayedSteps: this.#replays - replaysBefore,
      skippedSteps: this.#guard.skipped,
      rollbacks: this.#guard.rollbacks,
      ...(this.#runner.limit === undefined ? {} : { microBatch: this.#runner.limit }),
      ...(this.#notCompiled.size === 0 ? {} : { notCompiled: [...this.#notCompiled] }),
    };
    for (const callback of callbacks) await callback.onEnd?.(this.#context, history);
    onEvent?.({ type: 'end', history });
    return history;
  }

  /** Steps that were replayed so far. */
  get #replays(): number {
    const { steps } = this.#parts;
    return steps.train.replays + (steps.parts?.apply.replays ?? 0);
  }

  /** Whether the optimizer keeps an average of the weights, which is what is judged and kept then. */
  get #hasAverage(): boolean {
    return this.#parts.optimizer?.hasAverage === true;
  }

  #adviseOnAveraging(): void {
    const { optimizer, options } = this.#parts;
    const { epoch, step } = this.#position;
    if (optimizer?.averaging === undefined || step > 0 || AVERAGED.has(optimizer)) return;
    AVERAGED.add(optimizer);
    for (const advice of adviceOnAveraging(optimizer.averaging, options.epochs * this.#stepsPerEpoch))
      options.onEvent?.({ type: 'advice', epoch, ...advice });
  }

  async #epoch(): Promise<void> {
    const { options } = this.#parts;
    const { rowsDone } = this.#position;
    if (this.#position.stepInEpoch === 0) await this.#unfreeze();
    const start = performance.now();
    const cpuStart = process.cpuUsage();
    if (this.#position.stepInEpoch === 0)
      for (const callback of options.callbacks) await callback.onEpochStart?.(this.#context);
    try {
      const areWeightsOwn = await this.#trainEpoch();
      const trainSeconds = (performance.now() - start) / 1000;
      if (this.#position.stepInEpoch < this.#stepsPerEpoch) return;
      if (this.#position.rowsDone === 0) {
        // Every step was left out: the epoch says nothing and is done again.
        this.#position = { ...this.#position, stepInEpoch: 0, pass: this.#position.pass + 1 };
        return;
      }
      if (!(await this.#closeEpoch({ start, cpuStart, rowsDone, trainSeconds }, areWeightsOwn))) return;
    } catch (error) {
      this.#takeBack(error);
    }
    await this.#finishEpoch();
  }

  /**
   * Judges the epoch and tells of it; whether the signal has left it to be finished.
   *
   * @param mayBeBest  whether its weights are those that its steps have made
   */
  async #closeEpoch(times: EpochTimes, mayBeBest: boolean): Promise<boolean> {
    const { options, optimizer } = this.#parts;
    // What is judged and kept as the best is the average, where there is one.
    if (this.#hasAverage) optimizer?.swapAverage();
    try {
      const record = await this.#judgeEpoch(times);
      if (record === undefined) return false;
      // Weights after which steps could not be made are not the best, whatever the epoch's loss.
      const improved = this.#early.observe(figureOf(record, options.best.monitor), mayBeBest && this.#guard.inARow === 0);
      if (improved) this.#best.take(record.epoch);
      const change = this.#rate.observe(record);
      if (change !== undefined) options.onEvent?.({ type: 'learning_rate', epoch: record.epoch, ...change });
      options.onEvent?.({ type: 'epoch', record, improved });
      this.#debug?.observeEpoch(this.#records);
      for (const callback of options.callbacks) await callback.onEpochEnd?.(this.#context, record);
      return true;
    } finally {
      if (this.#hasAverage) optimizer?.swapAverage();
    }
  }

  /** Judges the epoch on the validation rows and records it; nothing when the signal ended it. */
  async #judgeEpoch(times: EpochTimes): Promise<EpochRecord | undefined> {
    const { options, validation, optimizer } = this.#parts;
    const { epoch } = this.#position;
    const { start, cpuStart, rowsDone, trainSeconds } = times;
    let judged: Judged | undefined;
    if (validation !== undefined) {
      judged = await this.#judge(validation, options.limitValidationBatches);
      if (judged === undefined) {
        this.#stop('aborted');
        return undefined;
      }
      if (!Number.isFinite(judged.loss)) throw divergedError('validation loss', judged.loss, { epoch });
    }
    const { user, system } = process.cpuUsage(cpuStart);
    const record: EpochRecord = {
      epoch,
      trainLoss: this.#position.lossSum / this.#position.rowsDone,
      ...(judged === undefined ? {} : { validationLoss: judged.loss }),
      ...(judged?.accuracy === undefined ? {} : { validationAccuracy: judged.accuracy }),
      ...(judged === undefined || this.#parts.metricNames.length === 0 ? {} : { validationMetrics: judged.metrics }),
      learningRate: optimizer?.learningRate ?? 0,
      seconds: (performance.now() - start) / 1000,
      samplesPerSecond: (this.#position.rowsDone - rowsDone) / trainSeconds,
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
    };
    this.#records.push(record);
    return record;
  }

  /** Moves on to the next epoch, or ends training. */
  async #finishEpoch(): Promise<void> {
    const { options } = this.#parts;
    const { epoch } = this.#position;
    const { step, pass } = this.#position;
    this.#position = { epoch: epoch + 1, stepInEpoch: 0, lossSum: 0, rowsDone: 0, step, pass: pass + 1 };
    if (this.#guard.hasDiverged((this.#records.at(-1) as EpochRecord).trainLoss)) this.#stop('diverged');
    if (options.earlyStopping !== undefined && this.#early.since >= options.earlyStopping.patience && epoch < options.epochs) {
      this.#stop('early_stopping');
      return;
    }
    if (epoch < options.epochs && this.#checkpoints?.isDueAfter(epoch) === true) await this.#save(false);
  }

  /** Trains what is left of the epoch; whether it ends with the weights that its last steps have made. */
  async #trainEpoch(): Promise<boolean> {
    const { train, steps, seed, options } = this.#parts;
    const { epoch, pass, stepInEpoch } = this.#position;
    if (stepInEpoch >= this.#stepsPerEpoch) return true;
    let mustRollBack = false;
    const inFlight = new InFlight<{ step: number; rows: number }>(STEPS_IN_FLIGHT, (values, { step, rows }) => {
      const result = readStep(values);
      const { loss } = result;
      // A step function of the user's own has updated its variables already.
      if (steps.parts === undefined && !Number.isFinite(loss)) throw divergedError('training loss', loss, { epoch, step });
      const verdict = this.#guard.observe(result);
      const { lossSum, rowsDone } = this.#position;
      if (verdict !== 'fine') {
        this.#position = { ...this.#position, stepInEpoch: step, step: this.#position.step + 1 };
        options.onEvent?.({ type: 'skipped', epoch, step, loss, inARow: this.#guard.inARow });
        this.#debug?.explain(step);
        if (verdict === 'diverged') {
          const more = `weights were taken back ${this.#guard.rollbacks} times`;
          throw divergedError('training loss', loss, { epoch, step, more });
        }
        mustRollBack ||= verdict === 'roll back';
        return;
      }
      this.#position = {
        ...this.#position,
        lossSum: lossSum + loss * rows,
        rowsDone: rowsDone + rows,
        stepInEpoch: step,
        step: this.#position.step + 1,
      };
      options.onEvent?.({ type: 'step', epoch, step, loss, rows });
      for (const callback of options.callbacks) callback.onStep?.(this.#context, { epoch, step, loss });
    });
    const firstStep = this.#position.step;
    let step = stepInEpoch;
    const { batchSize, shuffle } = options;
    try {
      for await (const host of train.batches({ batchSize, pass, seed, shuffle, skip: stepInEpoch })) {
        if (this.#isOver()) break;
        this.#rate.schedule(firstStep + step - stepInEpoch);
        const batch = toTensors(train, host, this.#parts.model.inputDTypes);
        let result;
        try {
          this.#debug?.observeBatch(epoch, step + 1, host);
          result = this.#runner.run(batch);
        } finally {
          disposeBatch(batch);
        }
        this.#tellFallbacks('train');
        await inFlight.push(result, { step: ++step, rows: batch.rows });
        this.#debug?.stepDone();
        if (step >= this.#stepsPerEpoch) break;
        const isDue = this.#checkpoints?.isDueWithin(this.#position, step, this.#stepsPerEpoch) === true;
        if (isDue || mustRollBack) await inFlight.drain();
        if (mustRollBack) {
          await this.#rollBack();
          mustRollBack = false;
        }
        // A state from which steps cannot be made is not worth going back to.
        if (isDue && this.#guard.inARow === 0) await this.#save(false);
      }
      await inFlight.drain();
      if (mustRollBack) await this.#rollBack();
      return !mustRollBack;
    } finally {
      await inFlight.abandon();
    }
  }

  /** Takes weights and optimizer back to the last checkpoint, without one to the best weights, and lowers the rate. */
  async #rollBack(): Promise<void> {
    const { optimizer, options, steps } = this.#parts;
    this.#guard.countRollback();
    // Read before the checkpoint's own rate is back: each roll-back to the same one lowers the rate further.
    const from = optimizer?.learningRate ?? 0;
    const file = await this.#checkpoints?.rollBack();
    if (file === undefined) {
      this.#best.restore();
      optimizer?.reset();
    }
    resetSteps(steps);
    this.#runner.forget();
    const change = this.#rate.lower(from);
    const { epoch, stepInEpoch } = this.#position;
    const source = file === undefined ? { epoch: this.#best.epoch } : { file };
    options.onEvent?.({ type: 'rollback', epoch, step: stepInEpoch, source, ...change });
  }

  /** Brings in parameters whose time has come. */
  async #unfreeze(epoch = this.#position.epoch): Promise<void> {
    const { options, optimizer, layer, model, steps } = this.#parts;
    this.#unfrozenThrough = Math.max(this.#unfrozenThrough, epoch);
    const due = options.unfreeze.filter((entry) => entry.epoch <= epoch && !this.#unfrozen.has(entry));
    if (due.length === 0) return;
    if (layer === undefined || optimizer === undefined)
      throw new TensorkilnError('E_CONFIG', '[fit] wrong unfreeze: expected a trainer of a model of layers with an optimizer.');
    const layers = due.flatMap((entry) => setTrainable(layer, entry.layers, true));
    for (const entry of due) this.#unfrozen.add(entry);
    await bindOptimizer(optimizer, model);
    resetSteps(steps);
    this.#runner.forget();
    options.onEvent?.({ type: 'unfrozen', epoch, layers });
  }

  #announceParts(rows: number, cause: unknown): void {
    const { options } = this.#parts;
    const reason = cause instanceof Error ? cause.message : String(cause);
    options.onEvent?.({ type: 'micro_batch', epoch: this.#position.epoch, rows, reason });
    this.#debug?.adviseOnMemory();
  }

  /** Whether training ends before the next step. */
  #isOver(): boolean {
    const { signal, maxTimeSeconds } = this.#parts.options;
    if (signal?.aborted === true) this.#stop('aborted');
    else if (this.#elapsedSeconds() >= maxTimeSeconds) this.#stop('max_time');
    return this.#stopReason !== 'epochs';
  }

  #stop(reason: StopReason): void {
    if (this.#stopReason === 'epochs') this.#stopReason = reason;
  }

  #elapsedSeconds(): number {
    return this.#elapsedBefore + (performance.now() - this.#startedAt) / 1000;
  }

  async #checkSanity(): Promise<void> {
    const { validation, options } = this.#parts;
    if (validation === undefined || options.sanityValidationBatches === 0) return;
    await this.#judge(validation, options.sanityValidationBatches);
  }

  async #judge(source: BatchSource, limit: number | undefined): Promise<Judged | undefined> {
    const { steps, isClassification, metricNames, options } = this.#parts;
    const judged = await judge(steps.evaluate, source, {
      batchSize: Math.max(options.batchSize, JUDGE_BATCH),
      limit,
      isClassification,
      metricNames,
      signal: options.signal,
      inputDTypes: this.#parts.model.inputDTypes,
    });
    this.#tellFallbacks('evaluate');
    return judged;
  }

  /** Finds the checkpoint to go on from, or makes sure that nothing of another run is overwritten. */
  async #openCheckpoints(): Promise<void> {
    const { options, steps } = this.#parts;
    const loaded = await this.#checkpoints?.open(options.resume);
    if (loaded === undefined || this.#checkpoints === undefined) return;
    const saved = loaded.content.state as SavedState;
    // Parameters that had been brought in have state of the optimizer.
    this.#position = saved.position;
    await this.#unfreeze(saved.unfrozenThrough ?? saved.position.epoch);
    await this.#checkpoints.restore(loaded);
    resetSteps(steps);
    this.#records.push(...saved.records);
    this.#early.setState(saved.early);
    if (saved.guard !== undefined)
      this.#guard.setState(
        saved.guard,
        saved.records.map(({ trainLoss }) => trainLoss),
      );
    if (saved.microBatch !== undefined) this.#runner.limit = saved.microBatch;
    this.#rate.setState(saved);
    this.#elapsedBefore = saved.elapsedSeconds;
    for (const callback of options.callbacks) {
      if (callback.name !== undefined && callback.name in saved.callbacks) callback.setState?.(saved.callbacks[callback.name]);
    }
    if (saved.isComplete && saved.position.epoch <= options.epochs) this.#stop('early_stopping');
    options.onEvent?.({
      type: 'resumed',
      file: loaded.file,
      epoch: saved.position.epoch,
      step: saved.position.stepInEpoch,
      damaged: loaded.damaged,
    });
  }

  async #save(isComplete: boolean): Promise<void> {
    if (this.#checkpoints === undefined) return;
    const { options } = this.#parts;
    const file = await this.#checkpoints.save({
      ...this.#rate.getState(),
      position: this.#position,
      isComplete,
      records: this.#records,
      early: this.#early.getState(),
      guard: this.#guard.getState(),
      unfrozenThrough: this.#unfrozenThrough,
      ...(this.#runner.limit === undefined ? {} : { microBatch: this.#runner.limit }),
      elapsedSeconds: this.#elapsedSeconds(),
      callbacks: Object.fromEntries(
        options.callbacks.flatMap((callback) =>
          callback.name === undefined ? [] : [[callback.name, callback.getState?.() ?? null]],
        ),
      ),
    });
    options.onEvent?.({ type: 'checkpoint', file, epoch: this.#position.epoch, step: this.#position.stepInEpoch });
  }

  /** Restores the best weights when training diverged, and passes the error on. */
  #takeBack(error: unknown): never {
    if (error instanceof TensorkilnError && error.code === 'E_DIVERGED') this.#best.restore();
    throw error;
  }
}
