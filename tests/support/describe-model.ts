/** Models as plain data with random weights, for tests of rooms that only read descriptions. */
import type { LayerDescription, ModelDescription, WeightDescription } from '../../ts/nn/description.js';

/** Numbers in [0, 1) from a seed (mulberry32 by Tommy Ettinger, public domain). */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function productOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** float32 values in [-scale, scale). */
export function randomValues(random: () => number, count: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, () => (2 * random() - 1) * scale);
}

/** A layer before its shapes are known: weights are made from `weightShapes`. */
export interface LayerSketch {
  readonly type: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly weightShapes?: Readonly<Record<string, readonly number[]>>;
  readonly outputShape: readonly number[];
}

/** Joins sketches into a model; each layer is named `<type>_<position>`. */
export function describeModel(inputShape: readonly number[], sketches: readonly LayerSketch[], seed = 1): ModelDescription {
  const random = randomSource(seed);
  let shape = inputShape;
  const layers = sketches.map((sketch, position): LayerDescription => {
    const weights: Record<string, WeightDescription> = {};
    for (const [name, weightShape] of Object.entries(sketch.weightShapes ?? {})) {
      weights[name] = { shape: weightShape, data: randomValues(random, productOf(weightShape), 0.7) };
    }
    const layer = {
      type: sketch.type,
      name: `${sketch.type}_${position}`,
      config: sketch.config ?? {},
      inputShape: shape,
      outputShape: sketch.outputShape,
      weights,
    };
    shape = sketch.outputShape;
    return layer;
  });
  return { inputShape, outputShape: shape, layers };
}
