/** A configuration's scheduler as a schedule of ts/optim. */
import {
  chainedSchedule,
  constantSchedule,
  cosineRestartsSchedule,
  cosineSchedule,
  cyclicSchedule,
  exponentialSchedule,
  inverseSqrtSchedule,
  linearSchedule,
  multiStepSchedule,
  oneCycleSchedule,
  polynomialSchedule,
  sequentialSchedule,
  stepSchedule,
  withWarmup,
  type Schedule,
} from '../optim/index.js';
import type { PlainScheduler, Scheduler } from './config/scheduler-schema.js';

/**
 * The schedule of a section; undefined for a rate that stays as it is.
 *
 * @param rate  the optimizer's learning rate: the configuration names lowest rates, schedules take shares of the highest one
 */
export function scheduleOf(
  section: Exclude<Scheduler, { readonly type: 'reduce_on_plateau' }>,
  rate: number,
): Schedule | undefined {
  if (section.type === 'chained') return chainedSchedule(section.schedulers.map((one) => plain(one, rate)));
  if (section.type === 'sequential') {
    const { at, unit } = section;
    return sequentialSchedule(
      section.schedulers.map((one) => plain(one, rate)),
      { at, unit },
    );
  }
  const schedule = plain(section, rate);
  return schedule === constantSchedule ? undefined : schedule;
}

function plain(section: PlainScheduler, rate: number): Schedule {
  const schedule = withoutWarmup(section, rate);
  if (section.type === 'inverse_sqrt' || section.type === 'one_cycle') return schedule;
  const { warmup_epochs: epochs, warmup_steps: steps } = section;
  if (steps !== undefined) return withWarmup(schedule, { steps });
  return epochs === 0 ? schedule : withWarmup(schedule, { epochs });
}

function withoutWarmup(section: PlainScheduler, rate: number): Schedule {
  const floor = 'min_learning_rate' in section ? Math.min(1, section.min_learning_rate / rate) : 0;
  const length = 'length' in section && section.length !== undefined ? { length: section.length } : {};
  switch (section.type) {
    case 'constant':
      return constantSchedule;
    case 'step':
      return stepSchedule({ every: section.every, factor: section.factor, unit: section.unit });
    case 'multi_step':
      return multiStepSchedule({ at: section.at, factor: section.factor, unit: section.unit });
    case 'exponential':
      return exponentialSchedule({ factor: section.factor, unit: section.unit });
    case 'linear':
      return linearSchedule({ from: section.from, to: section.to, unit: section.unit, ...length });
    case 'cosine':
      return cosineSchedule({ floor, unit: section.unit, ...length });
    case 'cosine_restarts':
      return cosineRestartsSchedule({ first: section.first, growth: section.growth, floor, unit: section.unit });
    case 'polynomial':
      return polynomialSchedule({ power: section.power, floor, unit: section.unit, ...length });
    case 'inverse_sqrt':
      return inverseSqrtSchedule({ warmup: section.warmup_steps });
    case 'cyclic':
      return cyclicSchedule({
        rise: section.steps_up,
        floor,
        mode: section.mode,
        ...(section.steps_down === undefined ? {} : { fall: section.steps_down }),
        ...(section.decay === undefined ? {} : { decay: section.decay }),
      });
    case 'one_cycle': {
      const { rise, start_divisor: startDivisor, end_divisor: endDivisor, shape, three_phases: threePhases, unit } = section;
      return oneCycleSchedule({ rise, startDivisor, endDivisor, shape, threePhases, unit, ...length });
    }
  }
}
