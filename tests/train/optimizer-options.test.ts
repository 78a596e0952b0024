import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import {
  Adadelta,
  Adagrad,
  Adam,
  Adamax,
  AdamW,
  LAMB,
  Lion,
  Muon,
  NAdam,
  RMSProp,
  SGD,
  type Optimizer,
  type OptimizerOptions,
} from '../../ts/optim/index.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const OPTIMIZERS: readonly (readonly [string, (options?: OptimizerOptions) => Optimizer])[] = [
  ['sgd', (options) => new SGD({ ...options, learningRate: 0.1, weightDecay: 0.1 })],
  ['momentum', (options) => new SGD({ ...options, learningRate: 0.1, momentum: 0.9 })],
  ['adam', (options) => new Adam({ ...options, learningRate: 0.1 })],
  ['adamw', (options) => new AdamW({ ...options, learningRate: 0.1 })],
  ['rmsprop', (options) => new RMSProp({ ...options, centered: true, momentum: 0.5 })],
  ['adagrad', (options) => new Adagrad({ ...options })],
  ['adadelta', (options) => new Adadelta({ ...options })],
  ['adamax', (options) => new Adamax({ ...options })],
  ['nadam', (options) => new NAdam({ ...options })],
  ['lion', (options) => new Lion({ ...options, weightDecay: 0.1 })],
  ['lamb', (options) => new LAMB({ ...options })],
];
const ALL = [...OPTIMIZERS, ['muon', () => new Muon({ learningRate: 0.1 })] as const];

type Variables = Record<string, tf.Variable>;
const SHAPES: Readonly<Record<string, readonly number[]>> = { 'a/kernel': [3, 5], 'a/bias': [5], 'b/kernel': [5, 2] };
const makeVariables = (count = 1): Variables =>
  tf.tidy(() =>
    Object.fromEntries(
      Array.from({ length: count }, (_, copy) =>
        Object.entries(SHAPES).map(([name, shape], i): [string, tf.Variable] => [
          copy === 0 ? name : `${copy}/${name}`,
          tf.variable(tf.sin(tf.reshape(tf.range(i, i + shape.reduce((a, b) => a * b), 1), [...shape]))),
        ]),
      ).flat(),
    ),
  );
const gradientsOf = (variables: Variables, step: number, value?: number): Record<string, tf.Tensor> =>
  Object.fromEntries(
    Object.entries(variables).map(([name, { shape }], i) => [
      name,
      value === undefined
        ? tf.cos(tf.reshape(tf.range(step + i, step + i + shape.reduce((a, b) => a * b), 1), shape))
        : tf.fill(shape, value),
    ]),
  );
const valuesOf = (variables: Variables): number[] => Object.values(variables).flatMap((v) => [...v.dataSync()]);

describe.each(ALL)('%s', (name, make) => {
  it('leaves a step out on the device, and goes on as if it had not been', async () => {
    const [variables, twins] = [makeVariables(), makeVariables()];
    const [optimizer, twin] = [make(), make()];
    optimizer.bind(variables);
    twin.bind(twins);
    const step = compile((active: tf.Tensor, ...gradients: tf.Tensor[]) => {
      const named = Object.fromEntries(Object.keys(variables).map((key, i) => [key, gradients[i]!]));
      optimizer.apply(named, { active });
      return tf.scalar(0);
    });
    for (const broken of [false, false, true, false, true, true, false]) {
      tf.tidy(() => {
        const number = Number(broken);
        const gradients = gradientsOf(variables, number, broken ? NaN : undefined);
        step(tf.scalar(!broken, 'bool'), ...Object.values(gradients));
        if (!broken) twin.apply(gradients);
      });
    }
    expect(step.statistics.replays).toBeGreaterThan(3);
    expect(valuesOf(variables)).toEqual(valuesOf(twins));
    expect(await optimizer.getState()).toEqual(await twin.getState());
    expect(valuesOf(variables).every(Number.isFinite), name).toBe(true);
    step.dispose();
    optimizer.dispose();
    twin.dispose();
    tf.dispose([variables, twins]);
  });
});

