import { TensorkilnError } from '../errors.js';
import type { FeatureOptions, FeatureType } from './feature-options.js';
import type { ColumnProfile } from './profile.js';
import { missingColumn } from './table.js';

export type Task = 'classification' | 'regression';
export type ColumnType = Exclude<FeatureType, 'ignore'>;

/** What a column is used for, and why. */
export interface ColumnReport {
  readonly name: string;
  readonly role: 'target' | 'feature' | 'ignored';
  readonly type: ColumnType;
  /** Why it has this role and type, in words for people. */
  readonly reason: string;
  readonly missing: number;
  /** A lower bound for a column of very many different numbers. */
  readonly distinct: number;
}

export interface ColumnDecisions {
  readonly task: Task;
  /** In file order. */
  readonly columns: readonly ColumnReport[];
  /** Things a user should look at. */
  readonly warnings: readonly string[];
  /** Columns of numbers but for how cells are written, which therefore count as text; each has its warning. */
  readonly disguised: readonly string[];
}

export interface DecideOptions {
  readonly target: string;
  /** Default: regression for a target of numbers with fractions or with very many different ones, else classification. */
  readonly task?: Task;
  readonly features?: Readonly<Record<string, FeatureOptions>>;
  /** Columns that are no features because the split goes by them. */
  readonly reserved?: readonly string[];
}

/** Above this many categories one-hot columns outweigh what they tell; such a text column is left out unless the config names it. */
export const MAX_CATEGORIES = 100;
/** A table shorter than this says nothing about whether distinct values are identifiers. */
const MIN_ROWS_FOR_IDENTIFIER = 20;
/** From this share of numbers on, a text column is more likely numeric with an unknown spelling of "missing". */
const MOSTLY_NUMBERS = 0.9;
/** From this many words a cell on, on average, different texts are sentences, not identifiers. */
const WORDS_OF_TEXT = 4;
const IDENTIFIER_NAME = /^(id|index|idx|row|unnamed.*|.*[_ -](id|index)|.*Id)$/;

/**
 * Decides role and type of every column from its profile.
 *
 * Numeric: every present cell is a number. Boolean: a pair such as yes and no. Date: every present cell is one. Text: many different cells
 * of several words. Ignored: empty or constant columns; identifiers (all present cells differ, and the column is short text, or counts up
 * without a gap, or is named like an identifier); text with more than 100 categories. The rest is categorical. `features` wins over this.
 *
 * @throws E_DATA when the target or a column under `features` is not in the table, the target does not fit the task, or no feature is left
 */
export function decideColumns(profiles: readonly ColumnProfile[], options: DecideOptions): ColumnDecisions {
  const { target, features = {}, reserved = [] } = options;
  const names = profiles.map((profile) => profile.name);
  for (const name of [target, ...Object.keys(features), ...reserved]) {
    if (!names.includes(name)) throw missingColumn(placeOf(name, options), name, names);
  }
  if (Object.hasOwn(features, target)) {
    throw new TensorkilnError('E_DATA', `[features] "${target}" is the target: expected only feature columns under features.`);
  }
  const warnings: string[] = [];
  const disguised: string[] = [];
  let task: Task = 'classification';
  const columns = profiles.map((profile): ColumnReport => {
    const base = { name: profile.name, missing: profile.missing, distinct: profile.distinct };
    if (profile.name === target) {
      task = options.task ?? inferTask(profile);
      const type = task === 'regression' ? 'numeric' : 'categorical';
      return { ...base, role: 'target', type, reason: checkTarget(profile, task) };
    }
    const wanted = features[profile.name]?.type;
    if (wanted === 'ignore')
      return { ...base, role: 'ignored', type: plainType(profile), reason: 'ignored in the configuration' };
    if (wanted !== undefined) return { ...base, role: 'feature', type: wanted, reason: `${wanted} in the configuration` };
    if (reserved.includes(profile.name))
      return { ...base, role: 'ignored', type: plainType(profile), reason: 'the split goes by it' };
    return { ...base, ...infer(profile, { warnings, disguised, isNamed: Object.hasOwn(features, profile.name) }) };
  });
  if (!columns.some((column) => column.role === 'feature')) {
    throw new TensorkilnError(
      'E_DATA',
      `[data] no feature column is left beside the target "${target}". Name some under features.`,
    );
  }
  return { task, columns, warnings, disguised };
}

function placeOf(name: string, { target, features = {} }: DecideOptions): string {
  return name === target ? 'data.target' : Object.hasOwn(features, name) ? 'features' : 'split.by';
}

interface InferContext {
  readonly warnings: string[];
  /** As in ColumnDecisions. */
  readonly disguised: string[];
  /** Whether the configuration names the column, if only to say how it is to be encoded: then it is wanted. */
  readonly isNamed: boolean;
}

