/** Graph models, loaded by tfjs-converter unchanged, on our backend beside the stock cpu backend. */
import * as tf from '@tensorflow/tfjs-core';
import { loadGraphModel, loadGraphModelSync } from '@tensorflow/tfjs-converter';
import { describe, expect, it } from 'vitest';
import { GRAPHS, type GraphCase } from '../support/graph-models.js';
import { expectClose, onBoth } from '../support/stock-comparison.js';

interface Output {
  readonly name: string;
  readonly shape: number[];
  readonly dtype: string;
  readonly values: number[] | string[];
}

async function run(graph: GraphCase): Promise<{ outputs: Output[]; leaked: number }> {
  const before = tf.memory().numTensors;
  const model = await loadGraphModel(tf.io.fromMemory(graph.artifacts()));
  const inputs = graph.inputs();
  const names = [...graph.outputs];
  const result = graph.isAsync === true ? await model.executeAsync(inputs, names) : model.execute(inputs, names);
  const outputs = await Promise.all(
    (result as tf.Tensor[]).map(async (tensor, index) => ({
      name: names[index]!,
      shape: tensor.shape,
      dtype: tensor.dtype,
      values: [...(await tensor.data<'string'>())],
    })),
  );
  tf.dispose([result, Object.values(inputs)]);
  model.dispose();
  return { outputs, leaked: tf.memory().numTensors - before };
}

describe('loadGraphModel beside the stock cpu backend', () => {
  it.each(GRAPHS.map((graph) => [graph.name, graph] as const))('%s', async (_, graph) => {
    const { stock, ours } = await onBoth(() => run(graph));
    expect(ours.outputs.map(({ name, shape, dtype }) => ({ name, shape, dtype }))).toEqual(
      stock.outputs.map(({ name, shape, dtype }) => ({ name, shape, dtype })),
    );
    stock.outputs.forEach(({ name, dtype, values }, index) => {
      const found = ours.outputs[index]!.values;
      expect(values.length).toBeGreaterThan(0);
      if (dtype === 'float32') expectClose(found as number[], values as number[], name);
      else expect(found, name).toEqual(values);
    });
    expect(ours.leaked).toBe(stock.leaked);
  });

  it('runs what the graph says, not just what the other backend says', async () => {
    const byName = async (name: string): Promise<Record<string, number[] | string[]>> => {
      const { outputs } = await run(GRAPHS.find((graph) => graph.name.startsWith(name))!);
      return Object.fromEntries(outputs.map((output) => [output.name, output.values]));
    };
    // 2 x, then doubled three times: squares of (1, 3, 0.5) sum to 10.25, 41, 164.
    expect(await byName('If and While, sum above')).toEqual({ grown: [4, 12, 2], rounds: [2] });
    // 0.5 counts up to 10.5, which takes ten rounds; x is not above 1, so the result is negated.
    expect(await byName('control flow of TensorFlow 1 from 0.5')).toEqual({ exit: [10.5], joined: [-10.5] });
    expect(await byName('hash table')).toEqual({ found: [30, -1, 10], size: [3] });
    expect((await byName('strings'))['words']).toEqual(['The', 'quick', 'brown', 'fox', 'jumps', 'over']);
  });

  it('loads synchronously from artifacts in memory', () => {
    const model = loadGraphModelSync(GRAPHS[0]!.artifacts());
    const probabilities = model.execute({ x: tf.ones([1, 5]) }, 'probabilities') as tf.Tensor;
    const row = probabilities.dataSync();
    expect(row[0]! + row[1]! + row[2]!).toBeCloseTo(1, 6);
    model.dispose();
  });
});
