/** A learning rate that falls when a figure no longer improves, for loops of one's own. */
import { checkInteger, checkKeys, checkNumber, checkOneOf, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import type { Optimizer } from './optimizer.js';

export interface PlateauOptions {
  /** Whether less or more is better. Default 'min'. */
  readonly mode?: 'min' | 'max';
  /** What the rate is multiplied by, above 0 and below 1. Default 0.1. */
  readonly factor?: number;
  /** Observations without improvement that pass unpunished, >= 0. Default 10. */
  readonly patience?: number;
  /** How much better a figure must be to count, >= 0: as a share of the best one or as a difference. Default 1e-4. */
  readonly threshold?: number;
  /** Default 'relative'. */
  readonly thresholdMode?: 'relative' | 'absolute';
  /** Observations after a fall that do not count, >= 0. Default 0. */
  readonly cooldown?: number;
  /** The rate does not go below, >= 0. Default 0. */
  readonly minLearningRate?: number;
  /** Falls smaller than this are left out, >= 0. Default 1e-8. */
  readonly minChange?: number;
}

/** State for checkpoints. */
export interface PlateauState {
  readonly best: number | null;
  readonly since: number;
  readonly cooldown: number;
}

const KEYS = ['mode', 'factor', 'patience', 'threshold', 'thresholdMode', 'cooldown', 'minLearningRate', 'minChange'] as const;

/**
 * Lowers an optimizer's rate after more than `patience` observations without improvement. As PyTorch's ReduceLROnPlateau.
 * `Trainer.fit` has its own option `reduceOnPlateau`.
 *
 * State saved in checkpoints: `getState()`.
 *
 * @throws E_CONFIG
 */
export class ReduceOnPlateauRate {
  readonly #optimizer: Optimizer;
  readonly #options: Required<PlateauOptions>;
  #best: number | undefined;
  #since = 0;
  #cooldown = 0;

  constructor(optimizer: Optimizer, options: PlateauOptions = {}) {
    const place = 'ReduceOnPlateauRate';
    checkKeys(place, options, KEYS);
    this.#optimizer = optimizer;
    this.#options = {
      mode: checkOneOf(place, 'mode', options.mode ?? 'min', ['min', 'max']),
      factor: checkNumber(place, 'factor', options.factor ?? 0.1, { above: 0, below: 1 }),
      patience: checkInteger(place, 'patience', options.patience ?? 10, { min: 0 }),
      threshold: checkNumber(place, 'threshold', options.threshold ?? 1e-4, { min: 0 }),
      thresholdMode: checkOneOf(place, 'thresholdMode', options.thresholdMode ?? 'relative', ['relative', 'absolute']),
      cooldown: checkInteger(place, 'cooldown', options.cooldown ?? 0, { min: 0 }),
      minLearningRate: checkNumber(place, 'minLearningRate', options.minLearningRate ?? 0, { min: 0 }),
      minChange: checkNumber(place, 'minChange', options.minChange ?? 1e-8, { min: 0 }),
    };
  }

  /** Takes a figure, NaN counting as no improvement; whether the rate has been lowered. */
  observe(figure: number): boolean {
    const { patience, cooldown, factor, minLearningRate, minChange } = this.#options;
    if (this.#isBetter(figure)) {
      this.#best = figure;
      this.#since = 0;
    } else this.#since++;
    if (this.#cooldown > 0) {
      this.#cooldown--;
      this.#since = 0;
    }
    if (this.#since <= patience) return false;
    this.#cooldown = cooldown;
    this.#since = 0;
    const rate = this.#optimizer.learningRate;
    const lower = Math.max(rate * factor, minLearningRate);
    if (rate - lower <= minChange) return false;
    this.#optimizer.learningRate = lower;
    return true;
  }

  #isBetter(figure: number): boolean {
    const { mode, threshold, thresholdMode } = this.#options;
    if (this.#best === undefined) return !Number.isNaN(figure);
    const sign = mode === 'min' ? -1 : 1;
    const bar = thresholdMode === 'relative' ? this.#best * (1 + sign * threshold) : this.#best + sign * threshold;
    return mode === 'min' ? figure < bar : figure > bar;
  }

  getState(): PlateauState {
    return { best: this.#best ?? null, since: this.#since, cooldown: this.#cooldown };
  }

  /** Continues from a saved state. @throws E_DATA */
  setState({ best, since, cooldown }: PlateauState): void {
    const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;
    if (!(best === null || typeof best === 'number') || !isCount(since) || !isCount(cooldown)) {
      throw new TensorkilnError(
        'E_DATA',
        `[ReduceOnPlateauRate] wrong state: expected a best figure and two counts, got ${show({ best, since, cooldown })}.`,
      );
    }
    this.#best = best ?? undefined;
    this.#since = since;
    this.#cooldown = cooldown;
  }
}
