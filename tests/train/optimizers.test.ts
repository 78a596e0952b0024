import * as tf from '@tensorflow/tfjs-core';
import { readFileSync } from 'node:fs';
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
} from '../../ts/optim/index.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

type Named<T> = Record<string, T>;
interface Fixture {
  readonly shapes: Named<number[]>;
  readonly initial: Named<number[]>;
  readonly gradients: Named<number[]>[];
  readonly cases: Named<Named<number[]>[]>;
}
const fixture = JSON.parse(readFileSync(new URL('../fixtures/optimizers.json', import.meta.url), 'utf8')) as Fixture;

const OPTIMIZERS: Named<() => Optimizer> = {
  adam: () => new Adam({ learningRate: 0.01 }),
  'adam with betas, epsilon and L2': () =>
    new Adam({ learningRate: 0.02, beta1: 0.8, beta2: 0.95, epsilon: 1e-4, weightDecay: 0.1 }),
  adamw: () => new AdamW({ learningRate: 0.01 }),
  'adamw with strong decay': () => new AdamW({ learningRate: 0.05, beta1: 0.95, beta2: 0.99, weightDecay: 0.5 }),
  sgd: () => new SGD({ learningRate: 0.1 }),
  'sgd with L2': () => new SGD({ learningRate: 0.1, weightDecay: 0.2 }),
  momentum: () => new SGD({ learningRate: 0.05, momentum: 0.9 }),
  'momentum with L2': () => new SGD({ learningRate: 0.05, momentum: 0.8, weightDecay: 0.1 }),
  nesterov: () => new SGD({ learningRate: 0.05, momentum: 0.9, nesterov: true }),
  'nesterov with L2': () => new SGD({ learningRate: 0.05, momentum: 0.7, nesterov: true, weightDecay: 0.05 }),
  rmsprop: () => new RMSProp({ learningRate: 0.01 }),
  'rmsprop, centered, with momentum and L2': () =>
    new RMSProp({ learningRate: 0.005, alpha: 0.9, epsilon: 1e-3, centered: true, momentum: 0.8, weightDecay: 0.1 }),
  adagrad: () => new Adagrad({ learningRate: 0.1 }),
  'adagrad with rate decay, first sum and L2': () =>
    new Adagrad({ learningRate: 0.1, rateDecay: 0.05, initialSum: 0.1, weightDecay: 0.1 }),
  adadelta: () => new Adadelta(),
  'adadelta with L2': () => new Adadelta({ learningRate: 0.5, rho: 0.95, epsilon: 1e-5, weightDecay: 0.1 }),
  adamax: () => new Adamax({ learningRate: 0.01 }),
  'adamax with L2': () => new Adamax({ learningRate: 0.02, beta1: 0.8, beta2: 0.95, weightDecay: 0.1 }),
  nadam: () => new NAdam({ learningRate: 0.01 }),
  'nadam, decoupled decay': () => new NAdam({ learningRate: 0.02, weightDecay: 0.1, momentumDecay: 0.01, decoupled: true }),
  lion: () => new Lion({ learningRate: 0.01 }),
  'lion with decay': () => new Lion({ learningRate: 0.02, beta1: 0.95, beta2: 0.98, weightDecay: 0.1 }),
  lamb: () => new LAMB({ learningRate: 0.01 }),
  'lamb without decay': () => new LAMB({ learningRate: 0.02, beta1: 0.8, beta2: 0.95, weightDecay: 0 }),
  muon: () => new Muon({ learningRate: 0.02 }),
  'muon, plain momentum, matched to adam': () =>
    new Muon({ learningRate: 0.01, momentum: 0.9, weightDecay: 0, nesterov: false, adjust: 'match_adam' }),
  'muon, groups': () =>
    new Muon({
      learningRate: 0.02,
      groups: [
        { parameters: ['kernel'], rateFactor: 0.5, weightDecay: 0.25 },
        { parameters: ['bias'], rateFactor: 0.25, weightDecay: 0.5, rule: 'adamw' },
      ],
    }),
  'muon, a matrix by adamw': () => new Muon({ learningRate: 0.01, groups: [{ parameters: [/./], rule: 'adamw' }] }),
};
const NAMES = Object.keys(fixture.shapes);
const CASES = Object.keys(OPTIMIZERS);

