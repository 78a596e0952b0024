/** What every loss promises: PyTorch's values and gradients per row, replays, sample weights, refused targets. */
import * as tf from '@tensorflow/tfjs-core';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import {
  binaryCrossEntropyWithLogits,
  binaryFocalLoss,
  categoricalCrossEntropy,
  contrastiveLoss,
  cosineLoss,
  crossEntropy,
  crossEntropyLoss,
  ctcLoss,
  Dense,
  focalLoss,
  hingeLoss,
  huberLoss,
  klDivergence,
  logCoshLoss,
  meanAbsoluteError,
  meanSquaredError,
  poissonLoss,
  Reshape,
  Sequential,
  squaredHingeLoss,
  tripletLoss,
  type Loss,
} from '../../ts/nn/index.js';
import { SGD } from '../../ts/optim/index.js';
import { Trainer } from '../../ts/train/index.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

interface Numbers {
  readonly shapes: readonly number[][];
  readonly inputs: readonly number[][];
  readonly rows: readonly number[];
  readonly gradients: readonly number[][];
}
interface Fixture {
  readonly cases: Readonly<Record<string, Numbers & { targets: number[]; targetShape: number[]; dtype: 'int32' | 'float32' }>>;
  readonly lists: Readonly<Record<string, Numbers>>;
}
const fixture = JSON.parse(readFileSync(new URL('../fixtures/losses.json', import.meta.url), 'utf8')) as Fixture;

const LOSSES: Readonly<Record<string, Loss>> = {
  cross_entropy: crossEntropy,
  'cross_entropy smoothed': crossEntropyLoss({ smoothing: 0.1 }),
  'cross_entropy of places': crossEntropyLoss({ ignore: -1 }),
  'cross_entropy of places, weighted': crossEntropyLoss({ ignore: -1, classWeights: [0.5, 1, 2, 1.5] }),
  categorical_cross_entropy: categoricalCrossEntropy,
  focal: focalLoss(),
  binary_focal: binaryFocalLoss({ gamma: 1.5, alpha: 0.3 }),
  binary_cross_entropy: binaryCrossEntropyWithLogits,
  mean_squared_error: meanSquaredError,
  mean_absolute_error: meanAbsoluteError,
  huber: huberLoss({ delta: 0.7 }),
  hinge: hingeLoss,
  squared_hinge: squaredHingeLoss,
  poisson: poissonLoss,
  log_cosh: logCoshLoss,
  kl_divergence: klDivergence,
  cosine: cosineLoss,
  ctc: ctcLoss(),
  'ctc with another blank': ctcLoss({ blank: 4 }),
};
const LISTS: Readonly<Record<string, (list: tf.Tensor[]) => tf.Tensor>> = {
  triplet: (list) => tripletLoss(list as [tf.Tensor, tf.Tensor, tf.Tensor], { margin: 0.5 }),
  contrastive: (list) => contrastiveLoss(list as [tf.Tensor, tf.Tensor], tf.tensor1d([1, 0, 0, 1]), { margin: 4 }),
};

/** Some ten float32 roundings of numbers below 10. */
const close = (found: tf.Tensor, expected: readonly number[], what: string): void => {
  expect(found.size).toBe(expected.length);
  found
    .dataSync()
    .forEach((value, i) =>
      expect(Math.abs(value - expected[i]!), `${what} ${i}`).toBeLessThan(1e-5 * Math.max(1, Math.abs(expected[i]!))),
    );
};

it('every loss of the fixture is there', () => {
  expect(Object.keys(LOSSES)).toEqual(Object.keys(fixture.cases));
  expect(Object.keys(LISTS)).toEqual(Object.keys(fixture.lists));
});

