/** How the model of a run, and simple models beside it, fare on rows it has not learned from. */
import {
  classCurves,
  classificationIntervals,
  evaluateClassification,
  evaluateRegression,
  linearBaseline,
  logisticBaseline,
  majorityBaseline,
  meanBaseline,
  pictureErrors,
  regressionIntervals,
  type ClassCurves,
  type ClassificationBaseline,
  type ClassificationIntervals,
  type ClassificationMetrics,
  type ErrorPicture,
  type RegressionBaseline,
  type RegressionIntervals,
  type RegressionMetrics,
} from '../evaluate/index.js';
import type { Dataset } from '../data/index.js';
import type { Trainer } from '../train/index.js';
import { countOutputs } from './build-model.js';
import { predictRows, type OutputMeaning } from './predict-rows.js';
import type { RunData } from './run-data.js';

/** A linear model of pixels is a yardstick, not a rival: to its optimum it would take longer than many a network takes to train. */
const PIXEL_ITERATIONS = 25;

/** What judging gave, by task. */
export type Judgement =
  | {
      readonly task: 'classification';
      readonly test: ClassificationMetrics;
      /** Undefined when the split has no validation part. */
      readonly validation: ClassificationMetrics | undefined;
      readonly baselines: readonly ClassificationBaseline[];
      readonly intervals: ClassificationIntervals;
      readonly curves: ClassCurves;
    }
  | {
      readonly task: 'regression';
      readonly test: RegressionMetrics;
      readonly validation: RegressionMetrics | undefined;
      readonly baselines: readonly RegressionBaseline[];
      readonly intervals: RegressionIntervals;
      readonly picture: ErrorPicture;
    };

export function meaningOf(data: RunData): OutputMeaning {
  return { task: data.task, outputs: countOutputs(data), targetScale: data.targetScale };
}

/**
 * Judges a trained model on the test and validation rows.
 *
 * @throws as the functions of `evaluate`
 */
export async function judgeRun(trainer: Trainer, data: RunData): Promise<Judgement> {
  const predict = (rows: Dataset): Promise<Float32Array> => predictRows(trainer, rows.features, meaningOf(data));
  const { train, validation, test, classes, task } = data;
  if (task === 'classification') {
    const probabilities = await predict(test);
    return {
      task,
      test: evaluateClassification(probabilities, test.targets, classes),
      validation:
        validation.size === 0 ? undefined : evaluateClassification(await predict(validation), validation.targets, classes),
      // The number of a token is no size, so a linear model of token numbers would say nothing.
      baselines: [
        ...(data.vocabulary === undefined
          ? [await logisticBaseline(train, test, classes, data.images === undefined ? {} : { maxIterations: PIXEL_ITERATIONS })]
          : []),
        majorityBaseline(train, test, classes),
      ],
      intervals: await classificationIntervals(probabilities, test.targets, classes),
      curves: classCurves(probabilities, test.targets, classes),
    };
  }
  const predictions = await predict(test);
  return {
    task,
    test: evaluateRegression(predictions, test.targets),
    validation: validation.size === 0 ? undefined : evaluateRegression(await predict(validation), validation.targets),
    baselines: [...(data.vocabulary === undefined ? [await linearBaseline(train, test)] : []), meanBaseline(train, test)],
    intervals: await regressionIntervals(predictions, test.targets),
    picture: pictureErrors(predictions, test.targets),
  };
}