const makeVariables = (): Named<tf.Variable> =>
  tf.tidy(() =>
    Object.fromEntries(NAMES.map((name) => [name, tf.variable(tf.tensor(fixture.initial[name]!, fixture.shapes[name]))])),
  );
const gradientsOf = (step: number): tf.Tensor[] =>
  NAMES.map((name) => tf.tensor(fixture.gradients[step]![name]!, fixture.shapes[name]));
const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

/** Runs steps of the fixture from `first` on; the rate falls at step 10. */
function run(
  optimizer: Optimizer,
  apply: (...gradients: tf.Tensor[]) => unknown,
  [first, last]: readonly [number, number],
): void {
  for (let step = first; step < last; ++step) {
    if (step === 10) optimizer.learningRate *= 0.3;
    tf.tidy(() => {
      apply(...gradientsOf(step));
    });
  }
}
const applyTo =
  (optimizer: Optimizer) =>
  (...gradients: tf.Tensor[]): void =>
    optimizer.apply(Object.fromEntries(NAMES.map((name, i) => [name, gradients[i]!])));

describe.each(CASES)('%s', (name) => {
  it('follows PyTorch for 50 steps and replays with the same bits', () => {
    const results = [false, true].map((isCompiled) => {
      const variables = makeVariables();
      const optimizer = OPTIMIZERS[name]!();
      optimizer.bind(variables);
      const eager = applyTo(optimizer);
      const compiled = compile((...gradients: tf.Tensor[]) => {
        eager(...gradients);
        return variables[NAMES[0]!]!.clone();
      });
      const history: Float32Array[][] = [];
      for (let step = 0; step < fixture.gradients.length; ++step) {
        run(optimizer, isCompiled ? compiled : eager, [step, step + 1]);
        history.push(NAMES.map((parameter) => variables[parameter]!.dataSync<'float32'>()));
      }
      if (isCompiled) expect(compiled.statistics).toEqual({ recordings: 2, replays: 48 });
      compiled.dispose();
      optimizer.dispose();
      tf.dispose(Object.values(variables));
      return history;
    });
    const [eager, replayed] = results as [Float32Array[][], Float32Array[][]];
    eager.forEach((step, i) =>
      step.forEach((values, p) => {
        expect(bitsOf(replayed[i]![p]!)).toEqual(bitsOf(values));
        const expected = fixture.cases[name]![i]![NAMES[p]!]!;
        // 50 float32 updates against float64 with equal hyper-parameters: 50 roundings of half an ulp, 3e-8 each.
        values.forEach((value, j) =>
          expect(Math.abs(value - expected[j]!), `step ${i} ${NAMES[p]}[${j}]`).toBeLessThan(
            1e-6 * Math.max(1, Math.abs(expected[j]!)),
          ),
        );
      }),
    );
  });

  it('continues from a saved state with the same bits', async () => {
    const [variables, copies] = [makeVariables(), makeVariables()];
    const [optimizer, copy] = [OPTIMIZERS[name]!(), OPTIMIZERS[name]!()];
    optimizer.bind(variables);
    copy.bind(copies);
    run(optimizer, applyTo(optimizer), [0, 12]);
    const state = await optimizer.getState();
    copy.setState(state);
    expect(await copy.getState()).toEqual(state);
    expect(copy.learningRate).toBe(optimizer.learningRate);
    for (const parameter of NAMES) copies[parameter]!.assign(variables[parameter]!);
    run(optimizer, applyTo(optimizer), [12, 20]);
    run(copy, applyTo(copy), [12, 20]);
    for (const parameter of NAMES) expect(copies[parameter]!.dataSync()).toEqual(variables[parameter]!.dataSync());
    expect(await copy.getState()).toEqual(await optimizer.getState());
    optimizer.dispose();
    copy.dispose();
    tf.dispose([...Object.values(variables), ...Object.values(copies)]);
  });
});