describe.each(OPTIMIZERS)('%s', (_, make) => {
  it('has as many calls in a recorded step for 90 parameters as for 3', () => {
    const counts = [1, 30].map((copies) => {
      const variables = makeVariables(copies);
      const optimizer = make({
        clip: { globalNorm: 1 },
        groups: [{ parameters: [/bias$/], rateFactor: 0.5 }],
        average: { kind: 'exponential' },
        lookahead: {},
      });
      optimizer.bind(variables);
      const step = compile((...gradients: tf.Tensor[]) => {
        optimizer.apply(Object.fromEntries(Object.keys(variables).map((name, i) => [name, gradients[i]!])));
        return tf.scalar(0);
      });
      for (let i = 0; i < 3; ++i) tf.tidy(() => void step(...Object.values(gradientsOf(variables, i))));
      const calls = step
        .plans()[0]!
        .split('\n')
        .filter((line) => line.includes('(')).length;
      step.dispose();
      optimizer.dispose();
      tf.dispose(variables);
      return calls;
    });
    expect(counts[1]).toBe(counts[0]);
  });
});

describe('clipping', () => {
  const norm = (values: Iterable<number>): number => Math.hypot(...values);
  it.each([
    ['value', { value: 0.25 }],
    ['norm', { norm: 0.5 }],
    ['globalNorm', { globalNorm: 0.5 }],
  ] as const)('by %s, over all groups', (kind, clip) => {
    const variables = makeVariables();
    const before = Object.fromEntries(Object.entries(variables).map(([name, v]) => [name, v.dataSync().slice()]));
    const optimizer = new SGD({ learningRate: 1, clip, groups: [{ parameters: ['b'], rateFactor: 0.5 }] });
    optimizer.bind(variables);
    const gradients = tf.tidy(() =>
      Object.fromEntries(
        Object.entries(gradientsOf(variables, 1)).map(([name, tensor]) => [name, [...tensor.dataSync()]] as const),
      ),
    );
    tf.tidy(() => optimizer.apply(gradientsOf(variables, 1)));
    const all = norm(Object.values(gradients).flat());
    for (const [name, values] of Object.entries(gradients)) {
      const factor = kind === 'norm' ? 0.5 / norm(values) : 0.5 / all;
      const rate = name.startsWith('b') ? 0.5 : 1;
      const after = variables[name]!.dataSync();
      values.forEach((g, i) => {
        const limited = kind === 'value' ? Math.max(-0.25, Math.min(0.25, g)) : g * factor;
        expect(after[i]).toBeCloseTo(before[name]![i]! - rate * limited, 6);
      });
    }
    optimizer.dispose();
    tf.dispose(variables);
  });
});

