export type Tone = 'good' | 'warn' | 'bad' | 'info';

export interface Note {
  readonly tone: Tone;
  readonly text: string;
}

/** The judgement in plain words: one headline, then what speaks for and against it. */
export interface Verdict {
  readonly tone: Tone;
  readonly headline: string;
  readonly notes: readonly Note[];
  /** The same for programs; null where nothing can be said. */
  readonly facts: VerdictFacts;
}

export interface VerdictFacts {
  /** The validation loss had stopped improving when training ended. */
  readonly isConverged: boolean | null;
  /** The validation loss rose while the training loss fell, or lay far above it. */
  readonly isOverfitting: boolean | null;
  readonly beatsBaselines: boolean | null;
  readonly meetsTargets: boolean | null;
}

const WORST_FIRST = ['bad', 'warn', 'good'] as const;

/** The tone that a headline takes from what it rests on. */
export function worstTone(tones: readonly Tone[]): Tone {
  return WORST_FIRST.find((tone) => tones.includes(tone)) ?? 'info';
}

/** 'mean and linear baselines' */
export function baselineNames(baselines: readonly { readonly name: string }[]): string {
  return `${baselines.map((baseline) => baseline.name).join(' and ')} baseline${baselines.length === 1 ? '' : 's'}`;
}