describe('value semantics', () => {
  it.each([
    ['eager', false],
    ['replayed', true],
  ])('clones, reshapes, slices and pending reads keep their values across 100 %s steps', async (_, isCompiled) => {
    const variables = makeVariables();
    const kernel = variables.kernel!;
    const optimizer = new Adam({ learningRate: 0.1 });
    optimizer.bind(variables);
    const apply = applyTo(optimizer);
    const step = compile((...gradients: tf.Tensor[]) => {
      apply(...gradients);
      return tf.sum(kernel);
    });
    const advance = (count: number): void => {
      for (let i = 0; i < count; ++i) tf.tidy(() => (isCompiled ? step : apply)(...gradientsOf(i % 7)));
    };
    advance(3);
    const before = kernel.dataSync().slice();
    const kept = [kernel.clone(), tf.reshape(kernel, [4, 3]), tf.slice(kernel, [1, 0], [2, 4])];
    const pending = kernel.data();
    const firstRow = tf.slice(kernel, [0, 0], [1, 4]);
    advance(100);
    const row = fixture.shapes.kernel![1]!;
    expect([...kept[0]!.dataSync()]).toEqual([...before]);
    expect([...kept[1]!.dataSync()]).toEqual([...before]);
    expect([...kept[2]!.dataSync()]).toEqual([...before.subarray(row, 3 * row)]);
    expect([...firstRow.dataSync()]).toEqual([...before.subarray(0, row)]);
    expect([...(await pending)]).toEqual([...before]);
    const moved = kernel.dataSync();
    moved.forEach((value, i) => expect(value).not.toBe(before[i]));
    if (isCompiled) expect(step.statistics.replays).toBe(101);
    step.dispose();
    optimizer.dispose();
    tf.dispose([...kept, firstRow, ...Object.values(variables)]);
  });

  it('outputs of 100 replays are kept and each equals eager', () => {
    const [eagerVariables, replayedVariables] = [makeVariables(), makeVariables()];
    const outputs = [eagerVariables, replayedVariables].map((variables, which) => {
      const optimizer = new SGD({ learningRate: 0.01, momentum: 0.9 });
      optimizer.bind(variables);
      const fn = (...gradients: tf.Tensor[]): tf.Tensor[] => {
        applyTo(optimizer)(...gradients);
        return [variables.kernel!.clone(), tf.square(variables.bias!), tf.sum(variables.kernel!)];
      };
      const step = which === 0 ? (...gradients: tf.Tensor[]) => tf.tidy(() => fn(...gradients)) : compile(fn);
      const kept: tf.Tensor[][] = [];
      for (let i = 0; i < 102; ++i) {
        const gradients = gradientsOf(i % 20);
        kept.push(step(...gradients));
        tf.dispose(gradients);
      }
      const values = kept.map((tensors) => tensors.map((tensor) => [...bitsOf(tensor.dataSync<'float32'>())]));
      tf.dispose(kept);
      optimizer.dispose();
      return values;
    });
    expect(outputs[1]).toEqual(outputs[0]);
    expect(new Set(outputs[0]!.map(String)).size).toBeGreaterThan(90);
    tf.dispose([...Object.values(eagerVariables), ...Object.values(replayedVariables)]);
  });
});

