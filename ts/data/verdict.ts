import type { ColumnReport, Task } from './columns.js';
import type { OutlierReport } from './outliers.js';
import type { ColumnProfile } from './profile.js';

export type CheckLevel = 'ok' | 'warning' | 'failed';

/** One thing that was looked at before training. */
export interface DataCheck {
  readonly id:
    | 'rows'
    | 'columns'
    | 'missing'
    | 'numbers'
    | 'target'
    | 'balance'
    | 'identifiers'
    | 'leakage'
    | 'duplicates'
    | 'overlap'
    | 'outliers'
    | 'drift';
  readonly level: CheckLevel;
  readonly message: string;
}

/** Whether the data is fit for training, and what would make the result better. */
export interface DataVerdict {
  /** The worst level of all checks: `ok`, `warnings` or `failed`. */
  readonly status: 'ok' | 'warnings' | 'failed';
  readonly checks: readonly DataCheck[];
  readonly advice: readonly string[];
}

export interface VerdictInput {
  readonly task: Task;
  readonly columns: readonly ColumnReport[];
  readonly profiles: readonly ColumnProfile[];
  /** Columns of numbers that count as text for how some cells are written. */
  readonly disguised: readonly string[];
  readonly rows: number;
  readonly missingTarget: number;
  /** Rows of each class, in all parts; empty for regression. */
  readonly classes: readonly { readonly name: string; readonly rows: number }[];
  readonly duplicates: number;
  /** Rows of the test part that are also in the training part, target included. */
  readonly overlap: number;
  readonly testRows: number;
  readonly outliers: readonly OutlierReport[];
  readonly leaks: readonly LeakSuspect[];
  /** Share of the target's change that the order of rows in time explains; undefined without a column of dates. */
  readonly drift: DriftReport | undefined;
}

/** A feature that alone tells the target. */
export interface LeakSuspect {
  readonly name: string;
  /** Share of the target it explains on its own: accuracy gain over the majority class, or squared correlation. */
  readonly strength: number;
}

export interface DriftReport {
  /** The column of dates. */
  readonly name: string;
  /** Distance of the target between the earlier and the later half, in standard deviations or as largest change of a class share. */
  readonly change: number;
  readonly splitByTime: boolean;
}

/** Fewer rows than this leave one held-out part too small to trust. */
const FEW_ROWS = 1000;
/** Below this nothing that is learned can be told from chance. */
const LEAST_ROWS = 10;
const STRONG_IMBALANCE = 100;
const MUCH_MISSING = 0.5;
/** A feature this strong is more likely a copy of the target than a lucky find. */
export const LEAK_FAILED = 0.9999;
export const LEAK_WARNING = 0.98;
const DRIFT_WARNING = 0.2;

/** Judges the data. Each check gives at most a few lines; nothing of a row is told but declared category names of the target. */
export function judge(input: VerdictInput): DataVerdict {
  const checks = [
    checkRows(input),
    ...checkColumns(input),
    ...checkMissing(input),
    ...checkNumbers(input),
    ...checkClasses(input),
    ...checkLeaks(input),
    ...checkRepeats(input),
    ...checkOutliers(input),
    ...checkDrift(input),
  ];
  const worst = checks.some(({ level }) => level === 'failed')
    ? 'failed'
    : checks.some(({ level }) => level === 'warning')
      ? 'warnings'
      : 'ok';
  return { status: worst, checks, advice: advise(input) };
}

function checkRows({ rows, missingTarget }: VerdictInput): DataCheck {
  const usable = rows - missingTarget;
  if (usable < LEAST_ROWS)
    return { id: 'rows', level: 'failed', message: `${usable} rows with a target: expected at least ${LEAST_ROWS}.` };
  return { id: 'rows', level: 'ok', message: `${rows} rows.` };
}

function checkColumns({ columns }: VerdictInput): DataCheck[] {
  const ignored = columns.filter(({ role }) => role === 'ignored');
  const named = (reason: string): string[] =>
    ignored.filter((column) => column.reason === reason).map(({ name }) => `"${name}"`);
  const checks: DataCheck[] = [];
  const unusable = [...named('every cell is missing'), ...named('every present cell is the same')];
  if (unusable.length > 0)
    checks.push({ id: 'columns', level: 'warning', message: `Empty or constant columns are left out: ${list(unusable)}.` });
  const crowded = ignored.filter(({ reason }) => /^text with \d+ categories/.test(reason)).map(({ name }) => `"${name}"`);
  if (crowded.length > 0) {
    checks.push({
      id: 'columns',
      level: 'warning',
      message: `Columns of very many categories are left out: ${list(crowded)}.`,
    });
  }
  const identifiers = named('looks like an identifier');
  if (identifiers.length > 0)
    checks.push({
      id: 'identifiers',
      level: 'warning',
      message: `Columns that look like identifiers are left out: ${list(identifiers)}.`,
    });
  return checks;
}

function checkMissing({ columns, rows, missingTarget }: VerdictInput): DataCheck[] {
  const checks: DataCheck[] = [];
  const sparse = columns
    .filter(({ role, missing }) => role === 'feature' && missing > MUCH_MISSING * rows)
    .map(({ name, missing }) => `"${name}" (${Math.round((100 * missing) / rows)} %)`);
  if (sparse.length > 0)
    checks.push({ id: 'missing', level: 'warning', message: `More than half of the cells are missing in ${list(sparse)}.` });
  if (missingTarget > MUCH_MISSING * rows) {
    checks.push({
      id: 'target',
      level: 'failed',
      message: `${missingTarget} of ${rows} rows have no target: expected at least half to have one.`,
    });
  } else if (missingTarget > 0) {
    checks.push({
      id: 'target',
      level: 'warning',
      message: `${missingTarget} of ${rows} rows have no target and are left out.`,
    });
  }
  return checks;
}

