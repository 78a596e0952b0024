/** What figures of training suggest, in words. Each rule says what it saw and what to try. */
import type { AveragingOptions } from '../optim/averaging.js';
import type { ArraySource, BatchSource, HostBatch, RowArray, TypedValues } from './training-data.js';
import type { AdviceTopic, EpochRecord, ParameterStatistics, TrainingEvent } from './types.js';

export interface Advice {
  readonly topic: AdviceTopic;
  readonly message: string;
}

/** Rows looked at. */
const SAMPLE = 2000;
/** Epochs that a trend is taken from. */
const TREND = 4;

const rounded = (value: number): string => value.toPrecision(3);

/** Least, greatest and number of values that are not finite, of one column of the first rows. */
function columnOf({ values, shape }: RowArray, column: number, rows: number): { min: number; max: number; broken: number } {
  const width = shape.reduce((a, b) => a * b, 1);
  let [min, max, broken] = [Infinity, -Infinity, 0];
  for (let row = 0; row < rows; ++row) {
    const value = values[row * width + column] as number;
    if (!Number.isFinite(value)) broken++;
    else {
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
  }
  return { min, max, broken };
}

/** Inputs that are not finite, constant or far from 1, and classes that are rare or absent. */
export function adviceOnData(train: ArraySource, validation: BatchSource | undefined): Advice[] {
  const rows = Math.min(train.size, SAMPLE);
  const advice: Advice[] = [];
  const add = (message: string): number => advice.push({ topic: 'data', message });
  train.inputs.forEach((input, index) => {
    const name = train.inputs.length === 1 ? 'The features' : `Input ${index}`;
    if (!(input.values instanceof Float32Array)) return;
    const width = input.shape.reduce((a, b) => a * b, 1);
    const columns = Array.from({ length: Math.min(width, 4096) }, (_, column) => columnOf(input, column, rows));
    const broken = columns.reduce((sum, column) => sum + column.broken, 0);
    if (broken > 0)
      add(`${name}: ${broken} values of the first ${rows} rows are not finite. Fill or drop them before training.`);
    const constant = columns.filter(({ min, max }) => min === max).length;
    if (constant > 0 && rows > 1)
      add(`${name}: ${constant} of ${width} columns never change in the first ${rows} rows. Drop them.`);
    const largest = Math.max(
      ...columns.map(({ min, max }) => Math.max(Math.abs(min), Math.abs(max))).filter(Number.isFinite),
      0,
    );
    if (largest > 100) add(`${name}: values reach ${rounded(largest)}. Scale them to about -1 to 1.`);
  });
  train.outputs.forEach(({ values, shape }) => {
    if (shape.length !== 0 || !(values instanceof Int32Array)) return;
    const counts = new Map<number, number>();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    const [least, most] = [Math.min(...counts.values()), Math.max(...counts.values())];
    if (counts.size < 2) add('All targets are of one class: there is nothing to learn.');
    else if (most > 20 * least)
      add(`The rarest class has ${least} rows, the most frequent ${most}. Try classWeights or focalLoss.`);
  });
  if (validation !== undefined && validation.size < 30)
    add(`Validation has ${validation.size} rows: its figures change by chance. Use more.`);
  return advice;
}

/** Whether losses rise or fall, from the last epochs. */
export function adviceOnEpochs(records: readonly EpochRecord[]): Advice[] {
  if (records.length < TREND) return [];
  const last = records.slice(-TREND);
  const [first, end] = [last[0] as EpochRecord, last.at(-1) as EpochRecord];
  const advice: Advice[] = [];
  const isRising = last.every(
    (record, i) => i === 0 || (record.validationLoss ?? -Infinity) > (last[i - 1]?.validationLoss ?? Infinity),
  );
  if (isRising && end.trainLoss < first.trainLoss) {
    advice.push({
      topic: 'overfitting',
      message: `The validation loss has risen for ${TREND - 1} epochs (${rounded(first.validationLoss as number)} to ${rounded(end.validationLoss as number)}) while the training loss fell (${rounded(first.trainLoss)} to ${rounded(end.trainLoss)}). Try early stopping, dropout, weight decay, a smaller model or more data.`,
    });
  }
  const start = records[0] as EpochRecord;
  const gain = (start.trainLoss - end.trainLoss) / Math.max(Math.abs(start.trainLoss), 1e-12);
  if (gain < 0.02 && records.length >= 2 * TREND) {
    advice.push({
      topic: 'underfitting',
      message: `The training loss is where it began (${rounded(start.trainLoss)}, now ${rounded(end.trainLoss)}). Try another learning rate (findLearningRate), a larger model, scaled inputs or less regularisation; overfitBatches shows whether the model can learn at all.`,
    });
  }
  return advice;
}

/** Gradients that vanish, explode or are all zero, and steps that are far too large or small. */
export function adviceOnGradients(norm: number, parameters: readonly ParameterStatistics[]): Advice[] {
  const advice: Advice[] = [];
  const add = (message: string): number => advice.push({ topic: 'gradients', message });
  const dead = parameters.filter(({ gradientNorm }) => gradientNorm === 0);
  const names = (list: readonly ParameterStatistics[]): string =>
    list.length > 5
      ? `${list
          .slice(0, 5)
          .map(({ name }) => name)
          .join(', ')} and ${list.length - 5} more`
      : list.map(({ name }) => name).join(', ');
  if (dead.length > 0)
    add(`No gradient reaches ${names(dead)}: units may be dead (try leakyrelu or gelu), or the loss does not depend on them.`);
  if (norm > 100) add(`The gradients' norm is ${rounded(norm)}. Try clip: { globalNorm: 1 }, a smaller rate or warm-up.`);
  const norms = parameters.map(({ gradientNorm }) => gradientNorm).filter((value) => value > 0);
  if (norms.length > 3 && Math.max(...norms) > 1e5 * Math.min(...norms))
    add(
      `Gradients of parameters differ by a factor of ${rounded(Math.max(...norms) / Math.min(...norms))}: they vanish or explode on their way. Try norms, residual connections or another initialiser.`,
    );
  const large = parameters.filter(({ updateRatio }) => updateRatio > 0.1);
  if (large.length > parameters.length / 2) add(`One step changes most parameters by more than a tenth. Try a smaller rate.`);
  const small = parameters.filter(({ updateRatio }) => updateRatio < 1e-6);
  if (small.length === parameters.length && parameters.length > 0)
    add('One step changes no parameter by more than a millionth. Try a larger rate.');
  return advice;
}

/** Values that are not finite. */
function countBroken(arrays: readonly TypedValues[]): number {
  let broken = 0;
  for (const values of arrays) {
    if (values instanceof Float32Array) for (const value of values) if (!Number.isFinite(value)) broken++;
  }
  return broken;
}

/**
 * Where the numbers of a step that was left out stopped being finite, and what to do about it.
 *
 * @param first  the first op whose result was not finite when the step's batch was run again; undefined when there was none
 */
export function adviceOnNonFinite(
  first: Extract<TrainingEvent, { type: 'non_finite' }> | undefined,
  { inputs, targets, weights }: HostBatch,
  place: { readonly epoch: number; readonly step: number },
): Advice {
  const when = `step ${place.step} of epoch ${place.epoch} was left out`;
  const topic = 'non_finite';
  if (first === undefined) {
    const message = `No op gives values that are not finite now, but ${when}: the parameters have changed since, or masks drawn at random decide. Try a smaller learning rate or warm-up.`;
    return { topic, message };
  }
  const { op, layer, isBackward } = first;
  const found = `${op} of ${layer ?? 'the loss'} gave the first values that are not finite${isBackward ? ', on the way back' : ''}: ${when}.`;
  const [brokenInputs, brokenTargets] = [
    countBroken(inputs),
    countBroken(weights === undefined ? targets : [...targets, weights]),
  ];
  const what =
    brokenInputs > 0
      ? `${brokenInputs} values of the batch's inputs are not finite themselves. Fill or drop them.`
      : brokenTargets > 0
        ? `${brokenTargets} values of the batch's targets or sample weights are not finite themselves. Fill or drop them.`
        : isBackward
          ? 'Its batch is finite. Try clip: { globalNorm: 1 }, a smaller learning rate or warm-up; a root, logarithm or division near 0 wants a small summand.'
          : 'Its batch is finite: values or weights have grown too large. Try a smaller learning rate, warm-up, norms between the layers, or scaled inputs.';
  return { topic, message: `${found} ${what}` };
}

/** Share of the weights training began with in their exponential average that is worth a word. */
const LARGE_SHARE = 0.1;

/** What is left of the first weights in an exponential average after so many steps; small shares are not computed to the end. */
function shareOfFirst({ decay, ramp }: { readonly decay: number; readonly ramp: boolean }, steps: number): number {
  if (!ramp) return decay ** steps;
  let share = 1;
  for (let step = 1; step <= steps && share > LARGE_SHARE; ++step) share *= Math.min(decay, (1 + step) / (10 + step));
  return share;
}

/** Averages of the weights that have hardly begun when training ends: what is judged and kept is the average. */
export function adviceOnAveraging(averaging: Required<AveragingOptions>, steps: number): Advice[] {
  if (averaging.kind === 'equal') {
    if (averaging.from < steps) return [];
    const message = `The mean of the weights begins after step ${averaging.from}, but training ends at step ${steps}: it is never formed. Begin earlier, such as after step ${Math.floor(0.75 * steps)}.`;
    return [{ topic: 'averaging', message }];
  }
  const share = shareOfFirst(averaging, steps);
  if (share <= LARGE_SHARE) return [];
  // A hundredth of the first weights is left with it.
  const fitting = 0.01 ** (1 / Math.max(1, steps));
  const message = `The average of the weights (decay ${averaging.decay}) is slow for ${steps} steps: ${Math.round(100 * share)} % of what is judged and kept at the end are the weights training began with. Use ${averaging.ramp ? '' : 'ramp: true or '}a decay of ${rounded(Math.floor(1000 * fitting) / 1000)}, or train longer.`;
  return [{ topic: 'averaging', message }];
}

/** Where the time goes. */
export function adviceOnSpeed(times: {
  readonly waitMs: number;
  readonly workMs: number;
  readonly isReplayed: boolean;
}): Advice[] {
  const advice: Advice[] = [];
  const share = times.waitMs / Math.max(times.waitMs + times.workMs, 1e-9);
  // Epochs of a few milliseconds say nothing.
  if (share > 0.5 && times.waitMs > 200)
    advice.push({
      topic: 'speed',
      message: `${Math.round(share * 100)} % of the time goes into waiting for data. Prepare it beforehand, cache it, or use more workers.`,
    });
  if (!times.isReplayed)
    advice.push({
      topic: 'speed',
      message:
        'Steps are not replayed: each runs its JavaScript anew. Leave compile on, and keep the batch size and the shapes of inputs constant.',
    });
  return advice;
}

/** What helps when memory runs out. */
export const MEMORY_ADVICE: Advice = {
  topic: 'memory',
  message:
    "Memory ran out. A smaller batchSize or microBatch, precision 'bf16', checkpointed blocks (Checkpoint) or a smaller model need less; TENSORKILN_MEMORY_LIMIT and tf.memory().native tell what there is.",
};
