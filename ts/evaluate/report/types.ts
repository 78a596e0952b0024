import type { ClassificationBaseline } from '../baselines.js';
import type { RegressionIntervals } from '../bootstrap.js';
import type { ClassCurves } from '../class-curves.js';
import type { ClassificationIntervals } from '../classification-intervals.js';
import type { LanguageBaseline, LanguageMetrics } from '../language.js';
import type { ErrorPicture } from '../error-picture.js';
import type { ClassificationMetrics } from '../metrics.js';
import type { RegressionBaseline } from '../regression-baselines.js';
import type { RegressionMetrics } from '../regression.js';

/** What a report shows of one epoch; a training history's records have these fields and more. */
export interface EpochPoint {
  readonly epoch: number;
  readonly trainLoss: number;
  readonly validationLoss?: number;
  readonly validationAccuracy?: number;
  readonly seconds?: number;
}

/** What a report shows of a training run; a training history has these fields and more. */
export interface LearningHistory {
  readonly epochs: readonly EpochPoint[];
  /** Epoch whose weights the judged model holds. */
  readonly bestEpoch: number;
  readonly stopReason: 'epochs' | 'early_stopping' | 'aborted' | 'max_time' | 'stopped' | 'diverged';
}

/** One column of the source table. */
export interface ReportColumn {
  readonly name: string;
  readonly role: 'target' | 'feature' | 'ignored';
  readonly type: string;
  /** Why it has this role, in words for people. */
  readonly reason?: string;
  readonly missing: number;
  readonly distinct: number;
}

/** Everything that says how the model came to be. */
export interface RunFacts {
  /** When the run ended, ready to be shown. */
  readonly finishedAt?: string;
  /** The resolved configuration as text. */
  readonly configText?: string;
  readonly seeds: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, string>>;
  /** Rows per part, e.g. { train, validation, test }. */
  readonly rows: Readonly<Record<string, number>>;
  /** Names of the model's inputs. */
  readonly features: readonly string[];
  /** Layers of the model, one per line. */
  readonly modelSummary?: string;
  /** Anything else worth a line: device, file, number of parameters. */
  readonly details?: Readonly<Record<string, string>>;
}

/** A threshold that a metric had to reach, and whether it did. */
export interface ReportTarget {
  readonly metric: string;
  readonly threshold: number;
  /** Null where the metric is not defined. */
  readonly value: number | null;
  readonly isMet: boolean;
}

/** What a verdict takes into account besides metrics. */
export interface JudgedFacts {
  readonly history: LearningHistory;
  readonly targets?: readonly ReportTarget[];
  /** How often these test rows have been looked at, this time included; default 1. */
  readonly testLook?: number;
  /** What the validation of the data found wrong, where the model was trained all the same. */
  readonly dataFailures?: readonly string[];
}

/** What every report shows. */
export interface ReportFacts extends JudgedFacts {
  readonly title: string;
  readonly run: RunFacts;
  readonly columns?: readonly ReportColumn[];
  /** Things about the data a reader should know. */
  readonly warnings?: readonly string[];
}

export interface ClassificationReport extends ReportFacts {
  readonly task: 'classification';
  /** Metrics of the held-out test rows. */
  readonly metrics: ClassificationMetrics;
  /** Simple models judged on the same rows. */
  readonly baselines: readonly ClassificationBaseline[];
  readonly intervals?: ClassificationIntervals;
  readonly curves?: ClassCurves;
}

export interface RegressionReport extends ReportFacts {
  readonly task: 'regression';
  /** Metrics of the held-out test rows. */
  readonly metrics: RegressionMetrics;
  /** Simple models judged on the same rows. */
  readonly baselines: readonly RegressionBaseline[];
  readonly intervals?: RegressionIntervals;
  readonly picture?: ErrorPicture;
}

export interface LanguageReport extends ReportFacts {
  readonly task: 'language_model';
  /** Metrics of the held-out text. */
  readonly metrics: LanguageMetrics;
  /** Counting, judged on the same text. */
  readonly baselines: readonly LanguageBaseline[];
}

export type ReportInput = ClassificationReport | RegressionReport | LanguageReport;

/** What a verdict is made of. */
export type JudgedRun =
  | (Pick<ClassificationReport, 'task' | 'metrics' | 'baselines' | 'curves'> & JudgedFacts)
  | (Pick<RegressionReport, 'task' | 'metrics' | 'baselines' | 'intervals'> & JudgedFacts)
  | (Pick<LanguageReport, 'task' | 'metrics' | 'baselines'> & JudgedFacts);
