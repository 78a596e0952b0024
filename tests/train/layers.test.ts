// The contract of every layer: shapes, JSON, weights, outputs and gradients against central differences in double, replay.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import * as nn from '../../ts/nn/index.js';
import { productOf, randomSource, randomValues } from '../support/describe-model.js';
import { loadDoubleWorld, type DoubleWorld } from '../support/double-world.js';
import { LAYER_CASES, type LayerCase } from '../support/layer-cases.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';
import { numericGradient } from '../support/numeric-gradient.js';

let double: DoubleWorld;
beforeAll(async () => {
  await useNativeBackend();
  double = await loadDoubleWorld();
});

const ROWS = 2;

function build({ make, inputs }: LayerCase, world: typeof nn = nn, seed = 5): nn.Layer {
  const layer = make(world);
  layer.buildAll(inputs, { seed, path: 'layer' });
  return layer;
}

/** Values of every input; masks hold a row that hides everything. */
function valuesFor({ inputs, dtypes }: LayerCase, seed: number): Float32Array[] {
  return inputs.map((shape, i) => {
    const random = randomSource(seed + i);
    const values = randomValues(random, ROWS * productOf(shape), 2);
    const size = productOf(shape);
    if (dtypes?.[i] === 'int32') return values.map(() => Math.floor(random() * 5));
    if (dtypes?.[i] === 'bool') return values.map((_, at) => (at < size && random() < 0.7 ? 1 : 0));
    return values;
  });
}

function tensorsOf(t: typeof tf, { inputs, dtypes }: LayerCase, values: readonly ArrayLike<number>[]): tf.Tensor[] {
  return inputs.map((shape, i) => t.tensor(Array.from(values[i]!), [ROWS, ...shape], dtypes?.[i] ?? 'float32'));
}

const hasGradient = ({ dtypes, constants }: LayerCase, i: number): boolean =>
  (dtypes?.[i] ?? 'float32') === 'float32' && constants?.includes(i) !== true;

it('has a case of every registered layer', () => {
  const seen = new Set<string>();
  const visit = (layer: nn.Layer): void => {
    seen.add(layer.type);
    layer.sublayers.forEach(visit);
  };
  for (const layerCase of LAYER_CASES) visit(layerCase.make(nn));
  expect(nn.layerTypes().filter((type) => !seen.has(type))).toEqual([]);
});

