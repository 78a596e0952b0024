import type { Task, TargetScale } from '../data/index.js';
import type { Trainer } from '../train/index.js';
import { predictProbabilities } from './probabilities.js';

const PREDICT_BATCH = 1024;

/** What a model's output means. */
export interface OutputMeaning {
  readonly task: Task;
  /** Values the model gives for a row. */
  readonly outputs: number;
  /** For regression. */
  readonly targetScale?: TargetScale | undefined;
}

/** What a model says of rows: [rows, classes] probabilities, or [rows] numbers in the unit of the target. */
export async function predictRows(
  trainer: Trainer,
  features: Float32Array,
  meaning: OutputMeaning,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Float32Array> {
  if (meaning.task === 'classification')
    return predictProbabilities(trainer, features, { numClasses: meaning.outputs, ...options });
  const values = await trainer.predict(features, { batchSize: PREDICT_BATCH, ...options });
  const { shift, scale } = meaning.targetScale ?? { shift: 0, scale: 1 };
  return values.map((value) => value * scale + shift);
}