/** Numbers lost to text; infinite ones, which formats other than CSV can hold, with which no mean, scale or step of training is finite. */
function checkNumbers({ columns, profiles, disguised }: VerdictInput): DataCheck[] {
  const checks: DataCheck[] = [];
  if (disguised.length > 0) {
    const message = `Columns of numbers count as text for how some cells are written: ${list(disguised.map((name) => `"${name}"`))}.`;
    checks.push({ id: 'numbers', level: 'warning', message });
  }
  const used = new Set(columns.flatMap(({ name, role }) => (role === 'ignored' ? [] : [name])));
  const infinite = profiles
    .filter(({ name, minimum, maximum }) => used.has(name) && (minimum === -Infinity || maximum === Infinity))
    .map(({ name }) => `"${name}"`);
  if (infinite.length === 0) return checks;
  const message = `Infinite numbers in ${list(infinite)}: expected finite ones. Make them null, or ignore the column under features.`;
  return [...checks, { id: 'numbers', level: 'failed', message }];
}

function checkClasses({ classes }: VerdictInput): DataCheck[] {
  if (classes.length === 0) return [];
  const checks: DataCheck[] = [];
  const single = classes.filter(({ rows }) => rows === 1).map(({ name }) => `"${name}"`);
  if (single.length > 0) {
    checks.push({
      id: 'balance',
      level: 'warning',
      message: `Classes of one row cannot be tested: ${list(single)}. Merge them under data.replace, or collect more.`,
    });
  }
  const { ratio, rarest, commonest } = imbalance(classes);
  if (ratio >= STRONG_IMBALANCE) {
    checks.push({
      id: 'balance',
      level: 'warning',
      message: `Classes are ${Math.round(ratio)} to 1: ${commonest.rows} rows of "${commonest.name}", ${rarest.rows} of "${rarest.name}".`,
    });
  }
  return checks;
}

function imbalance(classes: VerdictInput['classes']): {
  readonly ratio: number;
  readonly rarest: VerdictInput['classes'][number];
  readonly commonest: VerdictInput['classes'][number];
} {
  const sorted = classes.toSorted((a, b) => a.rows - b.rows);
  const [rarest, commonest] = [sorted[0], sorted.at(-1)];
  const none = { name: '', rows: 1 };
  return {
    ratio: (commonest?.rows ?? 1) / Math.max(1, rarest?.rows ?? 1),
    rarest: rarest ?? none,
    commonest: commonest ?? none,
  };
}

function checkLeaks({ leaks }: VerdictInput): DataCheck[] {
  return leaks.map(({ name, strength }) => ({
    id: 'leakage',
    level: strength >= LEAK_FAILED ? 'failed' : 'warning',
    message: `Column "${name}" alone tells the target (${(100 * strength).toFixed(1)} %): is it known before the target is? If not, set features.${name} to ignore.`,
  }));
}

function checkRepeats({ duplicates, rows, overlap, testRows }: VerdictInput): DataCheck[] {
  const checks: DataCheck[] = [];
  if (duplicates > 0) {
    checks.push({
      id: 'duplicates',
      level: duplicates > rows / 2 ? 'warning' : 'ok',
      message: `${duplicates} of ${rows} rows repeat an earlier row in all columns used. To drop them, set data.duplicates to drop.`,
    });
  }
  if (overlap > 0) {
    checks.push({
      id: 'overlap',
      // A tenth of the test rows seen in training moves any score by more than its uncertainty.
      level: overlap > testRows / 10 ? 'warning' : 'ok',
      message: `${overlap} of ${testRows} test rows are also in the training part, in all columns used.`,
    });
  }
  return checks;
}

function checkOutliers({ outliers }: VerdictInput): DataCheck[] {
  const found = outliers.filter(({ rows }) => rows > 0).map(({ name, rows }) => `"${name}" (${rows})`);
  return found.length === 0
    ? []
    : [{ id: 'outliers', level: 'ok', message: `Training rows with outliers, by column: ${list(found)}.` }];
}

function checkDrift({ drift }: VerdictInput): DataCheck[] {
  if (drift === undefined || drift.change < DRIFT_WARNING || drift.splitByTime) return [];
  return [
    { id: 'drift', level: 'warning', message: `The target drifts over "${drift.name}": a random split mixes past and future.` },
  ];
}

function advise({ task, rows, missingTarget, classes, drift }: VerdictInput): string[] {
  const advice: string[] = [];
  const usable = rows - missingTarget;
  if (usable < FEW_ROWS)
    advice.push(
      `With ${usable} rows one held-out part says little: use k-fold cross-validation (--k-fold 5) for a mean and a deviation.`,
    );
  if (task === 'classification' && classes.length > 0 && imbalance(classes).ratio >= STRONG_IMBALANCE) {
    advice.push(
      'With classes this uneven accuracy is high for a model that knows nothing: use class weights or focal loss, and judge by PR-AUC and MCC.',
    );
  }
  if (drift !== undefined && drift.change >= DRIFT_WARNING && !drift.splitByTime)
    advice.push(
      `The target drifts over time: set split.method to time and split.by to ${drift.name}, so that the test is the future.`,
    );
  return advice;
}

function list(names: readonly string[]): string {
  return names.length <= 10 ? names.join(', ') : `${names.slice(0, 10).join(', ')} and ${names.length - 10} more`;
}