function infer(
  profile: ColumnProfile,
  { warnings, disguised, isNamed }: InferContext,
): Pick<ColumnReport, 'role' | 'type' | 'reason'> {
  const { name, present, distinct } = profile;
  const type = plainType(profile);
  if (present === 0) return { role: 'ignored', type, reason: 'every cell is missing' };
  if (distinct === 1) return { role: 'ignored', type, reason: 'every present cell is the same' };
  const disguise = type === 'categorical' ? numbersAsText(profile) : undefined;
  if (disguise !== undefined) {
    warnings.push(disguise.warning);
    disguised.push(name);
  }
  if (!isNamed && looksLikeIdentifier(profile)) {
    if (disguise === undefined)
      warnings.push(`Column "${name}" looks like an identifier and is ignored. To use it, name it under features.`);
    return { role: 'ignored', type, reason: disguise?.reason ?? 'looks like an identifier' };
  }
  switch (type) {
    case 'numeric':
      return { role: 'feature', type, reason: 'every present cell is a number' };
    case 'boolean':
      return { role: 'feature', type, reason: 'every present cell is yes or no' };
    case 'date':
      return { role: 'feature', type, reason: 'every present cell is a date' };
    case 'text':
      return { role: 'feature', type, reason: `text of ${Math.round(profile.words)} words on average` };
    case 'categorical':
      break;
  }
  if (distinct > MAX_CATEGORIES && !isNamed) {
    warnings.push(
      `Column "${name}" has ${distinct} categories and is ignored. To use it, set features.${name}.encoding to hash or target.`,
    );
    return { role: 'ignored', type, reason: `text with ${distinct} categories (limit ${MAX_CATEGORIES})` };
  }
  return { role: 'feature', type, reason: categoricalReason(profile) };
}

/** What keeps a column of numbers from being one, and what to do; undefined for a column that is none. */
function numbersAsText(profile: ColumnProfile): { readonly warning: string; readonly reason: string } | undefined {
  const { name, present, numbers, missingLike, missingWords, grouped } = profile;
  // Postcodes and long identifiers are meant to be text.
  if (profile.leadingZeros > 0 || profile.inexact > 0) return undefined;
  const [counts, end] = [`Column "${name}": ${numbers} of ${present} cells are numbers`, 'so it counts as text.'];
  if (missingLike > 0 && numbers / (present - missingLike) >= MOSTLY_NUMBERS) {
    const words = missingWords.map((word) => `"${word}"`).join(', ');
    const them = missingWords.length === 1 ? 'it' : 'them';
    return {
      warning: `${counts}, and ${missingLike} are ${words}, ${end} If they stand for missing values, add ${them} to data.na_values.`,
      reason: 'numbers beside words for missing cells',
    };
  }
  if (numbers / present >= MOSTLY_NUMBERS) {
    return {
      warning:
        `${counts}, the other ${present - numbers} are not, ${end} ` +
        `If they stand for missing values, add their spelling to data.na_values.`,
      reason: 'numbers beside other cells',
    };
  }
  if (grouped > 0 && (grouped + numbers) / present >= MOSTLY_NUMBERS) {
    return {
      warning:
        `Column "${name}": ${grouped} of ${present} cells look like numbers with thousands signs, ${end} ` +
        `To read them as numbers, set data.csv.thousands.`,
      reason: 'numbers with thousands signs',
    };
  }
  return undefined;
}

/** For messages about a target. */
function hint(profile: ColumnProfile): string {
  const disguise = isNumeric(profile) ? undefined : numbersAsText(profile);
  return disguise === undefined ? '' : ` ${disguise.warning}`;
}

function categoricalReason({ distinct, leadingZeros, inexact }: ColumnProfile): string {
  const why = leadingZeros > 0 ? ', digits with leading zeros' : inexact > 0 ? ', integers beyond 2^53' : '';
  return `text with ${distinct} categories${why}`;
}

/** The type by content alone. */
function plainType(profile: ColumnProfile): ColumnType {
  if (isNumeric(profile)) return 'numeric';
  if (profile.isBoolean) return 'boolean';
  if (profile.dateOrder !== undefined) return 'date';
  return profile.words >= WORDS_OF_TEXT && profile.distinct > MAX_CATEGORIES ? 'text' : 'categorical';
}

function isNumeric(profile: ColumnProfile): boolean {
  return profile.present > 0 && profile.numbers === profile.present;
}

function looksLikeIdentifier(profile: ColumnProfile): boolean {
  const { name, present, distinct, distinctExact, integers, minimum, maximum } = profile;
  if (present < MIN_ROWS_FOR_IDENTIFIER || !distinctExact || distinct < present) return false;
  const type = plainType(profile);
  if (type !== 'numeric') return type === 'categorical';
  return integers === present && (IDENTIFIER_NAME.test(name) || maximum - minimum === present - 1);
}

function manyValues({ distinct, present }: ColumnProfile): boolean {
  return distinct > Math.max(MAX_CATEGORIES, present / 10) || (distinct === present && present >= MIN_ROWS_FOR_IDENTIFIER);
}

function inferTask(profile: ColumnProfile): Task {
  return isNumeric(profile) && (profile.integers < profile.present || manyValues(profile)) ? 'regression' : 'classification';
}

/** @returns the reason text of a usable target */
function checkTarget(profile: ColumnProfile, task: Task): string {
  const { name, present, distinct } = profile;
  if (present === 0) throw new TensorkilnError('E_DATA', `[data.target] every cell of the target "${name}" is missing.`);
  if (distinct === 1) {
    throw new TensorkilnError(
      'E_DATA',
      `[data.target] the target "${name}" has one ${task === 'regression' ? 'value' : 'class'} only: expected at least two different values.`,
    );
  }
  if (task === 'regression') {
    if (!isNumeric(profile)) {
      throw new TensorkilnError(
        'E_DATA',
        `[data.target] the target "${name}" is not numeric: expected numbers for regression, got ${present - profile.numbers} other cells of ${present}.${hint(profile)}`,
      );
    }
    return 'the target, a number';
  }
  if (manyValues(profile)) {
    throw new TensorkilnError(
      'E_DATA',
      `[data.target] the target "${name}" is not a class label: expected few repeating values, got ${distinct} different ` +
        `${isNumeric(profile) ? 'numbers' : 'texts'} in ${present} rows.${hint(profile)}`,
    );
  }
  return `the target, ${distinct} classes`;
}
