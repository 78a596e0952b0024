// The contract every layer keeps on our backend: forward, gradients, weights, replay.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { Dense, Sequential, type LayerDescription, type ModelDescription } from '../../ts/nn/index.js';
import { productOf, randomSource, randomValues } from '../support/describe-model.js';
import { LAYER_CASES, type LayerCase } from '../support/layer-cases.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';
import { numericGradient } from '../support/numeric-gradient.js';
import { runReference } from '../support/reference-layers.js';

beforeAll(() => useNativeBackend());

const ROWS = 3;

function build({ make, inputShape }: LayerCase): Sequential {
  const model = new Sequential({ layers: [make()], seed: 5 });
  model.build(inputShape);
  return model;
}

/** The description with weights as doubles, so that differences are not lost in rounding. */
function inDoublePrecision(model: ModelDescription): { description: ModelDescription; weights: Map<string, Float64Array> } {
  const weights = new Map<string, Float64Array>();
  const layers = model.layers.map((layer): LayerDescription => {
    const doubled = Object.entries(layer.weights).map(([name, { shape, data }]) => {
      const values = Float64Array.from(data);
      weights.set(`${layer.name}/${name}`, values);
      return [name, { shape, data: values as unknown as Float32Array }];
    });
    return { ...layer, weights: Object.fromEntries(doubled) as LayerDescription['weights'] };
  });
  return { description: { ...model, layers }, weights };
}

describe.each(LAYER_CASES)('$name', (layerCase) => {
  const { inputShape, outputShape } = layerCase;
  const values = randomValues(randomSource(17), ROWS * productOf(inputShape), 2);

  it('computes the reference', () => {
    const model = build(layerCase);
    const y = model.call(tf.tensor(values, [ROWS, ...inputShape])).dataSync();
    const expected = runReference(model.describe(), values, ROWS);
    expect(y.length).toBe(expected.length);
    // float32 sums of at most 75 products of size about 1.
    y.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(2e-5 * Math.max(1, Math.abs(expected[i]!))));
    model.dispose();
  });

  it('has the gradients of the reference', () => {
    const model = build(layerCase);
    const weighting = randomValues(randomSource(23), ROWS * productOf(outputShape));
    const objective = (x: tf.Tensor): tf.Scalar => tf.sum(tf.mul(model.call(x), tf.tensor(weighting, [ROWS, ...outputShape])));
    const { description, weights } = inDoublePrecision(model.describe());
    const input = Float64Array.from(values);
    const reference = (): number =>
      runReference(description, input, ROWS).reduce((sum, value, i) => sum + value * weighting[i]!, 0);
    const check = (name: string, actual: Float32Array, expected: Float64Array): void => {
      // Sums of up to a few hundred products in float32; 1e-4 of the largest gradient is ten times what is seen.
      const tolerance = 1e-4 * Math.max(1, ...expected.map(Math.abs));
      expect(actual.length).toBe(expected.length);
      actual.forEach((value, i) =>
        expect(Math.abs(value - expected[i]!), `${name}[${i}]: ${value}, ${expected[i]}`).toBeLessThan(tolerance),
      );
    };
    check(
      'input',
      tf
        .grad(objective)(tf.tensor(values, [ROWS, ...inputShape]))
        .dataSync<'float32'>(),
      numericGradient(input, reference),
    );
    const parameters = model.parameters();
    if (parameters.length > 0) {
      const { grads } = tf.variableGrads(
        () => objective(tf.tensor(values, [ROWS, ...inputShape])),
        parameters.map(({ variable }) => variable),
      );
      for (const { name, variable } of parameters) {
        check(name, grads[variable.name]!.dataSync<'float32'>(), numericGradient(weights.get(name)!, reference));
      }
    }
    model.dispose();
  });

  it('gives the same bits replayed as eager, dropout and gradients included', () => {
    const [eager, compiled] = [build(layerCase), build(layerCase)];
    const run =
      (model: Sequential) =>
      (x: tf.Tensor): tf.Tensor[] => {
        const { value, grad } = tf.valueAndGrad((input: tf.Tensor) => tf.sum(tf.square(model.call(input, { training: true }))))(
          x,
        );
        return [value, grad, model.call(x)];
      };
    const step = compile(run(compiled));
    for (let i = 0; i < 5; ++i) {
      const x = tf.tensor(randomValues(randomSource(100 + i), ROWS * productOf(inputShape), 2), [ROWS, ...inputShape]);
      const bits = (outputs: tf.Tensor[]): number[][] => outputs.map((output) => [...bitsOf(output.dataSync<'float32'>())]);
      expect(bits(step(x))).toEqual(bits(run(eager)(x)));
    }
    expect(step.statistics.replays).toBe(3);
    step.dispose();
    for (const model of [eager, compiled]) model.dispose();
  });

  it('takes its weights from another one, and recorded steps see them', async () => {
    const model = build(layerCase);
    const other = new Sequential({ layers: [layerCase.make()], seed: 6 });
    other.build(inputShape);
    const x = tf.tensor(values, [ROWS, ...inputShape]);
    const step = compile((input: tf.Tensor) => model.call(input));
    for (let i = 0; i < 3; ++i) step(x);
    model.setWeights(await other.getWeights());
    expect(await model.getWeights()).toEqual(await other.getWeights());
    expect(bitsOf(step(x).dataSync<'float32'>())).toEqual(bitsOf(other.call(x).dataSync<'float32'>()));
    expect(step.statistics.replays).toBe(2);
    step.dispose();
    model.dispose();
    other.dispose();
  });
});

describe('setWeights', () => {
  it('refuses names and shapes that do not fit and changes nothing', async () => {
    const model = new Sequential({ layers: [new Dense({ units: 2 })], seed: 1 });
    model.build([3]);
    const before = await model.getWeights();
    const changed = { shape: [2], data: Float32Array.of(5, 5) };
    const failure = (code: string, message: RegExp): Error =>
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;
    expect(() => model.setWeights({ 'dense/bias': changed, 'dense/gain': changed })).toThrow(
      failure('E_DATA', /missing \['dense\/kernel'\], unknown \['dense\/gain'\]/),
    );
    expect(() =>
      model.setWeights({ 'dense/bias': changed, 'dense/kernel': { shape: [2, 3], data: new Float32Array(6) } }),
    ).toThrow(failure('E_SHAPE', /'dense\/kernel': expected \[3, 2\]/));
    expect(await model.getWeights()).toEqual(before);
    model.dispose();
  });
});

describe('inputs', () => {
  it('must live on the current backend', async () => {
    const failure = (code: string, message: RegExp): Error =>
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;
    const model = new Sequential({ layers: [new Dense({ units: 2 })] });
    model.build([3]);
    await tf.setBackend('cpu');
    const foreign = tf.zeros([1, 3]);
    await useNativeBackend();
    expect(() => model.call(foreign)).toThrow(
      failure('E_DEVICE', /the input lives on backend 'cpu', but the current one is 'tensorkiln-cpu'/),
    );
    foreign.dispose();
    expect(() => model.call(foreign)).toThrow(failure('E_DISPOSED', /the input has been disposed/));
    model.dispose();
  });
});
