import { TensorkilnError } from '../errors.js';
import type { ColumnProfile } from './read-table.js';
import { missingColumn } from './table.js';

export type FeatureType = 'numeric' | 'categorical' | 'ignore';

/** What a column is used for, and why. */
export interface ColumnReport {
  readonly name: string;
  readonly role: 'target' | 'feature' | 'ignored';
  readonly type: 'numeric' | 'categorical';
  /** Why it has this role and type, in words for people. */
  readonly reason: string;
  readonly missing: number;
  readonly distinct: number;
}

export interface ColumnDecisions {
  /** In file order. */
  readonly columns: readonly ColumnReport[];
  /** Things a user should look at. */
  readonly warnings: readonly string[];
}

/** Above this many categories one-hot columns outweigh what they tell; such a text column is left out unless the config says categorical. */
export const MAX_CATEGORIES = 100;
/** A table shorter than this says nothing about whether distinct values are identifiers. */
const MIN_ROWS_FOR_IDENTIFIER = 20;
/** From this share of numbers on, a text column is more likely numeric with an unknown spelling of "missing". */
const MOSTLY_NUMBERS = 0.9;
const IDENTIFIER_NAME = /^(id|index|idx|row|unnamed.*|.*[_ -](id|index)|.*Id)$/;

/**
 * Decides role and type of every column from its profile.
 *
 * Numeric: every present cell is a number. Ignored: empty or constant columns; identifiers (all present cells differ, and the column is
 * text, or counts up without a gap, or is named like an identifier); text with more than 100 categories. The rest is categorical.
 * `overrides` win over all of this.
 *
 * @throws E_DATA when the target or an overridden column is not in the table, the target cannot be a class label, or no feature is left
 */
export function decideColumns(
  profiles: readonly ColumnProfile[],
  target: string,
  overrides: Readonly<Record<string, FeatureType>> = {},
): ColumnDecisions {
  const names = profiles.map((profile) => profile.name);
  for (const name of [target, ...Object.keys(overrides)]) {
    if (!names.includes(name)) throw missingColumn(name === target ? 'data.target' : 'data.features', name, names);
  }
  if (Object.hasOwn(overrides, target)) {
    throw new TensorkilnError(
      'E_DATA',
      `[data.features] "${target}" is the target: expected only feature columns under data.features.`,
    );
  }
  const warnings: string[] = [];
  const columns = profiles.map((profile): ColumnReport => {
    const base = { name: profile.name, missing: profile.missing, distinct: profile.distinct };
    if (profile.name === target) return { ...base, role: 'target', type: 'categorical', reason: checkTarget(profile) };
    const override = overrides[profile.name];
    if (override === 'ignore')
      return {
        ...base,
        role: 'ignored',
        type: isNumeric(profile) ? 'numeric' : 'categorical',
        reason: 'ignored in the configuration',
      };
    if (override !== undefined) return { ...base, role: 'feature', type: override, reason: `${override} in the configuration` };
    return { ...base, ...infer(profile, warnings) };
  });
  if (!columns.some((column) => column.role === 'feature')) {
    throw new TensorkilnError(
      'E_DATA',
      `[data] no feature column is left beside the target "${target}". Name some under data.features.`,
    );
  }
  return { columns, warnings };
}

function infer(profile: ColumnProfile, warnings: string[]): Pick<ColumnReport, 'role' | 'type' | 'reason'> {
  const { name, present, numbers, distinct } = profile;
  const numeric = isNumeric(profile);
  const type = numeric ? 'numeric' : 'categorical';
  if (present === 0) return { role: 'ignored', type, reason: 'every cell is missing' };
  if (distinct === 1) return { role: 'ignored', type, reason: 'every present cell is the same' };
  if (looksLikeIdentifier(profile)) {
    warnings.push(`Column "${name}" looks like an identifier and is ignored. To use it, name it under data.features.`);
    return { role: 'ignored', type, reason: 'looks like an identifier' };
  }
  if (numeric) return { role: 'feature', type, reason: 'every present cell is a number' };
  if (numbers / present >= MOSTLY_NUMBERS) {
    warnings.push(
      `Column "${name}": ${numbers} of ${present} cells are numbers, the other ${present - numbers} are not, so it counts as text. ` +
        `If they stand for missing values, add their spelling to data.na_values.`,
    );
  }
  if (distinct > MAX_CATEGORIES) {
    warnings.push(
      `Column "${name}" has ${distinct} categories and is ignored. To use it, set data.features.${name} to categorical.`,
    );
    return { role: 'ignored', type, reason: `text with ${distinct} categories (limit ${MAX_CATEGORIES})` };
  }
  return { role: 'feature', type, reason: `text with ${distinct} categories` };
}

function isNumeric(profile: ColumnProfile): boolean {
  return profile.present > 0 && profile.numbers === profile.present;
}

function looksLikeIdentifier(profile: ColumnProfile): boolean {
  const { name, present, distinct, integers, minimum, maximum } = profile;
  if (present < MIN_ROWS_FOR_IDENTIFIER || distinct < present) return false;
  if (!isNumeric(profile)) return true;
  return integers === present && (IDENTIFIER_NAME.test(name) || maximum - minimum === present - 1);
}

/** @returns the reason text of a usable target */
function checkTarget(profile: ColumnProfile): string {
  const { name, present, distinct } = profile;
  if (present === 0) throw new TensorkilnError('E_DATA', `[data.target] every cell of the target "${name}" is missing.`);
  if (distinct === 1) {
    throw new TensorkilnError(
      'E_DATA',
      `[data.target] the target "${name}" has one class only: expected at least two different values.`,
    );
  }
  const fractions = isNumeric(profile) && profile.integers < present;
  if (
    fractions ||
    distinct > Math.max(MAX_CATEGORIES, present / 10) ||
    (distinct === present && present >= MIN_ROWS_FOR_IDENTIFIER)
  ) {
    throw new TensorkilnError(
      'E_DATA',
      `[data.target] the target "${name}" is not a class label: expected few repeating values, got ${distinct} different ` +
        `${isNumeric(profile) ? 'numbers' : 'texts'} in ${present} rows.`,
    );
  }
  return `the target, ${distinct} classes`;
}
