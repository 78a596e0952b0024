import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chainedSchedule,
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
  constantSchedule,
  type Schedule,
} from '../../ts/optim/index.js';
import { loadConfig } from '../../ts/run/config/load.js';
import type { TrainingConfig } from '../../ts/run/config/schema.js';
import { scheduleOf } from '../../ts/run/schedule-of.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-schedules-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function load(training: string): Promise<TrainingConfig> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, `data: {path: a.csv, target: y}\ntraining: {${training}}\n`);
  return loadConfig(file);
}

const STEPS = Array.from({ length: 40 }, (_, step) => ({ step, stepsPerEpoch: 4, epochs: 10 }));

describe('training.scheduler', () => {
  it.each<[string, Schedule]>([
    ['{type: step, every: 2, factor: 0.5}', stepSchedule({ every: 2, factor: 0.5 })],
    ['{type: multi_step, at: [3, 9], unit: steps}', multiStepSchedule({ at: [3, 9], unit: 'steps' })],
    ['{type: exponential, factor: 0.9}', exponentialSchedule({ factor: 0.9 })],
    ['{type: linear, from: 0.2, to: 2, length: 5}', linearSchedule({ from: 0.2, to: 2, length: 5 })],
    ['{type: linear}', linearSchedule()],
    ['{type: cosine, min_learning_rate: 0.001}', cosineSchedule({ floor: 0.1 })],
    ['{type: cosine_restarts, first: 3, growth: 2}', cosineRestartsSchedule({ first: 3, growth: 2 })],
    ['{type: polynomial, power: 2, min_learning_rate: 0.005}', polynomialSchedule({ power: 2, floor: 0.5 })],
    ['{type: inverse_sqrt, warmup_steps: 6}', inverseSqrtSchedule({ warmup: 6 })],
    [
      '{type: cyclic, steps_up: 3, steps_down: 5, mode: exponential, decay: 0.9, min_learning_rate: 0.002}',
      cyclicSchedule({ rise: 3, fall: 5, mode: 'exponential', decay: 0.9, floor: 0.2 }),
    ],
    [
      '{type: one_cycle, rise: 0.4, shape: linear, three_phases: true, start_divisor: 10}',
      oneCycleSchedule({ rise: 0.4, shape: 'linear', threePhases: true, startDivisor: 10 }),
    ],
    ['{type: constant, warmup_steps: 7}', withWarmup(constantSchedule, { steps: 7 })],
    ['{type: cosine, warmup_epochs: 1.5}', withWarmup(cosineSchedule(), { epochs: 1.5 })],
    [
      '{type: chained, schedulers: [{type: linear}, {type: step, every: 3}]}',
      chainedSchedule([linearSchedule(), stepSchedule({ every: 3, factor: 0.1 })]),
    ],
    [
      '{type: sequential, schedulers: [{type: linear, length: 2}, {type: exponential}], at: [2]}',
      sequentialSchedule([linearSchedule({ length: 2 }), exponentialSchedule({ factor: 0.95 })], { at: [2] }),
    ],
  ])('%s is the schedule of the library', async (text, expected) => {
    const { scheduler } = (await load(`scheduler: ${text}`)).training;
    if (scheduler.type === 'reduce_on_plateau') throw new Error('a figure is watched, not a step');
    const schedule = scheduleOf(scheduler, 0.01);
    expect(STEPS.map((progress) => schedule?.(progress))).toEqual(STEPS.map(expected));
  });

  it('constant is none', () => {
    expect(scheduleOf({ type: 'constant', warmup_epochs: 0 }, 1)).toBeUndefined();
  });
});

describe('a wrong training section', () => {
  it.each<[string, RegExp]>([
    ['scheduler: {type: triangle}', /wrong training\.scheduler\.type: expected one of constant, step, .*, got "triangle"/],
    [
      'scheduler: {type: exponential, every: 2}',
      /unknown key training\.scheduler\.every: expected type, factor, unit, warmup_epochs, warmup_steps\./,
    ],
    [
      'scheduler: {type: multi_step, at: [3, 2]}',
      /wrong training\.scheduler\.at: expected a list of rising numbers.*got \[3,2\]/,
    ],
    ['scheduler: {type: multi_step}', /training\.scheduler\.at is missing/],
    [
      'scheduler: {type: chained, schedulers: [{type: linear}]}',
      /wrong training\.scheduler\.schedulers: expected a list of at/,
    ],
    [
      'scheduler: {type: chained, schedulers: [{type: linear}, {type: reduce_on_plateau}]}',
      /wrong training\.scheduler\.schedulers\.1(\.type)?: expected a list of at least two/,
    ],
    [
      'scheduler: {type: sequential, schedulers: [{type: linear}, {type: cosine}], at: [1, 2]}',
      /wrong training\.scheduler\.at: expected 1 numbers for 2 schedulers, got 2/,
    ],
    ['scheduler: {type: step, warmup_epochs: 1, warmup_steps: 2}', /expected warmup_epochs or warmup_steps, got both/],
    ['scheduler: {type: cyclic, steps_up: 2, decay: 0.5}', /expected it only with mode exponential, got it with triangular/],
    ['optimizer: {type: adam, decoupled: true}', /wrong training\.optimizer\.decoupled: expected it only with nadam/],
    ['optimizer: {type: adam, average: {kind: equal, decay: 0.9}}', /unknown key training\.optimizer\.average\.decay/],
    [
      'optimizer: {type: adam, groups: [{parameters: ["/(/"]}]}',
      /wrong training\.optimizer\.groups\.0\.parameters\.0: expected/,
    ],
    [
      'optimizer: {type: adam, lookahead: {weight: 2}}',
      /wrong training\.optimizer\.lookahead\.weight: expected a number above 0/,
    ],
    ['precision: fp8', /wrong training\.precision: expected float32, bf16 or f16, got "fp8"/],
    ['batch_size: 8, micro_batch: 16', /wrong training\.micro_batch: expected at most batch_size, got 16 with batch_size 8/],
    ['loss: focal, label_smoothing: 0.1', /wrong training\.label_smoothing: expected it only with loss cross_entropy/],
    ['huber_delta: 2', /wrong training\.huber_delta: expected it only with loss huber, got it with auto/],
    ['divergence: {factor: 1}', /wrong training\.divergence\.factor: expected a number above 1, got 1/],
  ])('%s', async (training, message) => {
    await expect(load(training)).rejects.toThrow(message);
  });
});
