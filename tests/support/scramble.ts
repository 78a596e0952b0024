/** Other weights than those a model begins with. */
import type { Model } from '../../ts/nn/index.js';
import { randomSource, randomValues } from './describe-model.js';

/** Gives every parameter other values than it begins with; variances stay above 0. */
export async function scramble(model: Model): Promise<void> {
  const weights = await model.getWeights();
  const source = randomSource(11);
  const changed = Object.entries(weights).map(([name, { shape, data }]) => {
    const values = randomValues(source, data.length, 1);
    return [name, { shape, data: name.endsWith('variance') ? values.map((value) => 0.5 + value ** 2) : values }] as const;
  });
  model.setWeights(Object.fromEntries(changed));
}
