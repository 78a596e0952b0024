import type { EpochPoint, LearningHistory } from './types.js';

/** The epoch of the least validation loss, the first of equal ones; undefined without validation rows. */
export function lowestEpoch({ epochs }: Pick<LearningHistory, 'epochs'>): EpochPoint | undefined {
  let lowest: EpochPoint | undefined;
  for (const point of epochs)
    if (point.validationLoss !== undefined && !(point.validationLoss >= (lowest?.validationLoss ?? Infinity))) lowest = point;
  return lowest;
}

/**
 * What can be said of the epoch whose weights the model holds. Training that keeps the last weights, as without early stopping, ends with
 * an epoch that need not be the best.
 *
 * @returns validation: the best on validation rows; training: the best of those by training loss; last: the last, whatever it is worth
 */
export function choiceOf({
  epochs,
  bestEpoch,
}: Pick<LearningHistory, 'epochs' | 'bestEpoch'>): 'validation' | 'training' | 'last' {
  const lowest = lowestEpoch({ epochs });
  // Another one than the last was chosen by what the run watches, which may be the accuracy.
  const isChosen = bestEpoch !== epochs.at(-1)?.epoch;
  if (lowest === undefined) return isChosen ? 'training' : 'last';
  return isChosen || lowest.epoch === bestEpoch ? 'validation' : 'last';
}
