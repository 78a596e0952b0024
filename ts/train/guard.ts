/** What is done about losses and gradients that are not finite, and about losses that grow without end. */
import { checkInteger, checkKeys, checkNumber } from '../arguments.js';
import { TensorkilnError } from '../errors.js';

/**
 * A step whose loss or gradients are not finite is left out: parameters, optimizer state and step count stay as they are. After
 * some in a row weights and optimizer are taken back to the last good state, and training goes on at a lower rate.
 */
export interface NonFiniteOptions {
  /** Steps in a row that may be left out, >= 0; the next one counts as a failure. 0: the first is one. Default 4. */
  readonly skip?: number;
  /** How often weights are taken back before training ends with E_DIVERGED, >= 0. Default 3. */
  readonly rollbacks?: number;
  /** What the rate is multiplied by each time, above 0 and at most 1. Default 0.5. */
  readonly rateFactor?: number;
}

/** Ends training with stop reason 'diverged', and the best weights, when the training loss of epochs has grown too far. */
export interface DivergenceOptions {
  /** Times the least training loss of an epoch so far, > 1; losses that are not above 0 are not judged. */
  readonly factor: number;
  /** Epochs in a row above that before training ends, >= 1. Default 1. */
  readonly patience?: number;
}

export interface CheckedGuard {
  readonly skip: number;
  readonly rollbacks: number;
  readonly rateFactor: number;
  readonly divergence: Required<DivergenceOptions> | undefined;
}

/** @throws E_CONFIG */
export function checkGuard(nonFinite: NonFiniteOptions = {}, divergence?: DivergenceOptions): CheckedGuard {
  checkKeys('fit nonFinite', nonFinite, ['skip', 'rollbacks', 'rateFactor']);
  if (divergence !== undefined) checkKeys('fit divergence', divergence, ['factor', 'patience']);
  return {
    skip: checkInteger('fit', 'nonFinite.skip', nonFinite.skip ?? 4, { min: 0 }),
    rollbacks: checkInteger('fit', 'nonFinite.rollbacks', nonFinite.rollbacks ?? 3, { min: 0 }),
    rateFactor: checkNumber('fit', 'nonFinite.rateFactor', nonFinite.rateFactor ?? 0.5, { above: 0, max: 1 }),
    divergence:
      divergence === undefined
        ? undefined
        : {
            factor: checkNumber('fit', 'divergence.factor', divergence.factor, { above: 1 }),
            patience: checkInteger('fit', 'divergence.patience', divergence.patience ?? 1, { min: 1 }),
          },
  };
}

/** What a training step tells. */
export interface StepResult {
  readonly loss: number;
  /** Whether the update was made. */
  readonly isApplied: boolean;
  /** Norm of all gradients together; NaN where a step does not tell. */
  readonly gradientNorm: number;
  /** Factor of loss scaling during the step; 1 without. */
  readonly lossScale: number;
}

/** A step's values as they come from the device: loss, and from steps of ours applied, norm, scale. */
export function readStep(values: ArrayLike<number>): StepResult {
  const [loss = NaN, applied, gradientNorm = NaN, lossScale = 1] = Array.from(values);
  return { loss, isApplied: applied !== 0, gradientNorm, lossScale };
}

/**
 * Whether a step was left out because scaled gradients overflowed, which is how loss scaling finds its factor; below 1 there is
 * nothing left to find.
 */
export function isScaleSearch({ loss, isApplied, lossScale }: StepResult): boolean {
  return !isApplied && Number.isFinite(loss) && lossScale > 1;
}

export interface GuardState {
  readonly skipped: number;
  readonly inARow: number;
  readonly rollbacks: number;
}

export type Verdict = 'fine' | 'skipped' | 'roll back' | 'diverged';

/** Counts steps that are not finite and says what comes of them. */
export class Guard {
  readonly #options: CheckedGuard;
  #skipped = 0;
  #inARow = 0;
  #rollbacks = 0;
  #least = Infinity;
  #epochsAbove = 0;

  constructor(options: CheckedGuard) {
    this.#options = options;
  }

  /** Steps left out so far. */
  get skipped(): number {
    return this.#skipped;
  }

  /** How often weights were taken back. */
  get rollbacks(): number {
    return this.#rollbacks;
  }

  /** Steps left out since the last one that was made. */
  get inARow(): number {
    return this.#inARow;
  }

  /** Takes the result of a step. */
  observe(result: StepResult): Verdict {
    if (result.isApplied && Number.isFinite(result.loss)) {
      this.#inARow = 0;
      return 'fine';
    }
    this.#skipped++;
    if (isScaleSearch(result)) return 'skipped';
    if (++this.#inARow <= this.#options.skip) return 'skipped';
    return this.canRollBack ? 'roll back' : 'diverged';
  }

  /** Whether weights may be taken back once more. */
  get canRollBack(): boolean {
    return this.#rollbacks < this.#options.rollbacks;
  }

  /** Says that weights have been taken back. */
  countRollback(): void {
    this.#rollbacks++;
    this.#inARow = 0;
  }

  /** Takes the training loss of an epoch; whether it has grown too far. */
  hasDiverged(trainLoss: number): boolean {
    const { divergence } = this.#options;
    if (divergence === undefined) return false;
    this.#epochsAbove = this.#least > 0 && trainLoss > divergence.factor * this.#least ? this.#epochsAbove + 1 : 0;
    this.#least = Math.min(this.#least, trainLoss);
    return this.#epochsAbove >= divergence.patience;
  }

  getState(): GuardState {
    return { skipped: this.#skipped, inARow: this.#inARow, rollbacks: this.#rollbacks };
  }

  setState({ skipped, inARow, rollbacks }: GuardState, trainLosses: readonly number[]): void {
    this.#skipped = skipped;
    this.#inARow = inARow;
    this.#rollbacks = rollbacks;
    for (const loss of trainLosses) this.hasDiverged(loss);
  }
}

/** The error that ends training. @param where  `step` within the epoch; `more`: what was tried, part of a sentence */
export function divergedError(
  what: string,
  value: number,
  where: { readonly epoch: number; readonly step?: number; readonly more?: string },
): TensorkilnError {
  const { epoch, step, more } = where;
  const place = step === undefined ? `epoch ${epoch}` : `epoch ${epoch}, step ${step}`;
  return new TensorkilnError(
    'E_DIVERGED',
    `[fit] the ${what} of ${place} is ${value}: expected a finite number${more === undefined ? '' : `; ${more}`}. The best weights so far are restored. Try a smaller learning rate, or look for values that are not finite or not scaled in the data.`,
  );
}
