/** A short run with a growing learning rate, to see which rates a model learns at. */
import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkKeys, checkNumber } from '../arguments.js';
import { restoreVariable } from '../backend/custom/overwrite.js';
import { TensorkilnError } from '../errors.js';
import type { Optimizer } from '../optim/optimizer.js';
import { disposeBatch, toTensors } from './batches.js';
import { isScaleSearch, readStep } from './guard.js';
import { stepArguments, type Steps } from './steps.js';
import type { Trainable } from './trainable.js';
import type { BatchSource } from './training-data.js';

export interface RateFinderOptions {
  /** First rate, > 0. Default 1e-7. */
  readonly from?: number;
  /** Last rate, > `from`. Default 10. */
  readonly to?: number;
  /** Steps between them, >= 10; batches are gone through as often as needed. Default 100. */
  readonly steps?: number;
  /** Rows per step, >= 1. Default 32. */
  readonly batchSize?: number;
  /** How much earlier losses count in the smoothed one, in [0, 1). Default 0.9. */
  readonly smoothing?: number;
  /** Ends when the smoothed loss is this many times the least one, > 1. Default 4. */
  readonly stopFactor?: number;
  readonly signal?: AbortSignal;
}

export interface RateFinding {
  readonly points: readonly { readonly rate: number; readonly loss: number; readonly smoothed: number }[];
  /** Rate at which the smoothed loss falls fastest per factor of the rate; undefined when it falls nowhere. */
  readonly suggestion: number | undefined;
}

/** Points at the start whose smoothed loss is still that of a few batches. */
const START = 5;

/** The rate of steepest fall before the least smoothed loss. */
export function suggestRate(points: RateFinding['points']): number | undefined {
  const losses = points.map(({ smoothed }) => smoothed);
  const least = losses.indexOf(Math.min(...losses));
  let best: number | undefined;
  let steepest = 0;
  for (let i = Math.min(START, Math.max(1, least - 1)); i < least; ++i) {
    const [before, after] = [points[i - 1], points[i + 1]] as [RateFinding['points'][0], RateFinding['points'][0]];
    const slope = (after.smoothed - before.smoothed) / Math.log(after.rate / before.rate);
    if (slope < steepest) {
      steepest = slope;
      best = (points[i] as RateFinding['points'][0]).rate;
    }
  }
  return best;
}

/**
 * Runs the test; weights, optimizer, loss scaling and random states are afterwards as they were before.
 *
 * @source Smith 2017, arXiv:1506.01186, section 3.3; smoothing and stopping as in Gugger 2018 and fastai
 */
export async function findRate(
  parts: {
    readonly model: Trainable;
    readonly steps: Steps;
    readonly optimizer: Optimizer;
    readonly source: BatchSource;
    readonly seed: number;
  },
  options: RateFinderOptions,
): Promise<RateFinding> {
  const place = 'findLearningRate';
  checkKeys(place, options, ['from', 'to', 'steps', 'batchSize', 'smoothing', 'stopFactor', 'signal']);
  const from = checkNumber(place, 'from', options.from ?? 1e-7, { above: 0 });
  const to = checkNumber(place, 'to', options.to ?? 10, { above: from });
  const count = checkInteger(place, 'steps', options.steps ?? 100, { min: 10 });
  const batchSize = checkInteger(place, 'batchSize', options.batchSize ?? 32, { min: 1 });
  const smoothing = checkNumber(place, 'smoothing', options.smoothing ?? 0.9, { min: 0, below: 1 });
  const stopFactor = checkNumber(place, 'stopFactor', options.stopFactor ?? 4, { above: 1 });
  const { model, steps, optimizer, source, seed } = parts;
  const state = await optimizer.getState();
  const variables = [
    ...model.parameters().map(({ variable }) => variable),
    ...Object.values(model.randomStates()).map(({ variable }) => variable),
    ...(steps.scaler?.variables ?? []),
  ];
  const copies = variables.map((variable) => tf.keep(tf.clone(variable as tf.Tensor)));
  const points: { rate: number; loss: number; smoothed: number }[] = [];
  try {
    let average = 0;
    let least = Infinity;
    for (let pass = 0; points.length < count; ++pass) {
      for await (const host of source.batches({ batchSize, pass, seed, shuffle: true, skip: 0 })) {
        if (options.signal?.aborted === true)
          throw new TensorkilnError('E_ABORTED', `[${place}] cancelled by its caller.`, { cause: options.signal.reason });
        const rate = from * (to / from) ** (points.length / (count - 1));
        optimizer.learningRate = rate;
        const batch = toTensors(source, host, model.inputDTypes);
        let result: tf.Tensor;
        try {
          result = steps.train(...stepArguments(batch));
        } finally {
          disposeBatch(batch);
        }
        const told = readStep(await result.data());
        const { loss, isApplied } = told;
        result.dispose();
        // The same rate once more, on other rows.
        if (isScaleSearch(told)) continue;
        if (!isApplied || !Number.isFinite(loss)) return { points, suggestion: suggestRate(points) };
        average = smoothing * average + (1 - smoothing) * loss;
        // The average begins at 0; the divisor makes up for that.
        const smoothed = average / (1 - smoothing ** (points.length + 1));
        points.push({ rate, loss, smoothed });
        least = Math.min(least, smoothed);
        if (points.length >= count || (points.length > START && smoothed > stopFactor * least))
          return { points, suggestion: suggestRate(points) };
      }
    }
    return { points, suggestion: suggestRate(points) };
  } finally {
    variables.forEach((variable, i) => restoreVariable(variable, copies[i] as tf.Tensor));
    tf.dispose(copies);
    optimizer.setState(state);
  }
}
