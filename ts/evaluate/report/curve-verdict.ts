import { countOf, formatLoss, formatPercent } from './html.js';
import type { EpochPoint, LearningHistory } from './types.js';
import type { Note } from './verdict-types.js';

/** Validation loss this far above its best, in relation to the best, is worth a word. */
const RISE_WORTH_TELLING = 0.1;
/** Validation loss this many times the training loss is a gap worth a word... */
const GAP_WORTH_TELLING = 2;
/** ...unless both are so small that it means nothing. */
const SMALL_LOSS = 0.05;

export interface CurveVerdict {
  readonly notes: readonly Note[];
  readonly isConverged: boolean | null;
  readonly isOverfitting: boolean | null;
}

/** What the curves say about overfitting and about the length of training. */
export function judgeCurves(history: LearningHistory): CurveVerdict {
  const best = history.epochs.find((point) => point.epoch === history.bestEpoch);
  const last = history.epochs.at(-1);
  const unknown = { isConverged: null, isOverfitting: null };
  if (best === undefined || last === undefined) {
    return { notes: [{ tone: 'info', text: 'No epoch was completed.' }], ...unknown };
  }
  if (best.validationLoss === undefined || last.validationLoss === undefined) {
    const text = 'Without validation rows the curves cannot show overfitting.';
    return { notes: [{ tone: 'info', text }], ...unknown };
  }
  const { isOverfitting, ...note } = judgeValidation(best, best.validationLoss, last, last.validationLoss, history);
  const isConverged = history.stopReason === 'early_stopping' || best.epoch < last.epoch;
  return { notes: [note, ...judgeEnd(history, best, last, isConverged)], isConverged, isOverfitting };
}

/** Whether training went on for long enough. */
function judgeEnd(history: LearningHistory, best: EpochPoint, last: EpochPoint, isConverged: boolean): Note[] {
  const early = { aborted: 'by hand', max_time: 'for lack of time', stopped: 'by a callback' } as const;
  if (history.stopReason in early) {
    const how = early[history.stopReason as keyof typeof early];
    return [{ tone: 'warn', text: `Training was stopped ${how} after epoch ${last.epoch}: the model may not be at its best.` }];
  }
  if (!isConverged) return [];
  const after = last.epoch - best.epoch;
  const text =
    after === 0
      ? 'Converged.'
      : `Converged: validation loss did not improve in the ${countOf(after, 'epoch')} after epoch ${best.epoch}.`;
  return [{ tone: 'good', text }];
}

function judgeValidation(
  best: EpochPoint,
  bestLoss: number,
  last: EpochPoint,
  lastLoss: number,
  history: LearningHistory,
): Note & { readonly isOverfitting: boolean } {
  const rise = lastLoss / bestLoss - 1;
  const isRising = rise > RISE_WORTH_TELLING && lastLoss - bestLoss > SMALL_LOSS / 5;
  if (isRising && last.trainLoss < best.trainLoss) {
    return {
      isOverfitting: true,
      tone: 'info',
      text:
        `Overfitting began after epoch ${best.epoch}: validation loss rose by ${formatPercent(rise)} while training loss ` +
        `kept falling. The model keeps the weights of epoch ${best.epoch}.`,
    };
  }
  if (bestLoss > SMALL_LOSS && bestLoss > GAP_WORTH_TELLING * best.trainLoss) {
    return {
      isOverfitting: true,
      tone: 'warn',
      text:
        `Overfitting: validation loss ${formatLoss(bestLoss)} against training loss ${formatLoss(best.trainLoss)} at the ` +
        'best epoch. More data, more dropout or a smaller model may help.',
    };
  }
  if (history.stopReason === 'epochs' && best.epoch === last.epoch && history.epochs.length > 1) {
    const text = `Validation loss was still falling at the last epoch, ${last.epoch}: more epochs may help.`;
    return { isOverfitting: false, tone: 'info', text };
  }
  return {
    isOverfitting: false,
    tone: 'good',
    text:
      `No sign of overfitting: validation loss ${formatLoss(bestLoss)} and training loss ${formatLoss(best.trainLoss)} ` +
      `at the best epoch, ${best.epoch}.`,
  };
}
