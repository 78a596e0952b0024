/** Fused ops against PyTorch's results and gradients (tests/fixtures/make_fused.py), eager and replayed. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import * as ops from '../../ts/backend/custom/index.js';
import { compile } from '../../ts/backend/plan.js';
import { textOf } from '../support/files.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

interface Packed {
  readonly shape: number[];
  readonly dtype: 'float32' | 'int32' | 'bool';
  /** null is -Infinity. */
  readonly values: (number | null)[];
}

interface Case {
  readonly op: string;
  readonly options: object;
  readonly inputs: Readonly<Record<string, Packed>>;
  readonly dys: Packed[];
  readonly outputs: Packed[];
  readonly gradients: Readonly<Record<string, Packed>>;
  readonly running?: Packed[];
}

const fixture = JSON.parse(textOf('tests/fixtures/fused.json')) as { cases: Record<string, Case> };

type Inputs = Readonly<Record<string, tf.Tensor>>;

function unpack({ shape, dtype, values }: Packed): tf.Tensor {
  return tf.tensor(
    values.map((value) => value ?? -Infinity),
    shape,
    dtype,
  );
}

function sequence(inputs: Inputs): [tf.Tensor, ops.RecurrentWeights, object] {
  const { x, kernel, recurrentKernel, bias, ...rest } = inputs as Record<string, tf.Tensor> & Record<'x', tf.Tensor>;
  return [x, { kernel: kernel!, recurrentKernel: recurrentKernel!, bias }, rest];
}

/** How a case calls its op: inputs by name that are no arguments go to the options. */
const calls: Record<string, (inputs: Inputs, options: never) => tf.Tensor[]> = {
  layerNorm: ({ x, ...rest }, options: object) => [ops.layerNorm(x!, { ...rest, ...options })],
  rmsNorm: ({ x, ...rest }, options: object) => [ops.rmsNorm(x!, { ...rest, ...options })],
  residualLayerNorm: ({ x, residual, ...rest }, options: object) => {
    const { sum, y } = ops.residualLayerNorm(x!, residual!, { ...rest, ...options });
    return [sum, y];
  },
  residualRmsNorm: ({ x, residual, ...rest }, options: object) => {
    const { sum, y } = ops.residualRmsNorm(x!, residual!, { ...rest, ...options });
    return [sum, y];
  },
  groupNorm: ({ x, ...rest }, { groups }: { groups: number }) => [ops.groupNorm(x!, groups, rest)],
  instanceNorm: ({ x, ...rest }) => [ops.instanceNorm(x!, rest)],
  batchNormFixed: ({ x, mean, variance, ...rest }) => [ops.batchNormFixed(x!, { mean: mean!, variance: variance!, ...rest })],
  gelu: ({ x }) => [ops.gelu(x!)],
  geluTanh: ({ x }) => [ops.gelu(x!, true)],
  silu: ({ x }) => [ops.silu(x!)],
  mish: ({ x }) => [ops.mish(x!)],
  channelPrelu: ({ x, alpha }) => [ops.channelPrelu(x!, alpha!)],
  linear: ({ x, w, ...rest }, options: object) => [ops.linear(x!, w!, { ...rest, ...options })],
  softmaxCrossEntropy: ({ logits, labels, ...rest }, options: object) => [
    ops.softmaxCrossEntropy(logits!, labels!, { ...rest, ...options }),
  ],
  binaryCrossEntropy: ({ logits, labels, ...rest }, options: object) => [
    ops.binaryCrossEntropy(logits!, labels!, { ...rest, ...options }),
  ],
  embedding: ({ table, ids }, options: object) => [ops.embedding(table!, ids!, options)],
  attention: ({ q, k, v, ...rest }, options: object) => [ops.attention(q!, k!, v!, { ...rest, ...options })],
  lstm: (inputs, options: object) => {
    const [x, weights, rest] = sequence(inputs);
    const { y, state, cell } = ops.lstm(x, weights, { ...rest, ...options });
    return [y!, state, cell];
  },
  gru: (inputs, options: object) => {
    const [x, weights, rest] = sequence(inputs);
    const { y, state } = ops.gru(x, weights, { ...rest, ...options });
    return [y!, state];
  },
  rnn: (inputs, options: object) => {
    const [x, weights, rest] = sequence(inputs);
    const { y, state } = ops.rnn(x, weights, { ...rest, ...options });
    return [y!, state];
  },
};

