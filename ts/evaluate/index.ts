export { logisticBaseline, majorityBaseline } from './baselines.js';
export type { ClassificationBaseline, LogisticBaselineResult, LogisticOptions } from './baselines.js';
export { bootstrap, regressionIntervals } from './bootstrap.js';
export type { BootstrapOptions, Interval, RegressionIntervals } from './bootstrap.js';
export { classCurves } from './class-curves.js';
export type { Calibration, CalibrationBin, ClassCurve, ClassCurves, CurvePoints } from './class-curves.js';
export { classificationIntervals } from './classification-intervals.js';
export type { ClassificationIntervals } from './classification-intervals.js';
export { pictureErrors } from './error-picture.js';
export type { ErrorPicture } from './error-picture.js';
export { evaluateClassification } from './metrics.js';
export type { ClassificationMetrics, ClassMetrics, EvaluateClassificationOptions } from './metrics.js';
export { evaluateLanguage, languageBaselines } from './language.js';
export type { LanguageBaseline, LanguageMetrics } from './language.js';
export { linearBaseline, meanBaseline } from './regression-baselines.js';
export type { LinearBaselineResult, RegressionBaseline } from './regression-baselines.js';
export { evaluateRegression } from './regression.js';
export type { RegressionMetrics } from './regression.js';
export { renderReport, renderTrainingCurves } from './report.js';
export { metricRows, type MetricRow } from './report/metric-rows.js';
export { choiceOf } from './report/kept-epoch.js';
export { renderMarkdown } from './report/markdown.js';
export { wilsonInterval } from './report/classification-verdict.js';
export type {
  ClassificationReport,
  EpochPoint,
  LanguageReport,
  LearningHistory,
  RegressionReport,
  ReportColumn,
  ReportFacts,
  ReportInput,
  ReportTarget,
  RunFacts,
} from './report/types.js';
export type { Note, Tone, Verdict, VerdictFacts } from './report/verdict-types.js';
export { judge } from './report/verdict.js';

import type { ClassificationBaseline } from './baselines.js';
import type { ClassificationMetrics } from './metrics.js';
import type { LanguageBaseline, LanguageMetrics } from './language.js';
import type { RegressionBaseline } from './regression-baselines.js';
import type { RegressionMetrics } from './regression.js';

/** What a model is judged by. */
export type Metrics = ClassificationMetrics | LanguageMetrics | RegressionMetrics;
/** A simple model beside it. */
export type BaselineResult = ClassificationBaseline | LanguageBaseline | RegressionBaseline;
