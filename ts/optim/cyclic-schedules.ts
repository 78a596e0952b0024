/** Learning rates that rise and fall. */
import { checkBoolean, checkInteger, checkKeys, checkNumber, checkOneOf } from '../arguments.js';
import { allUnits, checkUnit, unitsDone, type Schedule, type ScheduleUnit } from './schedules.js';

/** From `from` to `to` as `share` goes from 0 to 1. */
type Anneal = (from: number, to: number, share: number) => number;
const cosine: Anneal = (from, to, share) => to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;
const line: Anneal = (from, to, share) => from + (to - from) * share;

/**
 * Half cosines from 1 down to `floor`, each beginning anew at 1 and `growth` times as long as the one before. As PyTorch's
 * CosineAnnealingWarmRestarts, step by step.
 *
 * @param options  `first`: length of the first, > 0; `growth`: a whole number >= 1, default 1; `floor`: in [0, 1], default 0
 * @throws E_CONFIG
 * @source Loshchilov, Hutter 2017, arXiv:1608.03983, eq. 5
 */
export function cosineRestartsSchedule(options: {
  readonly first: number;
  readonly growth?: number;
  readonly floor?: number;
  readonly unit?: ScheduleUnit;
}): Schedule {
  checkKeys('cosineRestartsSchedule', options, ['first', 'growth', 'floor', 'unit']);
  const first = checkNumber('cosineRestartsSchedule', 'first', options.first, { above: 0 });
  const growth = checkInteger('cosineRestartsSchedule', 'growth', options.growth ?? 1, { min: 1 });
  const floor = checkNumber('cosineRestartsSchedule', 'floor', options.floor ?? 0, { min: 0, max: 1 });
  const unit = checkUnit('cosineRestartsSchedule', options.unit);
  return (progress) => {
    let done = unitsDone(progress, unit);
    let length = first;
    if (growth === 1) done %= first;
    else for (; done >= length; length *= growth) done -= length;
    return cosine(1, floor, done / length);
  };
}

export interface OneCycleOptions {
  /** Share of the length in which the rate rises, above 0 and below 1. Default 0.3. */
  readonly rise?: number;
  /** The rate begins at the optimizer's divided by this, >= 1. Default 25. */
  readonly startDivisor?: number;
  /** The rate ends at the first one divided by this, >= 1. Default 1e4. */
  readonly endDivisor?: number;
  /** Default 'cosine'. */
  readonly shape?: 'cosine' | 'linear';
  /** Whether it falls to the first rate as it rose, and from there to the last one. Default false. */
  readonly threePhases?: boolean;
  /** > 0; default the whole training. */
  readonly length?: number;
  /** What `length` counts. Default 'epochs'. */
  readonly unit?: ScheduleUnit;
}

/**
 * One rise to the optimizer's rate and one long fall, step by step. As PyTorch's OneCycleLR, momentum left as it is: so too of a
 * single step, which has the last rate.
 *
 * @throws E_CONFIG
 * @source Smith, Topin 2018, arXiv:1708.07120
 */
export function oneCycleSchedule(options: OneCycleOptions = {}): Schedule {
  const place = 'oneCycleSchedule';
  checkKeys(place, options, ['rise', 'startDivisor', 'endDivisor', 'shape', 'threePhases', 'length', 'unit']);
  const rise = checkNumber(place, 'rise', options.rise ?? 0.3, { above: 0, below: 1 });
  const start = 1 / checkNumber(place, 'startDivisor', options.startDivisor ?? 25, { min: 1 });
  const end = start / checkNumber(place, 'endDivisor', options.endDivisor ?? 1e4, { min: 1 });
  const shape = checkOneOf(place, 'shape', options.shape ?? 'cosine', ['cosine', 'linear']);
  const isThree = checkBoolean(place, 'threePhases', options.threePhases ?? false);
  const length = options.length === undefined ? undefined : checkNumber(place, 'length', options.length, { above: 0 });
  const unit = checkUnit(place, options.unit);
  const anneal = shape === 'cosine' ? cosine : line;
  return (progress) => {
    const perUnit = unit === 'steps' ? 1 : progress.stepsPerEpoch;
    const total = (length ?? allUnits(progress, unit)) * perUnit;
    // The last step of `total` is the end: as PyTorch counts.
    const peak = rise * total - 1;
    const ends: readonly (readonly [end: number, from: number, to: number])[] = isThree
      ? [
          [peak, start, 1],
          [2 * rise * total - 2, 1, start],
          [total - 1, start, end],
        ]
      : [
          [peak, start, 1],
          [total - 1, 1, end],
        ];
    let before = 0;
    for (const [last, from, to] of ends) {
      // A rise of a single step is its peak.
      if (progress.step <= last) return last === before ? to : anneal(from, to, (progress.step - before) / (last - before));
      before = last;
    }
    return end;
  };
}

/**
 * Rises and falls in straight lines between `floor` and 1, again and again. As PyTorch's CyclicLR with momentum left as it is.
 *
 * @param options  `rise`: steps up, >= 1; `fall`: steps down, >= 1, default as many; `floor`: in [0, 1], default 0.1; `mode`:
 *                 'triangular', 'triangular2' (each peak half as high above the floor) or 'exponential' (each step times
 *                 `decay`), default 'triangular'; `decay`: in (0, 1], default 1
 * @throws E_CONFIG
 * @source Smith 2017, arXiv:1506.01186
 */
export function cyclicSchedule(options: {
  readonly rise: number;
  readonly fall?: number;
  readonly floor?: number;
  readonly mode?: 'triangular' | 'triangular2' | 'exponential';
  readonly decay?: number;
}): Schedule {
  const place = 'cyclicSchedule';
  checkKeys(place, options, ['rise', 'fall', 'floor', 'mode', 'decay']);
  const rise = checkInteger(place, 'rise', options.rise, { min: 1 });
  const fall = checkInteger(place, 'fall', options.fall ?? rise, { min: 1 });
  const floor = checkNumber(place, 'floor', options.floor ?? 0.1, { min: 0, max: 1 });
  const mode = checkOneOf(place, 'mode', options.mode ?? 'triangular', ['triangular', 'triangular2', 'exponential']);
  const decay = checkNumber(place, 'decay', options.decay ?? 1, { above: 0, max: 1 });
  const length = rise + fall;
  return ({ step }) => {
    const cycle = Math.floor(step / length);
    const within = step - cycle * length;
    const height = within <= rise ? within / rise : (length - within) / fall;
    const scale = mode === 'triangular' ? 1 : mode === 'triangular2' ? 0.5 ** cycle : decay ** step;
    return floor + (1 - floor) * height * scale;
  };
}