/**
 * Results are of size 1 to 10 and come from sums of at most some fifty products: a few roundings of 6e-8 each. Fixtures are
 * written with nine digits.
 */
const TOLERANCE = 5e-6;

function expectClose(what: string, actual: ArrayLike<number>, { values }: Packed): void {
  expect(actual.length, what).toBe(values.length);
  values.forEach((value, i) => {
    const wanted = value ?? -Infinity;
    const error = Math.abs(actual[i]! - wanted) / (1 + Math.abs(wanted));
    expect(error, `${what}, element ${i}: ${actual[i]} for ${wanted}`).toBeLessThanOrEqual(TOLERANCE);
  });
}

/** A step that gives the results of an op and the gradients of the named inputs of the sum of results times dys. */
function stepOf(
  run: (inputs: Inputs) => tf.Tensor[],
  names: readonly string[],
  wanted: readonly string[],
  dys: readonly tf.Tensor[],
): (...tensors: tf.Tensor[]) => tf.Tensor[] {
  return (...tensors) => {
    const inputs = Object.fromEntries(names.map((name, i) => [name, tensors[i]!]));
    const loss = (...chosen: tf.Tensor[]): tf.Scalar => {
      const results = run({ ...inputs, ...Object.fromEntries(wanted.map((name, i) => [name, chosen[i]!])) });
      return tf.addN<tf.Scalar>(results.map((result, i) => tf.sum(tf.mul(result, dys[i]!))));
    };
    const gradients = tf.grads(loss)(wanted.map((name) => inputs[name]!));
    return [...run(inputs), ...gradients];
  };
}

describe('fused ops equal PyTorch, eager and replayed', () => {
  const cases = Object.entries(fixture.cases).filter(([, { running }]) => running === undefined);

  it('has a case for every call', () => {
    expect(new Set(cases.map(([, { op }]) => op))).toEqual(new Set(Object.keys(calls)));
  });

  it.each(cases)('%s', (_, { op, options, inputs, dys, outputs, gradients }) => {
    const wanted = Object.keys(gradients);
    const call = calls[op]!;
    const upstream = dys.map(unpack);
    const run = stepOf((tensors) => call(tensors, options as never), Object.keys(inputs), wanted, upstream);
    const tensors = Object.values(inputs).map(unpack);
    const before = tf.memory().numTensors;
    const eager = tf.tidy(() => run(...tensors));
    expect(tf.memory().numTensors).toBe(before + outputs.length + wanted.length);
    const values = eager.map((tensor) => tensor.dataSync<'float32'>());
    outputs.forEach((output, i) => expectClose(`result ${i}`, values[i]!, output));
    outputs.forEach((output, i) => expect(eager[i]!.shape).toEqual(output.shape));
    wanted.forEach((name, i) => expectClose(`gradient of ${name}`, values[outputs.length + i]!, gradients[name]!));
    const step = compile(run);
    for (let i = 0; i < 3; ++i) {
      const replayed = step(...tensors).map((tensor) => bitsOf(tensor.dataSync<'float32'>()));
      expect(replayed).toEqual(values.map(bitsOf));
    }
    expect(step.statistics.replays).toBe(1);
    step.dispose();
    tf.dispose([eager, tensors, upstream]);
  });
});

