/** Learning rates that change as training goes on. */
import { checkKeys, checkNumber } from '../arguments.js';

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

/** The rate stays as it is. */
export const constantSchedule: Schedule = () => 1;

/** Multiplies the rate by `factor` after every `every` epochs. @throws E_CONFIG */
export function stepSchedule(options: { readonly every: number; readonly factor: number }): Schedule {
  checkKeys('stepSchedule', options, ['every', 'factor']);
  const every = checkNumber('stepSchedule', 'every', options.every, { above: 0 });
  const factor = checkNumber('stepSchedule', 'factor', options.factor, { above: 0 });
  return ({ step, stepsPerEpoch }) => factor ** Math.floor(step / stepsPerEpoch / every);
}

/** Multiplies the rate by `factor` after each epoch. @throws E_CONFIG */
export function exponentialSchedule(options: { readonly factor: number }): Schedule {
  return stepSchedule({ every: 1, factor: options.factor });
}

/**
 * Half a cosine from 1 down to `floor` over the whole training, step by step.
 *
 * @param options  `floor`: last factor, in [0, 1]; default 0
 * @throws E_CONFIG
 * @source Loshchilov, Hutter 2017, arXiv:1608.03983, eq. 5, without restarts
 */
export function cosineSchedule(options: { readonly floor?: number } = {}): Schedule {
  checkKeys('cosineSchedule', options, ['floor']);
  const floor = checkNumber('cosineSchedule', 'floor', options.floor ?? 0, { min: 0, max: 1 });
  return ({ step, stepsPerEpoch, epochs }) => {
    const share = Math.min(1, step / Math.max(1, stepsPerEpoch * epochs));
    return floor + ((1 - floor) * (1 + Math.cos(Math.PI * share))) / 2;
  };
}

/** Lets the rate grow from 0 over the first `epochs` epochs; afterwards `schedule` holds. @throws E_CONFIG */
export function withWarmup(schedule: Schedule, options: { readonly epochs: number }): Schedule {
  checkKeys('withWarmup', options, ['epochs']);
  const epochs = checkNumber('withWarmup', 'epochs', options.epochs, { min: 0 });
  return (progress) => {
    const warmupSteps = epochs * progress.stepsPerEpoch;
    const share = progress.step + 1 < warmupSteps ? (progress.step + 1) / warmupSteps : 1;
    return share * schedule(progress);
  };
}
