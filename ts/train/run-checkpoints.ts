/** When a run saves its state, and what it may go on from. */
import { TensorkilnError } from '../errors.js';
import { compareFacts, type Facts } from './checkpoint/facts.js';
import {
  collectBest,
  collectState,
  restoreState,
  type Position,
  type Progress,
  type SavedState,
  type StateParts,
} from './checkpoint/state.js';
import { CheckpointStore, type LoadedCheckpoint } from './checkpoint/store.js';
import type { CheckedFit } from './options.js';

/** What the run knows of itself; facts are added here. */
export type RunProgress = Omit<Progress, 'facts'>;

export class RunCheckpoints {
  readonly #store: CheckpointStore;
  readonly #every: NonNullable<CheckedFit['checkpoints']>['every'];
  readonly #facts: Facts;
  readonly #parts: StateParts;
  #savedAt = performance.now();
  #savedBest = 0;

  constructor(options: NonNullable<CheckedFit['checkpoints']>, facts: Facts, parts: StateParts) {
    this.#store = new CheckpointStore(options.folder, options.keep);
    this.#every = options.every;
    this.#facts = { ...options.facts, ...facts };
    this.#parts = parts;
  }

  /**
   * The checkpoint to go on from, when a run is resumed and there is one; otherwise the folder is cleared.
   *
   * @throws E_USAGE when a run that has not ended would be overwritten, or the checkpoint is of other data or options
   */
  async open(isResumed: boolean): Promise<LoadedCheckpoint | undefined> {
    if (isResumed) {
      const loaded = await this.#store.load();
      if (loaded !== undefined) compareFacts(loaded.file, (loaded.content.state as SavedState).facts, this.#facts);
      return loaded;
    }
    const unfinished = await findUnfinished(this.#store);
    if (unfinished !== undefined) {
      throw new TensorkilnError(
        'E_USAGE',
        `[fit] ${unfinished} is a checkpoint of a run that has not ended: expected an empty folder. Resume that run, choose another folder, or remove the checkpoints.`,
      );
    }
    await this.#store.clear();
    return undefined;
  }

  /** Puts everything in place that a checkpoint holds. @throws E_DATA when it does not fit */
  async restore({ file, content }: LoadedCheckpoint): Promise<void> {
    await restoreState(file, this.#parts, content);
  }

  /**
   * Takes weights, optimizer and random states back to the newest checkpoint. The best weights stay: those of the checkpoint may
   * be older. Parameters that the checkpoint's optimizer did not have yet begin anew.
   *
   * @returns its path; undefined when there is none
   */
  async rollBack(): Promise<string | undefined> {
    const loaded = await this.#store.load();
    if (loaded === undefined) return undefined;
    const { model, optimizer, scaler } = this.#parts;
    await restoreState(loaded.file, { model, optimizer, scaler }, loaded.content, { isPartial: true });
    return loaded.file;
  }

  /** Whether a checkpoint is due between two steps of an epoch. */
  isDueWithin({ epoch }: Position, stepInEpoch: number, stepsPerEpoch: number): boolean {
    if ('epochs' in this.#every) return false;
    if ('seconds' in this.#every) return performance.now() - this.#savedAt >= this.#every.seconds * 1000;
    return ((epoch - 1) * stepsPerEpoch + stepInEpoch) % this.#every.steps === 0;
  }

  /** Whether one is due after an epoch. */
  isDueAfter(epoch: number): boolean {
    return 'epochs' in this.#every && epoch % this.#every.epochs === 0;
  }

  /** Saves the state, and the best weights when they are new. @returns the checkpoint's path */
  async save(progress: RunProgress): Promise<string> {
    const content = await collectState(this.#parts, { ...progress, facts: this.#facts });
    const file = await this.#store.save(progress.position.step, content);
    const { best } = this.#parts;
    if (best.epoch > this.#savedBest) {
      await this.#store.saveBest(await collectBest(best, { epoch: best.epoch }));
      this.#savedBest = best.epoch;
    }
    this.#savedAt = performance.now();
    return file;
  }
}

/** The newest whole checkpoint when its run has not ended. What cannot be read any more does not count: nobody could resume it. */
export async function findUnfinished(store: CheckpointStore): Promise<string | undefined> {
  const loaded = await store.load().catch((error: unknown) => {
    if (error instanceof TensorkilnError && error.code === 'E_DATA') return undefined;
    throw error;
  });
  return loaded === undefined || (loaded.content.state as SavedState).isComplete ? undefined : loaded.file;
}
