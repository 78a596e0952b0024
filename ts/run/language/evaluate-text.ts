/** Judging the language model of a finished run once more, or on another text. */
import { encodeText } from '../../data/index.js';
import type { LanguageMetrics } from '../../evaluate/index.js';
import type { TrainingConfig } from '../config/schema.js';
import { judgeText } from './judge-text.js';
import { prepareLanguageData, windowsOf } from './language-data.js';
import { loadTextGenerator } from './text-generator.js';
import { TextWindows } from './text-windows.js';

export interface EvaluatedText {
  readonly metrics: LanguageMetrics;
  /** Characters that the model does not know; each counts as one and the same. */
  readonly unknown: number;
}

/** Windows of a step: as many places as some thousand rows of a table. */
const PLACES_PER_STEP = 8192;

/**
 * @param data another text in place of the test part of the run, in the encoding of the run's own
 * @throws (as rejections) E_IO, E_DATA for a text that cannot be read or is too short; E_ABORTED; E_DEVICE
 */
export async function evaluateText(
  run: string,
  config: TrainingConfig,
  { data, device, signal }: { readonly data?: string; readonly device?: string; readonly signal?: AbortSignal },
): Promise<EvaluatedText> {
  const stop = signal === undefined ? {} : { signal };
  const generator = await loadTextGenerator(run, device === undefined ? {} : { device });
  try {
    const { contextLength, vocabulary, model } = generator;
    const batchSize = Math.max(1, Math.floor(PLACES_PER_STEP / contextLength));
    if (data === undefined) {
      const own = await prepareLanguageData(config, stop);
      const metrics = await judgeText(model, windowsOf(own, 'test'), { batchSize, ...stop });
      return { metrics, unknown: own.text.unknown.test };
    }
    const { encoding } = config.data.csv;
    const read = { path: data, vocabulary, contextLength, ...(encoding === undefined ? {} : { encoding }) };
    const { tokens, unknown } = await encodeText(read, stop);
    const windows = new TextWindows(tokens, { length: contextLength, shifts: false });
    return { metrics: await judgeText(model, windows, { batchSize, ...stop }), unknown };
  } finally {
    generator.dispose();
  }
}
