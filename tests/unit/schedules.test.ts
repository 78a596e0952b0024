import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
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
  ReduceOnPlateauRate,
  sequentialSchedule,
  stepSchedule,
  withWarmup,
  type Optimizer,
  type PlateauOptions,
  type Schedule,
} from '../../ts/optim/index.js';

interface Fixture {
  readonly rate: number;
  readonly stepsPerEpoch: number;
  readonly cases: Readonly<Record<string, readonly number[]>>;
  readonly figures: readonly (number | null)[];
  readonly plateaus: Readonly<Record<string, readonly number[]>>;
}
const fixture = JSON.parse(readFileSync(new URL('../fixtures/schedules.json', import.meta.url), 'utf8')) as Fixture;
const { rate, stepsPerEpoch } = fixture;
const at = (step: number, epochs = 10): { step: number; stepsPerEpoch: number; epochs: number } => ({
  step,
  stepsPerEpoch,
  epochs,
});

const SCHEDULES: Readonly<Record<string, Schedule>> = {
  step: stepSchedule({ every: 3, factor: 0.5 }),
  'step, by steps': stepSchedule({ every: 7, factor: 0.5, unit: 'steps' }),
  'multi-step': multiStepSchedule({ at: [2, 5, 6], factor: 0.3 }),
  exponential: exponentialSchedule({ factor: 0.8 }),
  'exponential, by steps': exponentialSchedule({ factor: 0.97, unit: 'steps' }),
  linear: linearSchedule({ from: 0.2, to: 0.9, length: 20, unit: 'steps' }),
  cosine: cosineSchedule({ floor: 0.1 }),
  'cosine with restarts': cosineRestartsSchedule({ first: 2, floor: 0.1 }),
  'cosine with growing restarts': cosineRestartsSchedule({ first: 7, growth: 2, unit: 'steps' }),
  polynomial: polynomialSchedule({ power: 2, length: 40, unit: 'steps' }),
  'one-cycle': oneCycleSchedule(),
  'one-cycle, linear, three phases': oneCycleSchedule({
    rise: 0.25,
    shape: 'linear',
    startDivisor: 10,
    endDivisor: 100,
    threePhases: true,
  }),
  cyclic: cyclicSchedule({ rise: 5, fall: 8 }),
  'cyclic, halving': cyclicSchedule({ rise: 4, mode: 'triangular2' }),
  'cyclic, exponential': cyclicSchedule({ rise: 6, floor: 0.2, mode: 'exponential', decay: 0.98 }),
  chained: chainedSchedule([
    linearSchedule({ from: 0.1, length: 10, unit: 'steps' }),
    exponentialSchedule({ factor: 0.95, unit: 'steps' }),
  ]),
  sequential: sequentialSchedule(
    [linearSchedule({ from: 0.1, length: 10, unit: 'steps' }), cosineSchedule({ length: 50, unit: 'steps' })],
    { at: [10], unit: 'steps' },
  ),
};

describe("PyTorch's schedulers", () => {
  it.each(Object.keys(fixture.cases))('%s', (name) => {
    const schedule = SCHEDULES[name]!;
    fixture.cases[name]!.forEach((expected, step) =>
      // PyTorch multiplies rate by rate, in double; here each factor is formed anew.
      expect(rate * schedule(at(step)), `step ${step}`).toBeCloseTo(expected, 12),
    );
  });

  const PLATEAUS: Readonly<Record<string, PlateauOptions>> = {
    'default threshold': { patience: 2, factor: 0.5 },
    'absolute, cooldown, floor': {
      patience: 1,
      factor: 0.2,
      threshold: 0.05,
      thresholdMode: 'absolute',
      cooldown: 2,
      minLearningRate: 0.01,
    },
    max: { mode: 'max', patience: 3, factor: 0.1 },
  };
  it.each(Object.keys(fixture.plateaus))('plateau: %s, also when it goes on from its state', (name) => {
    const optimizer = { learningRate: rate };
    let watch = new ReduceOnPlateauRate(optimizer as Optimizer, PLATEAUS[name]);
    fixture.figures.forEach((figure, i) => {
      const before = optimizer.learningRate;
      expect(watch.observe(figure ?? NaN)).toBe(fixture.plateaus[name]![i]! < before);
      expect(optimizer.learningRate, `figure ${i}`).toBeCloseTo(fixture.plateaus[name]![i]!, 12);
      const next = new ReduceOnPlateauRate(optimizer as Optimizer, PLATEAUS[name]);
      next.setState(JSON.parse(JSON.stringify(watch.getState())) as ReturnType<typeof watch.getState>);
      watch = next;
    });
    expect(() => watch.setState({ best: 1, since: -1, cooldown: 0 })).toThrow(/wrong state/);
  });
});