describe('batchNormTrain', () => {
  const { inputs, dys, outputs, gradients, running } = fixture.cases['batch norm in training']!;
  const names = ['x', 'scale', 'offset'];

  it('equals PyTorch and moves the running statistics at every replay', () => {
    const [mean, variance] = [tf.variable(tf.zeros([4])), tf.variable(tf.ones([4]))];
    const options = { runningMean: mean, runningVariance: variance, updateRate: 0.3 };
    const run = stepOf(({ x, ...rest }) => [ops.batchNormTrain(x!, { ...rest, ...options })], names, names, dys.map(unpack));
    const tensors = names.map((name) => unpack(inputs[name]!));
    ops.batchNormTrain(tensors[0]!, options);
    expectClose('running mean', mean.dataSync(), running![0]!);
    expectClose('running variance', variance.dataSync(), running![1]!);
    const clone = mean.clone();
    const kept = [...clone.dataSync()];
    const step = compile(run);
    const first = step(...tensors).map((tensor) => tensor.dataSync<'float32'>());
    expectClose('y', first[0]!, outputs[0]!);
    names.forEach((name, i) => expectClose(`gradient of ${name}`, first[1 + i]!, gradients[name]!));
    for (let i = 0; i < 19; ++i) step(...tensors);
    expect(step.statistics.replays).toBe(18);
    // Each step calls the op twice. 0.7^41 is left of the first values: 4e-7.
    const batchMean = running![0]!.values.map((value) => value! / 0.3);
    mean.dataSync().forEach((value, i) => expect(Math.abs(value - batchMean[i]!)).toBeLessThan(3e-6));
    expect([...clone.dataSync()]).toEqual(kept);
    step.dispose();
  });
});

