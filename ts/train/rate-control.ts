/** The learning rate of a run: its schedule, plateaus and roll-backs. */
import type { Optimizer } from '../optim/optimizer.js';
import type { SavedState } from './checkpoint/state.js';
import type { CheckedFit } from './options.js';
import { figureOf, Tracker } from './tracker.js';
import type { EpochRecord } from './types.js';

export interface RateChange {
  readonly from: number;
  readonly to: number;
}

export type RateState = Pick<SavedState, 'plateau' | 'baseLearningRate' | 'plateauScale'>;

export class RateControl {
  readonly #optimizer: Optimizer | undefined;
  readonly #options: CheckedFit;
  readonly #stepsPerEpoch: number;
  readonly #plateau: Tracker | undefined;
  /** What a schedule's factors are on. */
  #base: number | undefined;
  /** What plateaus and roll-backs have made of it. */
  #scale = 1;

  constructor(optimizer: Optimizer | undefined, options: CheckedFit, stepsPerEpoch: number) {
    this.#optimizer = optimizer;
    this.#options = options;
    this.#stepsPerEpoch = stepsPerEpoch;
    this.#plateau = options.reduceOnPlateau === undefined ? undefined : new Tracker(options.reduceOnPlateau);
    this.#base = optimizer?.learningRate;
  }

  /** Sets the rate of a step that is about to be enqueued. @param step  steps since training began */
  schedule(step: number): void {
    const { schedule, epochs } = this.#options;
    if (schedule === undefined || this.#optimizer === undefined || this.#base === undefined) return;
    const rate = this.#base * this.#scale * schedule({ step, stepsPerEpoch: this.#stepsPerEpoch, epochs });
    if (rate !== this.#optimizer.learningRate) this.#optimizer.learningRate = rate;
  }

  /** Takes the figure of an epoch; what it has made of the rate, if anything. */
  observe(record: EpochRecord): RateChange | undefined {
    const { reduceOnPlateau } = this.#options;
    if (reduceOnPlateau === undefined || this.#plateau === undefined || this.#optimizer === undefined) return undefined;
    this.#plateau.observe(figureOf(record, reduceOnPlateau.monitor));
    if (this.#plateau.since < reduceOnPlateau.patience) return undefined;
    this.#plateau.restart();
    const from = this.#optimizer.learningRate;
    const to = Math.max(from * reduceOnPlateau.factor, Math.min(from, reduceOnPlateau.minLearningRate));
    if (to === from) return undefined;
    this.#scale *= to / from;
    this.#optimizer.learningRate = to;
    return { from, to };
  }

  /** Lowers the rate after a roll-back. @param from  the rate before it, which may have brought back an earlier one */
  lower(from: number): RateChange {
    const { rateFactor } = this.#options.guard;
    this.#scale *= rateFactor;
    const to = from * rateFactor;
    if (this.#optimizer !== undefined) this.#optimizer.learningRate = to;
    return { from, to };
  }

  getState(): RateState {
    return {
      plateau: this.#plateau?.getState() ?? null,
      baseLearningRate: this.#base ?? null,
      plateauScale: this.#scale,
    };
  }

  setState({ plateau, baseLearningRate, plateauScale }: RateState): void {
    if (plateau !== null) this.#plateau?.setState(plateau);
    this.#base = baseLearningRate ?? undefined;
    this.#scale = plateauScale;
  }
}
