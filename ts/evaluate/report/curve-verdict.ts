import { countOf, formatLoss, formatPercent } from './html.js';
import { lowestEpoch } from './kept-epoch.js';
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
  const kept = history.epochs.find((point) => point.epoch === history.bestEpoch);
  const last = history.epochs.at(-1);
  const unknown = { isConverged: null, isOverfitting: null };
  if (kept === undefined || last === undefined) {
    return { notes: [{ tone: 'info', text: 'No epoch was completed.' }], ...unknown };
  }
  // What training did shows at its lowest point, whichever weights were kept.
  const lowest = lowestEpoch(history);
  if (lowest === undefined) {
    const text = 'Without validation rows the curves cannot show overfitting.';
    return { notes: [{ tone: 'info', text }], ...unknown };
  }
  const { isOverfitting, ...note } = judgeValidation({ kept, lowest, last }, history);
  const isConverged =
    history.stopReason === 'early_stopping' || (history.stopReason !== 'diverged' && lowest.epoch < last.epoch);
  return { notes: [note, ...judgeEnd(history, lowest, last, isConverged)], isConverged, isOverfitting };
}

/** Whether training went on for long enough. */
function judgeEnd(history: LearningHistory, lowest: EpochPoint, last: EpochPoint, isConverged: boolean): Note[] {
  const early = { aborted: 'by hand', max_time: 'for lack of time', stopped: 'by a callback' } as const;
  if (history.stopReason in early) {
    const how = early[history.stopReason as keyof typeof early];
    return [{ tone: 'warn', text: `Training was stopped ${how} after epoch ${last.epoch}: the model may not be at its best.` }];
  }
  if (history.stopReason === 'diverged') {
    const text = `Training was stopped after epoch ${last.epoch}, since the loss grew without end: a lower learning rate may help.`;
    return [{ tone: 'warn', text }];
  }
  if (!isConverged) return [];
  const after = last.epoch - lowest.epoch;
  const text =
    after === 0
      ? 'Converged.'
      : `Converged: validation loss did not improve in the ${countOf(after, 'epoch')} after epoch ${lowest.epoch}.`;
  return [{ tone: 'good', text }];
}

interface Points {
  /** Its weights are those of the model. */
  readonly kept: EpochPoint;
  readonly lowest: EpochPoint;
  readonly last: EpochPoint;
}

function judgeValidation({ kept, lowest, last }: Points, history: LearningHistory): Note & { readonly isOverfitting: boolean } {
  const [keptLoss, lowestLoss, lastLoss] = [kept, lowest, last].map(({ validationLoss = NaN }) => validationLoss) as [
    number,
    number,
    number,
  ];
  const rise = lastLoss / lowestLoss - 1;
  const isRising = rise > RISE_WORTH_TELLING && lastLoss - lowestLoss > SMALL_LOSS / 5;
  if (isRising && last.trainLoss < lowest.trainLoss) {
    const isLost = kept.epoch === last.epoch;
    const remedy = isLost ? ', the last: training.early_stopping keeps those of the best' : '';
    return {
      isOverfitting: true,
      tone: isLost ? 'warn' : 'info',
      text:
        `Overfitting began after epoch ${lowest.epoch}: validation loss rose by ${formatPercent(rise)} while training loss ` +
        `kept falling. The model keeps the weights of epoch ${kept.epoch}${remedy}.`,
    };
  }
  const at = kept.epoch === last.epoch && kept !== lowest ? 'the last epoch' : 'the best epoch';
  if (keptLoss > SMALL_LOSS && keptLoss > GAP_WORTH_TELLING * kept.trainLoss) {
    return {
      isOverfitting: true,
      tone: 'warn',
      text:
        `Overfitting: validation loss ${formatLoss(keptLoss)} against training loss ${formatLoss(kept.trainLoss)} at ${at}. ` +
        'More data, more dropout or a smaller model may help.',
    };
  }
  if (history.stopReason === 'epochs' && lowest === last && history.epochs.length > 1) {
    const text = `Validation loss was still falling at the last epoch, ${last.epoch}: more epochs may help.`;
    return { isOverfitting: false, tone: 'info', text };
  }
  return {
    isOverfitting: false,
    tone: 'good',
    text:
      `No sign of overfitting: validation loss ${formatLoss(keptLoss)} and training loss ${formatLoss(kept.trainLoss)} ` +
      `at ${at}, ${kept.epoch}.`,
  };
}