describe('averages', () => {
  /** The first parameter after each of `steps` steps, and the optimizer at the end. */
  function run(options: OptimizerOptions, steps: number): { history: number[][]; optimizer: SGD; variables: Variables } {
    const variables = makeVariables();
    const optimizer = new SGD({ learningRate: 0.1, ...options });
    optimizer.bind(variables);
    const step = compile((...gradients: tf.Tensor[]) => {
      optimizer.apply(Object.fromEntries(Object.keys(variables).map((name, i) => [name, gradients[i]!])));
      return tf.scalar(0);
    });
    const history = [[...variables['a/kernel']!.dataSync()]];
    for (let i = 0; i < steps; ++i) {
      tf.tidy(() => void step(...Object.values(gradientsOf(variables, i))));
      history.push([...variables['a/kernel']!.dataSync()]);
    }
    step.dispose();
    return { history, optimizer, variables };
  }
  const close = (values: ArrayLike<number>, expected: readonly number[]): void =>
    Array.from(values).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5));

  it.each([
    ['exponential', { kind: 'exponential', decay: 0.8 }, (): number => 0.2],
    [
      'exponential, ramped',
      { kind: 'exponential', decay: 0.8, ramp: true },
      (t: number): number => Math.max(0.2, 1 - (1 + t) / (10 + t)),
    ],
    ['equal', { kind: 'equal', from: 3, every: 2 }, (t: number): number => (t > 3 && (t - 3) % 2 === 0 ? 2 / (t - 3) : 0)],
  ] as const)('%s', async (_, average, weight) => {
    const { history, optimizer, variables } = run({ average }, 9);
    const expected = history
      .slice(1)
      .reduce((mean, values, i) => mean.map((m, j) => m + weight(i + 1) * (values[j]! - m)), history[0]!);
    const kernel = variables['a/kernel']!;
    const trained = [...kernel.dataSync()];
    optimizer.swapAverage();
    close(kernel.dataSync(), expected);
    expect(() => tf.tidy(() => optimizer.apply(gradientsOf(variables, 0)))).toThrow(/hold their average: call swapAverage/);
    optimizer.swapAverage();
    expect([...kernel.dataSync()]).toEqual(trained);
    const state = await optimizer.getState();
    expect(state.products).toEqual({ averageSteps: 9 });
    const twins = makeVariables();
    const twin = new SGD({ average });
    twin.bind(twins);
    twin.setState(state);
    twin.loadAverage();
    close(twins['a/kernel']!.dataSync(), expected);
    twin.dispose();
    optimizer.dispose();
    tf.dispose([variables, twins]);
  });

  it('an equal average is the trained parameters until the first value that counts', () => {
    for (const steps of [1, 4]) {
      const { history, optimizer, variables } = run({ average: { kind: 'equal', from: 3, every: 2 } }, steps);
      optimizer.swapAverage();
      expect([...variables['a/kernel']!.dataSync()]).toEqual(history[steps]);
      optimizer.dispose();
      tf.dispose(variables);
    }
  });

  it('look-ahead goes back to slow weights every third step', () => {
    const plain = run({}, 9);
    const { history, optimizer, variables } = run({ lookahead: { every: 3, weight: 0.5 } }, 9);
    let slow = history[0]!;
    let shift = slow.map(() => 0);
    // The gradients do not depend on the weights: only the shifts differ from the plain run.
    history.slice(1).forEach((values, i) => {
      const fast = plain.history[i + 1]!.map((value, j) => value + shift[j]!);
      if ((i + 1) % 3 !== 0) return close(values, fast);
      slow = slow.map((value, j) => value + 0.5 * (fast[j]! - value));
      shift = slow.map((value, j) => value - plain.history[i + 1]![j]!);
      close(values, slow);
    });
    plain.optimizer.dispose();
    optimizer.dispose();
    tf.dispose([variables, plain.variables]);
  });

  it.each<[string, OptimizerOptions]>([
    ['exponential', { average: { kind: 'exponential', decay: 0.8 } }],
    ['equal', { average: { kind: 'equal', every: 2 } }],
    ['look-ahead', { lookahead: { every: 2 } }],
  ])('%s: a step that is left out moves nothing', async (_, options) => {
    const [variables, twins] = [makeVariables(), makeVariables()];
    const [optimizer, twin] = [variables, twins].map((list) => {
      const made = new SGD({ learningRate: 0.1, ...options });
      made.bind(list);
      return made;
    }) as [SGD, SGD];
    [true, true, false, false, true, true, false].forEach((active, step) => {
      tf.tidy(() => {
        optimizer.apply(gradientsOf(variables, step, active ? undefined : NaN), { active: tf.scalar(active, 'bool') });
        if (active) twin.apply(gradientsOf(twins, step));
      });
    });
    expect(valuesOf(variables)).toEqual(valuesOf(twins));
    expect(await optimizer.getState()).toEqual(await twin.getState());
    optimizer.dispose();
    twin.dispose();
    tf.dispose([variables, twins]);
  });

  it('refuses wrong options', () => {
    expect(() => new SGD({ average: { kind: 'mean' } as never })).toThrow(/average.kind: .*got 'mean'/);
    for (const make of [(wrong: never) => new Adam(wrong), (wrong: never) => new Muon(wrong)])
      expect(() => make(null as never)).toThrow(/wrong options: expected an object, got null/);
    expect(() => new SGD({ average: 'ema' as never })).toThrow(/\[optimizer average\] wrong options: .* got 'ema'/);
    expect(() => new SGD({ groups: 'bias' as never })).toThrow(/wrong groups: expected a list of groups, got 'bias'/);
    expect(() => new SGD({ groups: [{ parameters: ['a'], rule: 'adamw' } as never] })).toThrow(/unknown option 'rule'/);
    expect(() => new Muon({ groups: [{ parameters: ['a'], rule: 'adam' as never }] })).toThrow(
      /wrong groups\[0\].rule: .* muon, adamw/,
    );
    expect(() => new SGD({ average: { kind: 'exponential', decay: 1 } })).toThrow(/average.decay/);
    expect(() => new SGD({ average: { kind: 'equal', decay: 0.5 } as never })).toThrow(/unknown option 'decay'/);
    expect(() => new SGD({ lookahead: { every: 0 } })).toThrow(/lookahead.every/);
    const variables = makeVariables();
    const optimizer = new SGD();
    optimizer.bind(variables);
    expect(() => optimizer.swapAverage()).toThrow(/no average is kept/);
    optimizer.dispose();
    tf.dispose(variables);
  });
});

it('equal seeds of averaged and plain training give equal bits of the trained weights', () => {
  const [averaged, plain] = [{ average: { kind: 'exponential' } } as const, {}].map((options) => {
    const variables = makeVariables();
    const optimizer = new Adam(options);
    optimizer.bind(variables);
    for (let i = 0; i < 4; ++i) tf.tidy(() => optimizer.apply(gradientsOf(variables, i)));
    const bits = Object.values(variables).map((variable) => bitsOf(variable.dataSync<'float32'>()));
    optimizer.dispose();
    tf.dispose(variables);
    return bits;
  });
  expect(averaged).toEqual(plain);
});

