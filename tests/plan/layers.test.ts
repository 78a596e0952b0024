/**
 * Training steps through every layer: replays give the bits of eager steps, in float32 and bf16, with batches of two sizes and a
 * rate that changes at each step.
 */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { autocast, type Precision } from '../../ts/backend/custom/autocast.js';
import { compile } from '../../ts/backend/plan.js';
import * as nn from '../../ts/nn/index.js';
import { SGD } from '../../ts/optim/index.js';
import { productOf, randomSource, randomValues } from '../support/describe-model.js';
import { LAYER_CASES, type LayerCase } from '../support/layer-cases.js';
import { BACKEND_NAME, bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const STEPS = 8;
const BATCHES = [3, 2] as const;

function inputsOf({ inputs, dtypes }: LayerCase, rows: number, seed: number): tf.Tensor[] {
  return inputs.map((shape, i) => {
    const random = randomSource(seed + i);
    const values = randomValues(random, rows * productOf(shape), 2);
    const dtype = dtypes?.[i] ?? 'float32';
    if (dtype === 'int32')
      return tf.tensor(
        Int32Array.from(values, () => Math.floor(random() * 5)),
        [rows, ...shape],
        dtype,
      );
    if (dtype === 'bool')
      return tf.tensor(
        Uint8Array.from(values, () => (random() < 0.7 ? 1 : 0)),
        [rows, ...shape],
        dtype,
      );
    return tf.tensor(values, [rows, ...shape]);
  });
}

interface Outcome {
  readonly results: readonly Uint32Array[];
  readonly weights: readonly Uint32Array[];
  readonly replays: number;
}

/** Steps that take the gradients of all parameters and of the floating-point inputs. */
function train(layerCase: LayerCase, precision: Precision, isCompiled: boolean): Outcome {
  const layer = layerCase.make(nn);
  layer.buildAll(layerCase.inputs, { seed: 5, path: 'layer' });
  const variables = layer.trainableVariables();
  const names = Object.keys(variables);
  const optimizer = new SGD({ learningRate: 0.1, momentum: 0.9 });
  if (names.length > 0) optimizer.bind(variables);
  const floats = layerCase.inputs.flatMap((_, i) =>
    (layerCase.dtypes?.[i] ?? 'float32') === 'float32' && layerCase.constants?.includes(i) !== true ? [i] : [],
  );
  const body = (...x: tf.Tensor[]): tf.Tensor[] => {
    const objective = (...given: tf.Tensor[]): tf.Scalar => {
      const outputs = layer.apply(
        x.map((one, i) => given[floats.indexOf(i)] ?? one),
        { training: true },
      );
      return tf.addN(outputs.map((output) => tf.mean<tf.Scalar>(tf.square(tf.cast(output, 'float32')))));
    };
    const results: tf.Tensor[] = [autocast(precision, () => objective())];
    if (floats.length > 0)
      results.push(...autocast(precision, () => tf.grads(objective)(floats.map((i) => x[i] as tf.Tensor))));
    if (names.length > 0) {
      const { grads } = autocast(precision, () => tf.variableGrads(() => objective(), Object.values(variables)));
      optimizer.apply(
        Object.fromEntries(
          names.map((name) => [
            name,
            grads[(variables[name] as tf.Variable).name] ?? tf.zerosLike(variables[name] as tf.Variable),
          ]),
        ),
      );
    }
    return results;
  };
  const compiled = isCompiled ? compile(body) : undefined;
  const results: Uint32Array[] = [];
  for (let step = 0; step < STEPS; ++step) {
    if (names.length > 0) optimizer.learningRate = 0.1 / (1 + step);
    const x = inputsOf(layerCase, BATCHES[step % 2] as number, 17 + step);
    const made = compiled === undefined ? tf.tidy(() => body(...x)) : compiled(...x);
    results.push(...made.map((tensor) => bitsOf(tensor.dataSync<'float32'>())));
    tf.dispose([made, x]);
  }
  const weights = layer.parameters().map(({ variable }) => bitsOf(variable.dataSync<'float32'>()));
  const replays = compiled?.statistics.replays ?? 0;
  compiled?.dispose();
  optimizer.dispose();
  layer.dispose();
  return { results, weights, replays };
}

describe.each(['float32', 'bf16'] as const)('a compiled step in %s gives the bits of an eager one:', (precision) => {
  it.for(LAYER_CASES)('$name', (layerCase, context) => {
    if (BACKEND_NAME !== 'tensorkiln-cpu') context.skip('tests/train/layers.test.ts replays each layer there');
    const eager = train(layerCase, precision, false);
    const compiled = train(layerCase, precision, true);
    expect(compiled.results).toEqual(eager.results);
    expect(compiled.weights).toEqual(eager.weights);
    expect(compiled.replays).toBe(STEPS - 2 * BATCHES.length);
  });
});
