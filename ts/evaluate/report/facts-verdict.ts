import { formatNumber } from './html.js';
import type { JudgedFacts } from './types.js';
import type { Note } from './verdict-types.js';

/** Whether the thresholds that were asked for are met, and whether data and test part are what they should be. */
export function judgeFacts({ targets = [], testLook = 1, dataFailures = [] }: JudgedFacts): {
  readonly notes: readonly Note[];
  readonly meetsTargets: boolean | null;
} {
  const notes = targets.map(({ metric, threshold, value, isMet }): Note => {
    const found = value === null ? 'not defined for these rows' : formatNumber(value);
    const text = `Target ${metric} ${formatNumber(threshold)} ${isMet ? 'met' : 'missed'}: ${found}.`;
    return { tone: isMet ? 'good' : 'bad', text };
  });
  for (const failure of dataFailures)
    notes.push({ tone: 'bad', text: `Trained with --force although the data failed its validation: ${failure}` });
  if (testLook > 1) {
    const text =
      `These test rows have been looked at ${testLook} times. Whatever was chosen after the first look makes their figures ` +
      'better than the truth.';
    notes.push({ tone: 'warn', text });
  }
  return { notes, meetsTargets: targets.length === 0 ? null : targets.every((target) => target.isMet) };
}