describe.each(ALL)('%s with parameters that come later', (name, make) => {
  // Muon counts for what is no matrix only, which is what comes later here.
  const isCounting = !['sgd', 'momentum', 'lion', 'adadelta', 'rmsprop', 'muon'].includes(name);
  const pick = (all: Readonly<Record<string, tf.Tensor>>, names: readonly string[]): Record<string, tf.Tensor> =>
    Object.fromEntries(names.map((key) => [key, all[key]!]));
  const FIRST = ['a/kernel', 'b/kernel'];

  it('counts their steps from their own first one, as an optimizer of theirs alone would', async () => {
    const [variables, twins] = [makeVariables(), makeVariables()];
    const [optimizer, early, late] = [make({ average: { kind: 'exponential' } }), make(), make()];
    const own = (list: Variables, names: readonly string[]): Variables => pick(list, names) as Variables;
    optimizer.bind(own(variables, FIRST));
    early.bind(own(twins, FIRST));
    late.bind(own(twins, ['a/bias']));
    const step = (number: number): void =>
      tf.tidy(() => {
        const gradients = gradientsOf(variables, number);
        optimizer.apply(gradients);
        early.apply(gradients);
        if (number >= 3) late.apply(gradients);
      });
    for (let i = 0; i < 3; ++i) step(i);
    await optimizer.rebind(variables);
    for (let i = 3; i < 6; ++i) step(i);
    expect(valuesOf(variables)).toEqual(valuesOf(twins));

    // The state tells both counts, and an optimizer that begins with it goes on in the same way.
    const state = JSON.parse(
      JSON.stringify(await optimizer.getState(), (_, value: unknown) => (value instanceof Float32Array ? [...value] : value)),
    ) as Awaited<ReturnType<Optimizer['getState']>>;
    for (const slot of Object.values(state.slots))
      for (const entry of Object.values(slot)) Object.assign(entry, { data: Float32Array.from(entry.data) });
    expect(Object.keys(state.late ?? {})).toEqual(isCounting ? ['a/bias'] : []);
    if (isCounting) expect([state.step, state.late!['a/bias']!.step]).toEqual([6, 3]);
    const other = make({ average: { kind: 'exponential' } });
    other.bind(twins);
    other.setState(state);
    expect(await other.getState()).toEqual(await optimizer.getState());
    tf.tidy(() => {
      optimizer.apply(gradientsOf(variables, 6));
      other.apply(gradientsOf(variables, 6));
    });
    expect(valuesOf(twins)).toEqual(valuesOf(variables));
    for (const one of [optimizer, early, late, other]) one.dispose();
    tf.dispose([variables, twins]);
  });
});

describe('groups', () => {
  it('of frozen parameters alone are left aside until these are trained; a name that nothing has is refused', async () => {
    const variables = makeVariables();
    const [kernel, rest] = [{ 'b/kernel': variables['b/kernel']! }, ['a/kernel', 'a/bias']];
    const options = { learningRate: 1, groups: [{ parameters: ['a'], rateFactor: 0.25 }] };
    const optimizer = new SGD(options);
    expect(() => optimizer.bind(kernel)).toThrow(/wrong groups\[0\]: expected a group of some parameters/);
    expect(optimizer.isBound).toBe(false);
    optimizer.bind(kernel, { frozen: rest });
    tf.tidy(() => optimizer.apply(gradientsOf(kernel, 0)));
    await optimizer.rebind(variables);
    const before = variables['a/bias']!.dataSync().slice();
    const gradient = tf.tidy(() => gradientsOf(variables, 1)['a/bias']!.dataSync().slice());
    tf.tidy(() => optimizer.apply(gradientsOf(variables, 1)));
    variables['a/bias']!.dataSync().forEach((value, i) => expect(value).toBeCloseTo(before[i]! - 0.25 * gradient[i]!, 6));
    optimizer.dispose();
    tf.dispose(variables);
  });
});

it('a state that counts steps of a parameter it does not have, or not at all, is refused', async () => {
  const variables = makeVariables();
  const optimizer = new Adam();
  optimizer.bind(variables);
  const state = await optimizer.getState();
  for (const [late, message] of [
    [{ other: { step: 1, products: {} } }, /it counts steps of 'other', which is no parameter of this optimizer/],
    [{ 'a/bias': { step: -1, products: {} } }, /expected a step count, got -1/],
  ] as const)
    expect(() => optimizer.setState({ ...state, step: 2, late })).toThrow(message);
  optimizer.dispose();
  tf.dispose(variables);
});