describe.each(LAYER_CASES)('$name', (layerCase) => {
  const { inputs, outputs } = layerCase;
  // What draws random numbers is compared with double precision where it draws none.
  const mode = { training: layerCase.isRandom !== true };
  const values = valuesFor(layerCase, 17);
  const weights = outputs.map((shape, i) => randomValues(randomSource(40 + i), ROWS * productOf(shape)));

  it('has the outputs and gradients of double precision', () => {
    const layer = build(layerCase);
    const reference = build(layerCase, double.nn);
    const objective = (t: typeof tf, y: readonly tf.Tensor[]): tf.Scalar =>
      t.addN<tf.Scalar>(y.map((output, i) => t.sum(t.mul(output, t.tensor(Array.from(weights[i]!), output.shape)))));
    const world = double.tf;
    const parameters = layer.parameters().filter(({ trainable }) => trainable);
    const doubles = reference.parameters().filter(({ trainable }) => trainable);
    // float32 initial values, so that both compute with the same numbers.
    const held = new Map(parameters.map(({ name, variable }) => [name, Float64Array.from(variable.dataSync())]));
    const inputValues = values.map((list) => Float64Array.from(list));
    const evaluate = (): readonly tf.Tensor[] => {
      for (const { name, variable } of doubles) variable.assign(world.tensor(Array.from(held.get(name)!), variable.shape));
      return reference.apply(tensorsOf(world, layerCase, inputValues), mode);
    };
    const f = (): number => world.tidy(() => objective(world, evaluate()).dataSync()[0]!);
    const check = (name: string, actual: Float32Array, expected: Float64Array): void => {
      // Sums of at most a few hundred float32 products: ten times what is seen.
      const tolerance = 1e-4 * Math.max(1, ...expected.map(Math.abs));
      expect(actual.length).toBe(expected.length);
      actual.forEach((value, i) =>
        expect(Math.abs(value - expected[i]!), `${name}[${i}]: ${value}, ${expected[i]}`).toBeLessThan(tolerance),
      );
    };
    const x = tensorsOf(tf, layerCase, values);
    const y = layer.apply(x, mode);
    expect(y.map(({ shape }) => shape)).toEqual(outputs.map((shape) => [ROWS, ...shape]));
    world.tidy(() =>
      evaluate().map((output, i) =>
        check(`output ${i}`, y[i]!.dataSync<'float32'>(), output.dataSync() as unknown as Float64Array),
      ),
    );
    const floats = inputs.flatMap((_, i) => (hasGradient(layerCase, i) ? [i] : []));
    if (floats.length > 0) {
      const gradients = tf.grads((...args: tf.Tensor[]) =>
        objective(
          tf,
          layer.apply(
            x.map((one, i) => args[floats.indexOf(i)] ?? one),
            mode,
          ),
        ),
      )(floats.map((i) => x[i]!));
      floats.forEach((i, at) => check(`input ${i}`, gradients[at]!.dataSync<'float32'>(), numericGradient(inputValues[i]!, f)));
    }
    if (parameters.length > 0) {
      const { grads } = tf.variableGrads(
        () => objective(tf, layer.apply(x, mode)),
        parameters.map(({ variable }) => variable),
      );
      for (const { name, variable } of parameters) {
        check(name, grads[variable.name]!.dataSync<'float32'>(), numericGradient(held.get(name)!, f));
      }
    }
    layer.dispose();
    reference.dispose();
  });

  it('comes back from JSON and takes weights', async () => {
    const layer = build(layerCase);
    const copy = nn.layerFromJSON(JSON.parse(JSON.stringify(layer.toJSON())));
    copy.buildAll(inputs, { seed: 6, path: 'layer' });
    expect(copy.toJSON()).toEqual(layer.toJSON());
    expect(copy.outputShapes).toEqual(outputs);
    copy.setWeights(await layer.getWeights());
    const x = tensorsOf(tf, layerCase, values);
    const bits = (one: nn.Layer): Uint32Array[] => one.apply(x).map((y) => bitsOf(y.dataSync<'float32'>()));
    expect(bits(copy)).toEqual(bits(layer));
    layer.dispose();
    copy.dispose();
  });

  it('leaves no tensor behind', () => {
    const before = tf.memory().numTensors;
    const layer = build(layerCase);
    const x = tensorsOf(tf, layerCase, values);
    tf.dispose([...layer.apply(x, { training: true }), ...x]);
    layer.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('gives the same bits replayed as eager, gradients, state and new weights included', async () => {
    const [eager, compiled] = [build(layerCase), build(layerCase)];
    const run =
      (layer: nn.Layer) =>
      (...x: tf.Tensor[]): tf.Tensor[] => {
        const objective = (): tf.Scalar =>
          tf.addN<tf.Scalar>(layer.apply(x, { training: true }).map((y) => tf.sum(tf.square(y))));
        const variables = Object.values(layer.trainableVariables());
        if (variables.length === 0) return [objective(), ...layer.apply(x)];
        const { value, grads } = tf.variableGrads(objective, variables);
        return [value, ...variables.map(({ name }) => grads[name]!), ...layer.apply(x)];
      };
    const step = compile(run(compiled));
    for (let i = 0; i < 5; ++i) {
      if (i === 4) {
        const other = build(layerCase, nn, 8);
        const weights = await other.getWeights();
        for (const layer of [eager, compiled]) layer.setWeights(weights);
        other.dispose();
      }
      const x = tensorsOf(tf, layerCase, valuesFor(layerCase, 100 + 7 * i));
      const bits = (tensors: tf.Tensor[]): Uint32Array[] => tensors.map((tensor) => bitsOf(tensor.dataSync<'float32'>()));
      expect(bits(step(...x))).toEqual(bits(tf.tidy(() => run(eager)(...x))));
    }
    expect(step.statistics.replays).toBe(3);
    step.dispose();
    eager.dispose();
    compiled.dispose();
  });
});