describe.each(Object.keys(fixture.cases))('%s', (name) => {
  const loss = LOSSES[name]!;
  const { shapes, inputs, rows, gradients, targets, targetShape, dtype } = fixture.cases[name]!;
  const make = (): [tf.Tensor, tf.Tensor] => [tf.tensor(inputs[0]!, shapes[0]), tf.tensor(targets, targetShape, dtype)];

  it('gives PyTorch’s losses and gradients, row by row', () => {
    expect(loss.targetDType).toBe(dtype);
    tf.tidy(() => {
      const [x, t] = make();
      close(loss.rows(x, t), rows, 'row');
      // A weight per row, as sample weights come in.
      const gradient = tf.grad((p: tf.Tensor) => tf.sum(tf.mul(loss.rows(p, t), tf.range(1, rows.length + 1))))(x);
      close(gradient, gradients[0]!, 'gradient');
    });
  });

  it('replays with the same bits', () => {
    const [x, t] = make();
    const step = (p: tf.Tensor, target: tf.Tensor): tf.Tensor[] => {
      const { value, grad } = tf.valueAndGrad((input: tf.Tensor) => tf.sum(loss.rows(input, target)))(p);
      return [value, grad];
    };
    const compiled = compile(step);
    const eager = tf.tidy(() => step(x, t).map((tensor) => [...bitsOf(tensor.dataSync<'float32'>())]));
    for (let i = 0; i < 3; ++i) {
      const outputs = compiled(x, t);
      expect(outputs.map((tensor) => [...bitsOf(tensor.dataSync<'float32'>())])).toEqual(eager);
      tf.dispose(outputs);
    }
    expect(compiled.statistics.replays).toBe(1);
    compiled.dispose();
    tf.dispose([x, t]);
  });

  it('takes sample weights and its own targets in training, and refuses others', async () => {
    const size = rows.length;
    const outputShape = shapes[0]!.slice(1);
    const values = outputShape.reduce((a, b) => a * b, 1);
    // One row of features per row of predictions: the identity as model, so the loss is known.
    const model = new Sequential({
      layers: [new Dense({ units: values, useBias: false }), new Reshape({ shape: outputShape })],
    });
    model.build([size]);
    model.setWeights({ 'dense/kernel': { shape: [size, values], data: Float32Array.from(inputs[0]!) } });
    const features = Float32Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0));
    const typed = dtype === 'int32' ? Int32Array.from(targets) : Float32Array.from(targets);
    const sampleWeights = Float32Array.from({ length: size }, (_, row) => row + 1);
    const data = { size, features, featureShape: [size], targets: typed, targetShape: targetShape.slice(1), sampleWeights };
    const optimizer = new SGD({ learningRate: 0.5 });
    const trainer = new Trainer({ model, loss, optimizer });
    const history = await trainer.fit(data, { epochs: 1, batchSize: size, shuffle: false });
    const mean = rows.reduce((sum, row, i) => sum + row * (i + 1), 0) / size;
    expect(history.epochs[0]!.trainLoss).toBeCloseTo(mean, 4);
    // The first step moves the identity's weights by the rate times the fixture's gradient over the number of rows.
    const moved = model.parameters()[0]!.variable;
    close(
      moved,
      inputs[0]!.map((value, i) => value - (0.5 * gradients[0]![i]!) / size),
      'weight',
    );
    const other = dtype === 'int32' ? Float32Array.from(targets) : Int32Array.from(targets);
    await expect(trainer.fit({ ...data, targets: other }, { epochs: 1, batchSize: size })).rejects.toMatchObject({
      code: 'E_DTYPE',
    });
    const long = {
      ...data,
      targetShape: [...data.targetShape, 2],
      targets: dtype === 'int32' ? new Int32Array(2 * typed.length) : new Float32Array(2 * typed.length),
    };
    await expect(trainer.fit(long, { epochs: 1, batchSize: size })).rejects.toMatchObject({ code: 'E_SHAPE' });
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });
});

describe.each(Object.keys(fixture.lists))('%s', (name) => {
  it('gives PyTorch’s losses and gradients, row by row', () => {
    const { shapes, inputs, rows, gradients } = fixture.lists[name]!;
    tf.tidy(() => {
      const tensors = inputs.map((values, i) => tf.tensor(values, shapes[i]));
      close(LISTS[name]!(tensors), rows, 'row');
      const grads = tf.grads((...list: tf.Tensor[]) => tf.sum(tf.mul(LISTS[name]!(list), tf.range(1, rows.length + 1))))(
        tensors,
      );
      grads.forEach((gradient, i) => close(gradient, gradients[i]!, `gradient ${i}`));
    });
  });
});

describe('wrong targets', () => {
  const check = (loss: Loss, outputShape: number[], targets: Int32Array, targetShape: number[]): void =>
    loss.check('fit', outputShape, { size: 1, features: new Float32Array(0), featureShape: [], targets, targetShape });
  it.each([
    [
      'a label list that does not fit',
      () => check(ctcLoss(), [3, 4], Int32Array.of(1, 2, 2), [3]),
      /labels of row 0 do not fit: they need 4 steps, the output has 3/,
    ],
    [
      'the blank among labels',
      () => check(ctcLoss({ blank: 2 }), [9, 4], Int32Array.of(1, 2, -1), [3]),
      /labels of row 0 are wrong: .* without the blank 2.*got 2/,
    ],
    ['a label after the end', () => check(ctcLoss(), [9, 4], Int32Array.of(1, -1, 2), [3]), /then -1/],
    [
      'a blank beyond the classes',
      () => check(ctcLoss({ blank: 4 }), [9, 4], Int32Array.of(1), [1]),
      /wrong blank of ctc: expected 0 to 3, got 4/,
    ],
    ['logits that are no sequence', () => check(ctcLoss(), [4], Int32Array.of(1), [1]), /expected logits \[N, T, C\]/],
    [
      'a class out of range',
      () => check(crossEntropyLoss({ ignore: -1 }), [2, 3], Int32Array.of(-1, 3), [2]),
      /target of row 0 .*expected 0 to 2 or -1, got 3/,
    ],
    [
      'nothing but ignored labels',
      () => check(crossEntropyLoss({ ignore: -1 }), [2, 3], Int32Array.of(-1, -1), [2]),
      /every target is -1, which is ignored/,
    ],
    [
      'too few class weights',
      () => check(crossEntropyLoss({ classWeights: [1] }), [3], Int32Array.of(1), []),
      /one for each of the 3 classes, got 1/,
    ],
    ['a smoothing above 1', () => crossEntropyLoss({ smoothing: 2 }), /smoothing/],
    ['an alpha above 1', () => binaryFocalLoss({ alpha: 2 }), /alpha/],
  ] as const)('%s', (_, run, message) => {
    expect(run).toThrow(message);
  });

  it('labels that no path spells have an infinite loss on the device', () => {
    const loss = ctcLoss().rows(tf.zeros([1, 2, 3]), tf.tensor2d([[1, 1]], [1, 2], 'int32'));
    expect(loss.dataSync()[0]).toBe(Infinity);
  });
});