describe('wrong use', () => {
  it.each([
    ['negative rate', () => new Adam({ learningRate: -1e-3 }), /learningRate: expected a finite number > 0, got -0.001/],
    ['rate 0', () => new SGD({ learningRate: 0 }), /\[sgd\] wrong learningRate: expected a finite number > 0, got 0/],
    ['rate 0 of Adam', () => new Adam({ learningRate: 0 }), /\[adam\] wrong learningRate/],
    ['NaN rate', () => new SGD({ learningRate: NaN }), /got NaN/],
    ['beta of 1', () => new AdamW({ beta2: 1 }), /beta2: expected a finite number >= 0 and < 1, got 1/],
    ['epsilon of 0', () => new Adam({ epsilon: 0 }), /epsilon: expected a finite number > 0/],
    ['infinite decay', () => new AdamW({ weightDecay: Infinity }), /weightDecay/],
    ['unknown option', () => new Adam({ lr: 1 } as never), /unknown option 'lr'/],
    ['nesterov alone', () => new SGD({ nesterov: true }), /momentum > 0/],
    ['momentum above 1', () => new SGD({ momentum: 1.1 }), /momentum: expected a finite number >= 0 and <= 1/],
  ] as const)('%s', (_, make, message) => {
    expect(make).toThrow(failure('E_CONFIG', message));
  });

  it('rate 0, set later, stands still, later changes are checked', () => {
    const variables = makeVariables();
    const optimizer = new SGD();
    optimizer.learningRate = 0;
    optimizer.bind(variables);
    const before = variables.kernel!.dataSync().slice();
    run(optimizer, applyTo(optimizer), [0, 3]);
    expect([...variables.kernel!.dataSync()]).toEqual([...before]);
    expect(() => (optimizer.learningRate = NaN)).toThrow(failure('E_CONFIG', /got NaN/));
    expect(() => optimizer.setScalars({ momentum: 0.5 })).toThrow(failure('E_CONFIG', /momentum/));
    expect(() => optimizer.setScalars({ rate: 1 } as never)).toThrow(failure('E_CONFIG', /unknown hyper-parameter 'rate'/));
    expect(optimizer.learningRate).toBe(0);
    optimizer.dispose();
    tf.dispose(Object.values(variables));
  });

  it('refuses wrong gradients, bindings and states and changes nothing', async () => {
    const variables = makeVariables();
    const optimizer = new Adam();
    expect(() => applyTo(optimizer)(...gradientsOf(0))).toThrow(failure('E_USAGE', /bind\(variables\) first/));
    expect(() => optimizer.bind({})).toThrow(failure('E_USAGE', /nothing to train/));
    optimizer.bind(variables);
    optimizer.bind(variables);
    const others = makeVariables();
    expect(() => optimizer.bind(others)).toThrow(failure('E_USAGE', /other parameters/));
    expect(() => optimizer.apply({ kernel: tf.zeros([3, 4]) })).toThrow(failure('E_USAGE', /no gradient for 'bias'/));
    expect(() => optimizer.apply({ kernel: tf.zeros([4, 3]), bias: tf.zeros([5]) })).toThrow(
      failure('E_SHAPE', /expected float32 \[3, 4\], got float32 \[4, 3\]/),
    );
    const state = await optimizer.getState();
    const slots = { ...state.slots, means: { kernel: state.slots.means!.kernel! } };
    expect(() => optimizer.setState({ ...state, type: 'sgd' })).toThrow(failure('E_DATA', /expected one of adam, got 'sgd'/));
    expect(() => optimizer.setState({ ...state, slots })).toThrow(
      failure('E_DATA', /expected 2 tensors in slot 'means', got 1/),
    );
    expect(() => optimizer.setState({ ...state, step: -1 })).toThrow(failure('E_DATA', /step count/));
    expect(() => optimizer.setState({ ...state, scalars: { learningRate: 1 } })).toThrow(failure('E_CONFIG', /beta1/));
    expect(await optimizer.getState()).toEqual(state);
    optimizer.dispose();
    expect(() => applyTo(optimizer)(...gradientsOf(0))).toThrow(failure('E_DISPOSED', /disposed/));
    expect(() => optimizer.learningRate).toThrow(failure('E_DISPOSED', /disposed/));
    tf.dispose([...Object.values(variables), ...Object.values(others)]);
  });
});