describe('schedules of our own', () => {
  it('inverse square root rises to 1 at the end of the warm-up and falls with the root', () => {
    const schedule = inverseSqrtSchedule({ warmup: 4 });
    expect([0, 1, 3, 15].map((step) => schedule(at(step)))).toEqual([0.25, 0.5, 1, 0.5]);
  });

  it('warm-up by steps reaches the schedule', () => {
    const schedule = withWarmup(stepSchedule({ every: 1, factor: 0.5 }), { steps: 4 });
    expect([0, 1, 2, 3, 5, 6].map((step) => schedule(at(step)))).toEqual([0.25, 0.5, 0.75, 1, 1, 0.5]);
    expect(() => withWarmup(schedule, { steps: 1, epochs: 1 })).toThrow(/got both/);
  });

  it('one cycle with a rise of one step begins at its peak', () => {
    for (const threePhases of [false, true]) {
      const schedule = oneCycleSchedule({ rise: 0.25, length: 4, unit: 'steps', threePhases });
      const rates = [0, 1, 2, 3].map((step) => schedule(at(step)));
      expect(rates[0]).toBe(1);
      expect(rates[3]).toBeCloseTo(1 / 25 / 1e4, 12);
      expect(rates.every((rate, i) => i === 0 || rate < rates[i - 1]!)).toBe(true);
    }
  });

  it('one cycle of one, two and three steps has the rates of PyTorch', () => {
    const rates = (length: number, threePhases: boolean): number[] =>
      Array.from({ length }, (_, step) => oneCycleSchedule({ length, unit: 'steps', threePhases })(at(step)));
    // OneCycleLR(total_steps=length, max_lr=1) of torch 2.13.
    const wanted = [
      [[4e-6], [4e-6]],
      [
        [0.811745653949763, 4e-6],
        [0.023474616256983275, 4e-6],
      ],
      [
        [0.9944154354509117, 0.46263710266697505, 4e-6],
        [0.03918994048634272, 0.017155987864210843, 4e-6],
      ],
    ];
    wanted.forEach(([two, three], i) => {
      rates(i + 1, false).forEach((rate, step) => expect(rate).toBeCloseTo(two![step]!, 14));
      rates(i + 1, true).forEach((rate, step) => expect(rate).toBeCloseTo(three![step]!, 14));
    });
  });

  it('a schedule that has ended stays at its end', () => {
    expect(cosineSchedule({ floor: 0.1 })(at(1000))).toBeCloseTo(0.1, 12);
    expect(oneCycleSchedule()(at(1000))).toBeCloseTo(1 / 25 / 1e4, 12);
    expect(polynomialSchedule({ floor: 0.2 })(at(1000))).toBeCloseTo(0.2, 12);
  });
});

describe('wrong options', () => {
  it.each([
    ['falling milestones', () => multiStepSchedule({ at: [3, 2] }), /\[multiStepSchedule\] wrong at: expected rising numbers/],
    ['no milestones', () => multiStepSchedule({ at: [] }), /wrong at/],
    ['unknown unit', () => exponentialSchedule({ factor: 1, unit: 'days' as never }), /wrong unit: .*got 'days'/],
    ['growth below 1', () => cosineRestartsSchedule({ first: 2, growth: 0.5 }), /wrong growth/],
    ['rise of 1', () => oneCycleSchedule({ rise: 1 }), /wrong rise/],
    ['power 0', () => polynomialSchedule({ power: 0 }), /wrong power/],
    ['no warm-up', () => inverseSqrtSchedule({ warmup: 0 }), /wrong warmup/],
    ['no schedules', () => chainedSchedule([]), /\[chainedSchedule\] wrong schedules/],
    [
      'too few starts',
      () => sequentialSchedule([() => 1, () => 1, () => 1], { at: [1] }),
      /expected 2 numbers for 3 schedules, got 1/,
    ],
    ['a misspelt option', () => cyclicSchedule({ rise: 1, flor: 0 } as never), /unknown option 'flor'/],
    ['length of 0', () => linearSchedule({ length: 0 }), /wrong length/],
    ['a plateau that raises', () => new ReduceOnPlateauRate({} as Optimizer, { factor: 1 }), /wrong factor/],
  ] as const)('%s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});
