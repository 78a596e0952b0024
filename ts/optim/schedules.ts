/** Learning rates that change as training goes on. Cyclic ones stand in cyclic-schedules.ts. */
import { checkInteger, checkKeys, checkNumber, checkOneOf, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';

/** How far training is. */
export interface Progress {
  /** Steps done since training began. */
  readonly step: number;
  readonly stepsPerEpoch: number;
  /** Most epochs to run. */
  readonly epochs: number;
}

/** A factor on the learning rate that training started with, for the next step. */
export type Schedule = (progress: Progress) => number;

/** What the lengths of a schedule count. Default 'epochs'. */
export type ScheduleUnit = 'epochs' | 'steps';

/** Checks a unit. @throws E_CONFIG */
export function checkUnit(place: string, unit: ScheduleUnit | undefined): ScheduleUnit {
  return checkOneOf(place, 'unit', unit ?? 'epochs', ['epochs', 'steps']);
}

/** Whole epochs or steps that are done. */
function wholeUnits({ step, stepsPerEpoch }: Progress, unit: ScheduleUnit): number {
  return unit === 'steps' ? step : Math.floor(step / stepsPerEpoch);
}

/** Epochs, with their fraction, or steps that are done. */
export function unitsDone({ step, stepsPerEpoch }: Progress, unit: ScheduleUnit): number {
  return unit === 'steps' ? step : step / stepsPerEpoch;
}

/** Length of the whole training. */
export function allUnits({ stepsPerEpoch, epochs }: Progress, unit: ScheduleUnit): number {
  return unit === 'steps' ? stepsPerEpoch * epochs : epochs;
}

/** How much of `length`, or else of the whole training, is done, at most 1. */
function shareDone(progress: Progress, length: number | undefined, unit: ScheduleUnit): number {
  const all = length ?? allUnits(progress, unit);
  return all === 0 ? 1 : Math.min(1, unitsDone(progress, unit) / all);
}

/** The rate stays as it is. */
export const constantSchedule: Schedule = () => 1;

/** Multiplies the rate by `factor` after every `every` epochs or steps. As PyTorch's StepLR. @throws E_CONFIG */
export function stepSchedule(options: {
  readonly every: number;
  readonly factor: number;
  readonly unit?: ScheduleUnit;
}): Schedule {
  checkKeys('stepSchedule', options, ['every', 'factor', 'unit']);
  const every = checkNumber('stepSchedule', 'every', options.every, { above: 0 });
  const factor = checkNumber('stepSchedule', 'factor', options.factor, { above: 0 });
  const unit = checkUnit('stepSchedule', options.unit);
  return (progress) => factor ** Math.floor(wholeUnits(progress, unit) / every);
}

/**
 * Multiplies the rate by `factor` at each of the epochs or steps `at`. As PyTorch's MultiStepLR.
 *
 * @param options  `at`: rising numbers > 0; `factor`: > 0, default 0.1
 * @throws E_CONFIG
 */
export function multiStepSchedule(options: {
  readonly at: readonly number[];
  readonly factor?: number;
  readonly unit?: ScheduleUnit;
}): Schedule {
  checkKeys('multiStepSchedule', options, ['at', 'factor', 'unit']);
  const at = checkRising('multiStepSchedule', 'at', options.at);
  const factor = checkNumber('multiStepSchedule', 'factor', options.factor ?? 0.1, { above: 0 });
  const unit = checkUnit('multiStepSchedule', options.unit);
  return (progress) => {
    const done = wholeUnits(progress, unit);
    return factor ** at.filter((milestone) => milestone <= done).length;
  };
}

/** @throws E_CONFIG unless the list holds rising numbers > 0, at least one */
function checkRising(place: string, key: string, list: readonly number[]): readonly number[] {
  const given: unknown = list;
  const isRising =
    Array.isArray(given) &&
    list.length > 0 &&
    list.every((value, i) => Number.isFinite(value) && value > (i === 0 ? 0 : (list[i - 1] as number)));
  if (isRising) return [...list];
  throw new TensorkilnError('E_CONFIG', `[${place}] wrong ${key}: expected rising numbers above 0, got ${show(list)}.`);
}

/** Multiplies the rate by `factor` after each epoch or step. As PyTorch's ExponentialLR. @throws E_CONFIG */
export function exponentialSchedule(options: { readonly factor: number; readonly unit?: ScheduleUnit }): Schedule {
  checkKeys('exponentialSchedule', options, ['factor', 'unit']);
  const factor = checkNumber('exponentialSchedule', 'factor', options.factor, { above: 0 });
  const unit = checkUnit('exponentialSchedule', options.unit);
  return (progress) => factor ** wholeUnits(progress, unit);
}

/**
 * From one factor to another in a straight line, then constant. As PyTorch's LinearLR, step by step.
 *
 * @param options  `from`: >= 0, default 1/3; `to`: >= 0, default 1; `length`: > 0, default the whole training
 * @throws E_CONFIG
 */
export function linearSchedule(
  options: { readonly from?: number; readonly to?: number; readonly length?: number; readonly unit?: ScheduleUnit } = {},
): Schedule {
  checkKeys('linearSchedule', options, ['from', 'to', 'length', 'unit']);
  const from = checkNumber('linearSchedule', 'from', options.from ?? 1 / 3, { min: 0 });
  const to = checkNumber('linearSchedule', 'to', options.to ?? 1, { min: 0 });
  const length = checkLength('linearSchedule', options.length);
  const unit = checkUnit('linearSchedule', options.unit);
  return (progress) => from + (to - from) * shareDone(progress, length, unit);
}

function checkLength(place: string, length: number | undefined): number | undefined {
  return length === undefined ? undefined : checkNumber(place, 'length', length, { above: 0 });
}

/**
 * Half a cosine from 1 down to `floor`, step by step, then constant. As PyTorch's CosineAnnealingLR over its first half period.
 *
 * @param options  `floor`: last factor, in [0, 1], default 0; `length`: > 0, default the whole training
 * @throws E_CONFIG
 * @source Loshchilov, Hutter 2017, arXiv:1608.03983, eq. 5, without restarts
 */
export function cosineSchedule(
  options: { readonly floor?: number; readonly length?: number; readonly unit?: ScheduleUnit } = {},
): Schedule {
  checkKeys('cosineSchedule', options, ['floor', 'length', 'unit']);
  const floor = checkNumber('cosineSchedule', 'floor', options.floor ?? 0, { min: 0, max: 1 });
  const length = checkLength('cosineSchedule', options.length);
  const unit = checkUnit('cosineSchedule', options.unit);
  return (progress) => floor + ((1 - floor) * (1 + Math.cos(Math.PI * shareDone(progress, length, unit)))) / 2;
}

/**
 * (1 - t / length)^power of the way from 1 to `floor`, step by step, then constant. With floor 0 as PyTorch's PolynomialLR.
 *
 * @param options  `power`: > 0, default 1; `floor`: in [0, 1], default 0; `length`: > 0, default the whole training
 * @throws E_CONFIG
 */
export function polynomialSchedule(
  options: { readonly power?: number; readonly floor?: number; readonly length?: number; readonly unit?: ScheduleUnit } = {},
): Schedule {
  checkKeys('polynomialSchedule', options, ['power', 'floor', 'length', 'unit']);
  const power = checkNumber('polynomialSchedule', 'power', options.power ?? 1, { above: 0 });
  const floor = checkNumber('polynomialSchedule', 'floor', options.floor ?? 0, { min: 0, max: 1 });
  const length = checkLength('polynomialSchedule', options.length);
  const unit = checkUnit('polynomialSchedule', options.unit);
  return (progress) => floor + (1 - floor) * (1 - shareDone(progress, length, unit)) ** power;
}

/**
 * Grows in a straight line over `warmup` steps and falls with the root of the step after them: min(n / w, sqrt(w / n)) with
 * n = step + 1. The optimizer's rate is the highest one.
 *
 * @param options  `warmup`: steps, >= 1
 * @throws E_CONFIG
 * @source Vaswani et al. 2017, arXiv:1706.03762, eq. 3, in units of its maximum
 */
export function inverseSqrtSchedule(options: { readonly warmup: number }): Schedule {
  checkKeys('inverseSqrtSchedule', options, ['warmup']);
  const warmup = checkInteger('inverseSqrtSchedule', 'warmup', options.warmup, { min: 1 });
  return ({ step }) => Math.min((step + 1) / warmup, Math.sqrt(warmup / (step + 1)));
}

/** Lets the rate grow from 0 over the first `epochs` epochs or `steps` steps; afterwards `schedule` holds. @throws E_CONFIG */
export function withWarmup(schedule: Schedule, options: { readonly epochs: number } | { readonly steps: number }): Schedule {
  checkKeys('withWarmup', options, ['epochs', 'steps']);
  if ('epochs' in options && 'steps' in options)
    throw new TensorkilnError('E_CONFIG', '[withWarmup] wrong options: expected epochs or steps, got both.');
  const unit = 'steps' in options ? 'steps' : 'epochs';
  const length = checkNumber('withWarmup', unit, 'steps' in options ? options.steps : options.epochs, { min: 0 });
  return (progress) => {
    const warmupSteps = unit === 'steps' ? length : length * progress.stepsPerEpoch;
    const share = progress.step + 1 < warmupSteps ? (progress.step + 1) / warmupSteps : 1;
    return share * schedule(progress);
  };
}

/** The product of several schedules. As PyTorch's ChainedScheduler. @throws E_CONFIG for none */
export function chainedSchedule(schedules: readonly Schedule[]): Schedule {
  const all = checkSchedules('chainedSchedule', schedules);
  return (progress) => all.reduce((product, schedule) => product * schedule(progress), 1);
}

/**
 * One schedule after the other; each counts its steps from where it begins. As PyTorch's SequentialLR.
 *
 * @param schedules  at least one
 * @param options    `at`: where the second and each further one begins, rising numbers of epochs or steps > 0
 * @throws E_CONFIG
 */
export function sequentialSchedule(
  schedules: readonly Schedule[],
  options: { readonly at: readonly number[]; readonly unit?: ScheduleUnit },
): Schedule {
  checkKeys('sequentialSchedule', options, ['at', 'unit']);
  const all = checkSchedules('sequentialSchedule', schedules);
  const at = all.length === 1 ? [] : checkRising('sequentialSchedule', 'at', options.at);
  if (at.length !== all.length - 1) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[sequentialSchedule] wrong at: expected ${all.length - 1} numbers for ${all.length} schedules, got ${at.length}.`,
    );
  }
  const unit = checkUnit('sequentialSchedule', options.unit);
  return (progress) => {
    const perUnit = unit === 'steps' ? 1 : progress.stepsPerEpoch;
    const starts = [0, ...at.map((position) => Math.round(position * perUnit))];
    const index = starts.findLastIndex((start) => start <= progress.step);
    return (all[index] as Schedule)({ ...progress, step: progress.step - (starts[index] as number) });
  };
}

function checkSchedules(place: string, schedules: readonly Schedule[]): readonly Schedule[] {
  const given: unknown = schedules;
  if (Array.isArray(given) && schedules.length > 0 && schedules.every((schedule) => typeof schedule === 'function'))
    return [...schedules];
  throw new TensorkilnError(
    'E_CONFIG',
    `[${place}] wrong schedules: expected a non-empty list of schedules, got ${show(schedules)}.`,
  );
}