describe('recurrent layers', () => {
  const weights = (inputs: number, hidden: number, gates: number): ops.RecurrentWeights => ({
    kernel: tf.randomUniform([inputs, gates * hidden], -1, 1, 'float32', 1),
    recurrentKernel: tf.randomUniform([hidden, gates * hidden], -1, 1, 'float32', 2),
    bias: tf.randomUniform([gates * hidden], -1, 1, 'float32', 3),
  });

  it('give the last state alone with the gradients that the last output has', () => {
    const x = tf.randomUniform([2, 5, 3], -1, 1, 'float32', 4);
    const w = weights(3, 4, 4);
    const dy = tf.randomUniform([2, 4], -1, 1, 'float32', 5);
    const all = tf.valueAndGrad((input: tf.Tensor) => {
      const { y } = ops.lstm(input, w);
      return tf.reshape(tf.slice(y!, [0, 4, 0], [2, 1, 4]), [2, 4]);
    })(x, dy);
    const last = tf.valueAndGrad((input: tf.Tensor): tf.Tensor => {
      const { y, state } = ops.lstm(input, w, { returnSequences: false });
      expect(y).toBeUndefined();
      return state;
    })(x, dy);
    expect(last.value.dataSync()).toEqual(all.value.dataSync());
    expect(last.grad.dataSync()).toEqual(all.grad.dataSync());
  });

  it('stack and run in both directions by composition, with masks', () => {
    const x = tf.randomUniform([3, 6, 2], -1, 1, 'float32', 6);
    const lengths = tf.tensor1d([6, 0, 3], 'int32');
    const [forward, backward, upper] = [weights(2, 3, 4), weights(2, 3, 4), weights(6, 5, 4)];
    const run = (input: tf.Tensor): tf.Tensor => {
      const both = tf.concat(
        [ops.lstm(input, forward, { lengths }).y!, ops.lstm(input, backward, { lengths, isReverse: true }).y!],
        2,
      );
      return ops.lstm(both, upper, { lengths, returnSequences: false }).state;
    };
    const { value, grad } = tf.valueAndGrad(run)(x);
    const states = value.arraySync() as number[][];
    const steps = grad.arraySync() as number[][][];
    // A row without a step keeps its state of zeros, and padding gets no gradient.
    expect(states[1]).toEqual([0, 0, 0, 0, 0]);
    steps[1]!.forEach((step) => expect(step.map(Math.abs)).toEqual([0, 0]));
    steps[2]!.slice(3).forEach((step) => expect(step.map(Math.abs)).toEqual([0, 0]));
    expect(
      steps[2]!
        .slice(0, 3)
        .flat()
        .every((entry) => entry !== 0),
    ).toBe(true);
    // What stands in the padding changes nothing.
    const row: tf.Tensor = tf.slice(x, [2, 0, 0], [1, 3, 2]);
    const alone = run(tf.tile(tf.concat([row, tf.zeros([1, 3, 2])], 1), [3, 1, 1]));
    expect((alone.arraySync() as number[][])[2]).toEqual(states[2]);
  });

  it('hold the state at masked steps where asked', () => {
    const x = tf.ones([1, 3, 2]);
    const mask = tf.tensor2d([[1, 0, 1]], [1, 3], 'bool');
    const w = weights(2, 3, 1);
    const zero = ops.rnn(x, w, { mask }).y!.arraySync();
    const held = ops.rnn(x, w, { mask, maskedOutput: 'hold' }).y!.arraySync();
    expect(zero[0]![1]).toEqual([0, 0, 0]);
    expect(held[0]![1]).toEqual(held[0]![0]);
    expect(held[0]![2]).toEqual(zero[0]![2]);
  });

  it('give one alpha for all the gradient 0 where there are no values', () => {
    const gradient = tf.grad((alpha) => ops.channelPrelu(tf.zeros([3, 0]), alpha));
    // Memory that holds something else already: a result that is not written would show.
    tf.tidy(() => tf.fill([1], 7).add(1).dataSync());
    expect([...gradient(tf.ones([1])).dataSync()]).toEqual([0]);
  });

  it('refuse what does not fit', () => {
    const x = tf.zeros([2, 3, 4]);
    const w = weights(4, 5, 4);
    expect(() => ops.lstm(tf.zeros([2, 4]), w)).toThrow(/\[lstm\] wrong shape of x: expected \[B, T, I\], got \[2, 4\]/);
    expect(() => ops.lstm(tf.zeros([2, 3, 3]), w)).toThrow(/wrong shape of kernel: expected \[3, 20\], got \[4, 20\]/);
    expect(() => ops.lstm(x, { ...w, bias: tf.zeros([5]) })).toThrow(/wrong shape of bias: expected \[20\], got \[5\]/);
    expect(() => ops.lstm(x, w, { initialState: tf.zeros([2, 4]) })).toThrow(/initialState: expected \[2, 5\], got \[2, 4\]/);
    expect(() => ops.lstm(x, w, { mask: tf.zeros([2, 3]) })).toThrow(/wrong dtype of mask: expected bool, got float32/);
    expect(() => ops.lstm(x, w, { mask: tf.zeros([2, 3], 'bool'), lengths: tf.zeros([2], 'int32') })).toThrow(/got both/);
    expect(() => ops.gru(x, weights(4, 5, 3))).toThrow(/wrong shape of bias: expected \[2, 15\], got \[15\]/);
  });
});

