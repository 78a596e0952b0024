export { logisticBaseline, majorityBaseline } from './baselines.js';
export type { BaselineResult, LogisticBaselineResult, LogisticOptions } from './baselines.js';
export { evaluateClassification } from './metrics.js';
export type { ClassificationMetrics, ClassMetrics } from './metrics.js';
export { renderReport, renderTrainingCurves } from './report.js';
export type { EpochPoint, LearningHistory, ReportColumn, ReportInput, RunFacts } from './report/types.js';
export { judge, wilsonInterval } from './report/verdict.js';
export type { Note, Tone, Verdict } from './report/verdict.js';
