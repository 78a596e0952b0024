/** How well a language model predicts a text. */
import { evaluateLanguage, type LanguageMetrics } from '../../evaluate/index.js';
import { crossEntropyLoss, type Model } from '../../nn/index.js';
import { SGD } from '../../optim/index.js';
import { Trainer } from '../../train/index.js';
import type { TextWindows } from './text-windows.js';

/**
 * Every character of a text but the first is predicted once, up to a last window that is not full. Judged by the plain cross-entropy,
 * whatever loss the model was trained with: perplexity means nothing else.
 *
 * @throws (as rejections) E_ABORTED
 */
export async function judgeText(
  model: Model,
  windows: TextWindows,
  options: { readonly batchSize: number; readonly signal?: AbortSignal },
): Promise<LanguageMetrics> {
  const optimizer = new SGD();
  const trainer = new Trainer({ model, loss: crossEntropyLoss({}), optimizer });
  try {
    const { loss, accuracy = NaN } = await trainer.evaluate(windows, options);
    const [length = 1] = windows.targetShapes[0] ?? [];
    // Every window has as many places, so the mean over windows is that over characters.
    return evaluateLanguage({ rows: windows.size * length, crossEntropy: loss, accuracy });
  } finally {
    trainer.dispose();
    optimizer.dispose();
  }
}