describe('attention', () => {
  it('gives 0 and no gradient where every key is masked', () => {
    const [q, k, v] = [1, 2, 3].map((seed) => tf.randomUniform([2, 3, 2, 8], -1, 1, 'float32', seed)) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    const keyMask = tf.tensor2d(
      [
        [0, 0, 0],
        [1, 1, 0],
      ],
      [2, 3],
      'bool',
    );
    const { value, grads } = tf.valueAndGrads((...heads: tf.Tensor[]) =>
      ops.attention(heads[0]!, heads[1]!, heads[2]!, { keyMask }),
    )([q, k, v]);
    for (const tensor of [value, ...grads]) {
      const values = tensor.dataSync();
      expect(values.slice(0, 48).every((entry) => Math.abs(entry) === 0)).toBe(true);
      expect(values.slice(48).some((entry) => entry !== 0)).toBe(true);
      expect(values.every(Number.isFinite)).toBe(true);
    }
  });

  it('gives zeros when there is no key, with both masks', () => {
    const [q, k] = [tf.ones([1, 2, 1, 3]), tf.ones([1, 0, 1, 3])];
    const masks = { mask: tf.zeros([1, 1, 1, 1]), keyMask: tf.ones([1, 0], 'bool') };
    expect([...ops.attention(q, k, k, masks).dataSync()]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('joins masks of both kinds with that of the keys', () => {
    const x = tf.randomUniform([2, 4, 2, 8], -1, 1, 'float32', 1);
    const keyMask = tf.tensor2d([1, 0, 1, 1, 1, 1, 0, 1], [2, 4], 'bool');
    const lower = tf.tensor([1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1], [1, 1, 4, 4], 'bool');
    const wanted = ops.attention(x, x, x, { keyMask, isCausal: true }).dataSync();
    expect(ops.attention(x, x, x, { keyMask, mask: lower }).dataSync()).toEqual(wanted);
    const added = tf.where(lower, tf.zeros([1, 1, 4, 4]), tf.fill([1, 1, 4, 4], -Infinity));
    expect(ops.attention(x, x, x, { keyMask, mask: added }).dataSync()).toEqual(wanted);
  });

  it('lines up the last query with the last key when causal', () => {
    const x = tf.randomUniform([1, 5, 1, 4], -1, 1, 'float32', 1);
    const all = ops.attention(x, x, x, { isCausal: true }).dataSync();
    const last = ops.attention(tf.slice(x, [0, 3, 0, 0], [1, 2, 1, 4]), x, x, { isCausal: true }).dataSync();
    expect([...last]).toEqual([...all.slice(12)]);
  });

  it('refuses what does not fit', () => {
    const x = tf.zeros([2, 3, 4, 8]);
    expect(() => ops.attention(x, tf.zeros([2, 3, 3, 8]), tf.zeros([2, 3, 3, 8]))).toThrow(/must be a multiple/);
    expect(() => ops.attention(x, tf.zeros([2, 3, 4, 7]), x)).toThrow(
      /wrong shape of k: expected \[2, 3, 4, 8\], got \[2, 3, 4, 7\]/,
    );
    expect(() => ops.attention(x, x, x, { mask: tf.zeros([2, 4, 3, 2]) })).toThrow(/wrong shape of mask/);
    expect(() => ops.attention(x, x, x, { keyMask: tf.zeros([2, 4], 'bool') })).toThrow(
      /wrong shape of keyMask: expected \[2, 3\]/,
    );
    expect(() => ops.attention(tf.zeros([2, 3, 8]), x, x)).toThrow(/wrong shape of q/);
    expect(() => ops.attention(x, x, x, { causal: true } as object)).toThrow(/unknown option 'causal': .* isCausal/);
  });
});

describe('options', () => {
  const x = (): tf.Tensor => tf.zeros([2, 3, 4]);
  const weights = (gates: number): ops.RecurrentWeights => ({
    kernel: tf.zeros([4, 2 * gates]),
    recurrentKernel: tf.zeros([2, 2 * gates]),
  });
  const statistics = (): { runningMean: tf.Variable; runningVariance: tf.Variable } => ({
    runningMean: tf.variable(tf.zeros([4])),
    runningVariance: tf.variable(tf.ones([4])),
  });

  it.each<[name: string, run: (wrong: object) => unknown]>([
    ['groupNorm', (wrong) => ops.groupNorm(x(), 2, wrong)],
    ['instanceNorm', (wrong) => ops.instanceNorm(x(), wrong)],
    ['batchNormTrain', (wrong) => ops.batchNormTrain(x(), { ...statistics(), ...wrong })],
    ['batchNormFixed', (wrong) => ops.batchNormFixed(x(), { mean: tf.zeros([4]), variance: tf.ones([4]), ...wrong })],
    ['lstm', (wrong) => ops.lstm(x(), weights(4), wrong)],
    ['gru', (wrong) => ops.gru(x(), weights(3), wrong)],
    ['rnn', (wrong) => ops.rnn(x(), weights(1), wrong)],
    ['linear', (wrong) => ops.linear(x(), tf.zeros([4, 2]), wrong)],
    ['binaryCrossEntropy', (wrong) => ops.binaryCrossEntropy(x(), x(), wrong)],
    ['embedding', (wrong) => ops.embedding(tf.zeros([3, 2]), tf.zeros([2], 'int32'), wrong)],
    ['randomUniform', (wrong) => ops.randomUniform([2], new ops.RandomState(1), wrong)],
    ['randomNormal', (wrong) => ops.randomNormal([2], new ops.RandomState(1), wrong)],
  ])('that %s does not know are named', (name, run) => {
    tf.tidy(() => {
      expect(() => run({ epsilonn: 1 })).toThrow(
        failure('E_CONFIG', new RegExp(`\\[${name}\\] unknown option 'epsilonn': expected`)),
      );
      expect(() => run({})).not.toThrow();
    });
  });

  it('that are weights of recurrent layers are objects of tensors', () => {
    const [kernel, recurrentKernel] = [tf.zeros([4, 8]), tf.zeros([2, 8])];
    const run = (wrong: unknown) => () => ops.lstm(x(), wrong as ops.RecurrentWeights);
    const wanted = 'expected an object with the tensors kernel, recurrentKernel and, if wanted, bias, got';
    expect(run(undefined)).toThrow(failure('E_CONFIG', new RegExp(`\\[lstm\\] wrong weights: ${wanted} undefined`)));
    expect(run([kernel, recurrentKernel])).toThrow(failure('E_CONFIG', new RegExp(`${wanted} \\[an object, an object\\]`)));
    expect(run(kernel)).toThrow(failure('E_CONFIG', /wrong weights: .* got a tensor \[4,8\]/));
    expect(run({ kernel })).toThrow(failure('E_CONFIG', /\[lstm\] wrong recurrentKernel: expected a tensor, got undefined/));
    expect(run({ kernel, recurrentKernel, recurrent: kernel })).toThrow(failure('E_CONFIG', /unknown weight 'recurrent'/));
    expect(run({ kernel, recurrentKernel, bias: 0 })).toThrow(failure('E_CONFIG', /wrong bias: expected a tensor, got 0/));
  });
});

describe('losses', () => {
  it('are 0 where every label is ignored', () => {
    const logits = tf.randomUniform([3, 4], -1, 1, 'float32', 1);
    const labels = tf.tensor1d([-100, -100, -100], 'int32');
    const mean = (z: tf.Tensor): tf.Scalar => ops.softmaxCrossEntropy(z, labels, { ignoreLabel: -100, reduction: 'mean' });
    const { value, grad } = tf.valueAndGrad(mean)(logits);
    expect(value.dataSync()[0]).toBe(0);
    expect([...grad.dataSync()].every((entry) => entry === 0)).toBe(true);
  });

  it('refuse what does not fit', () => {
    const logits = tf.zeros([2, 3]);
    expect(() => ops.softmaxCrossEntropy(logits, tf.zeros([2], 'int32'), { ignoreIndex: 0 } as object)).toThrow(
      /unknown option 'ignoreIndex'/,
    );
    const labels = tf.tensor1d([0, 7], 'int32');
    expect(() => ops.softmaxCrossEntropy(logits, labels, { ignoreLabel: 6 })).toThrow(/label 7 at position 1 is out of range/);
    expect(() => ops.softmaxCrossEntropy(logits, tf.zeros([2, 3]), { ignoreLabel: 6 })).toThrow(/ignoreLabel/);
    expect(() => ops.softmaxCrossEntropy(logits, labels, { classWeights: tf.ones([2]) })).toThrow(
      /classWeights: expected \[3\]/,
    );
    expect(() => ops.binaryCrossEntropy(logits, tf.zeros([3, 2]))).toThrow(
      /wrong shape of labels: expected \[2, 3\], got \[3, 2\]/,
    );
    expect(() => ops.binaryCrossEntropy(logits, logits, { positiveWeight: tf.ones([2]) })).toThrow(/positiveWeight/);
    expect(() => ops.binaryCrossEntropy(logits, logits, { labelSmoothing: 2 })).toThrow(/labelSmoothing/);
  });
});

describe('layers of weights', () => {
  it('refuse what does not fit', () => {
    const x = tf.zeros([2, 6]);
    expect(() => ops.layerNorm(x, { scale: tf.zeros([5]) })).toThrow(
      /\[layerNorm\] wrong shape of scale: expected \[6\], got \[5\]/,
    );
    expect(() => ops.layerNorm(tf.scalar(1))).toThrow(/expected \[\.\.\., C\]/);
    expect(() => ops.layerNorm(x, { epsilon: 0 })).toThrow(/epsilon/);
    // A tensor in place of the options would leave rows unscaled.
    expect(() => ops.layerNorm(x, tf.ones([6]) as object)).toThrow(/\[layerNorm\] unknown option/);
    expect(() => ops.residualLayerNorm(x, tf.zeros([6]))).toThrow(/wrong shape of residual: expected \[2, 6\], got \[6\]/);
    expect(() => ops.groupNorm(x, 4)).toThrow(/expected a divisor of 6 channels, got 4/);
    expect(() => ops.linear(x, tf.zeros([5, 2]))).toThrow(/inner sizes differ/);
    expect(() => ops.linear(x, tf.zeros([6, 2]), { bias: tf.zeros([3]) })).toThrow(
      /wrong shape of bias: expected \[2\], got \[3\]/,
    );
    expect(() => ops.linear(x, tf.zeros([6, 2], 'int32'))).toThrow(/wrong dtype of w/);
    expect(() => ops.channelPrelu(x, tf.zeros([5]))).toThrow(/alpha \[5\]/);
    expect(() => ops.embedding(x, tf.tensor1d([0, 2], 'int32'))).toThrow(
      /\[embedding\] id 2 at position 1 is out of range: expected 0 to 1/,
    );
    expect(() => ops.embedding(x, tf.tensor1d([0]))).toThrow(/wrong dtype of ids/);
  });
});

describe('many tensors at once', () => {
  const tensors = (): tf.Tensor[] => [tf.tensor1d([3, 0]), tf.tensor2d([[4], [0]]), tf.zeros([0])];

  it('have a norm, are scaled and clipped, eager and replayed', () => {
    const run = (...list: tf.Tensor[]): tf.Tensor[] => {
      const { norm, isFinite } = ops.globalNorm(list);
      return [
        norm,
        tf.cast(isFinite, 'float32'),
        ...ops.scaleTensors(list, 0.5),
        ...ops.clipByGlobalNorm(list, 1, norm),
        ...ops.clipByValue(list, tf.scalar(2)),
      ];
    };
    const step = compile(run);
    const list = tensors();
    for (let i = 0; i < 4; ++i) {
      const results = (i === 0 ? run : step)(...list).map((tensor) => [...tensor.dataSync()]);
      const factor = Math.fround(1 / (5 + 1e-6));
      expect(results.slice(0, 5)).toEqual([[5], [1], [1.5, 0], [2, 0], []]);
      expect(results.slice(5)).toEqual([[Math.fround(3 * factor), 0], [Math.fround(4 * factor), 0], [], [2, 0], [2, 0], []]);
    }
    expect(step.statistics.replays).toBe(1);
    step.dispose();
  });

  it('tell when an element is not finite, and refuse what does not fit', () => {
    expect(ops.globalNorm([tf.ones([3]), tf.tensor1d([1, NaN])]).isFinite.dataSync()[0]).toBe(0);
    expect(() => ops.globalNorm([])).toThrow(/expected at least one/);
    expect(() => ops.scaleTensors([tf.ones([1], 'int32')], 1)).toThrow(/wrong dtype of tensors\[0\]/);
    expect(() => ops.scaleTensors(tensors(), tf.ones([2]))).toThrow(/factor: expected one element, got \[2\]/);
  });
});
