import { formatLoss, formatPercent } from './html.js';
import type { EpochPoint, LearningHistory } from './types.js';
import type { Note } from './verdict-types.js';

/** Validation loss this far above its best, in relation to the best, is worth a word. */
const RISE_WORTH_TELLING = 0.1;
/** Validation loss this many times the training loss is a gap worth a word... */
const GAP_WORTH_TELLING = 2;
/** ...unless both are so small that it means nothing. */
const SMALL_LOSS = 0.05;

/** What the curves say about overfitting and about the length of training. */
export function judgeCurves(history: LearningHistory): Note {
  const best = history.epochs.find((point) => point.epoch === history.bestEpoch);
  const last = history.epochs.at(-1);
  if (best === undefined || last === undefined) return { tone: 'info', text: 'No epoch was completed.' };
  if (best.validationLoss === undefined || last.validationLoss === undefined) {
    return { tone: 'info', text: 'Without validation rows the curves cannot show overfitting.' };
  }
  const aborted = history.stopReason === 'aborted' ? ` Training was stopped by hand after epoch ${last.epoch}.` : '';
  const note = judgeValidation(best, best.validationLoss, last, last.validationLoss, history);
  return { tone: note.tone, text: note.text + aborted };
}

function judgeValidation(
  best: EpochPoint,
  bestLoss: number,
  last: EpochPoint,
  lastLoss: number,
  history: LearningHistory,
): Note {
  const rise = lastLoss / bestLoss - 1;
  const isRising = rise > RISE_WORTH_TELLING && lastLoss - bestLoss > SMALL_LOSS / 5;
  if (isRising && last.trainLoss < best.trainLoss) {
    return {
      tone: 'info',
      text:
        `Overfitting began after epoch ${best.epoch}: validation loss rose by ${formatPercent(rise)} while training loss ` +
        `kept falling. The model keeps the weights of epoch ${best.epoch}.`,
    };
  }
  if (bestLoss > SMALL_LOSS && bestLoss > GAP_WORTH_TELLING * best.trainLoss) {
    return {
      tone: 'warn',
      text:
        `Overfitting: validation loss ${formatLoss(bestLoss)} against training loss ${formatLoss(best.trainLoss)} at the ` +
        'best epoch. More data, more dropout or a smaller model may help.',
    };
  }
  if (history.stopReason === 'epochs' && best.epoch === last.epoch && history.epochs.length > 1) {
    return { tone: 'info', text: `Validation loss was still falling at the last epoch, ${last.epoch}: more epochs may help.` };
  }
  return {
    tone: 'good',
    text:
      `No sign of overfitting: validation loss ${formatLoss(bestLoss)} and training loss ${formatLoss(best.trainLoss)} ` +
      `at the best epoch, ${best.epoch}.`,
  };
}
