/** What a run of a language model does after training: judges, exports and writes. */
import { basename } from 'node:path';
import { packageVersion } from '../../native/load.js';
import { judge, languageBaselines, renderMarkdown, renderReport, type LanguageReport } from '../../evaluate/index.js';
import { exportSafetensors } from '../../export/index.js';
import type { Model } from '../../nn/index.js';
import type { TrainingHistory } from '../../train/index.js';
import { writeFileAtomic } from '../../write-file.js';
import type { ResolvedConfig } from '../config/resolve.js';
import type { RunFiles, RunResult } from '../run-events.js';
import { json, writeCurves } from '../run-results.js';
import { withSnakeKeys } from '../snake-case.js';
import { judgeTargets } from '../targets.js';
import { exportLanguageRun } from './export-language.js';
import { judgeText } from './judge-text.js';
import { windowsOf, type LanguageData } from './language-data.js';

export interface TrainedLanguageModel {
  readonly config: ResolvedConfig;
  readonly configText: string;
  readonly data: LanguageData;
  readonly files: RunFiles;
  readonly model: Model;
  readonly history: TrainingHistory;
}

/** @throws E_IO, and as `judgeText` */
export async function finishLanguageModel(run: TrainedLanguageModel): Promise<RunResult> {
  const { config, data, files, history, model } = run;
  const judged = { batchSize: config.training.batch_size };
  const test = await judgeText(model, windowsOf(data, 'test'), judged);
  const validation =
    data.text.parts.validation.length === 0 ? undefined : await judgeText(model, windowsOf(data, 'validation'), judged);
  const { text, vocabulary } = data;
  const baselines = languageBaselines(text.parts.train, text.parts.test, vocabulary);
  const targets = judgeTargets(config.targets, test);
  await exportSafetensors(model, files.weights);
  const verification = await exportLanguageRun(model, files.model, text);
  await writeFileAtomic(files.architecture, json(model.toJSON()));
  await writeFileAtomic(
    files.preprocessing,
    json({
      format: 'tensorkiln.preprocessing',
      version: 1,
      task: data.task,
      context_length: text.contextLength,
      vocabulary: text.vocabulary,
    }),
  );
  await writeFileAtomic(files.history, json(withSnakeKeys(history)));
  const report = describe(run, { metrics: test, baselines, targets });
  await writeFileAtomic(files.report, await renderReport(report));
  await writeFileAtomic(files.markdown, renderMarkdown(report));
  await writeCurves(files, history);
  const metrics = {
    task: data.task,
    test,
    ...(validation === undefined ? {} : { validation }),
    baselines: Object.fromEntries(baselines.map((baseline) => [baseline.name, baseline.metrics])),
    characters: report.run.rows,
    unknown: text.unknown,
    vocabulary: text.vocabulary.length,
    bestEpoch: history.bestEpoch,
    stopReason: history.stopReason,
    onnxVerification: verification,
    targets,
    testLook: 1,
    verdict: judge(report),
  };
  await writeFileAtomic(files.metrics, json(withSnakeKeys(metrics)));
  return {
    stopReason: history.stopReason,
    bestEpoch: history.bestEpoch,
    test,
    validation,
    baselines: baselines.map(({ name, metrics: scores }) => ({ ...scores, name })),
    verification,
    targets,
    files,
  };
}

function describe(
  { config, configText, data, history, model }: TrainedLanguageModel,
  judged: Pick<LanguageReport, 'metrics' | 'baselines' | 'targets'>,
): LanguageReport {
  const { train, validation, test } = data.text.parts;
  const strange = data.text.unknown.validation + data.text.unknown.test;
  return {
    ...judged,
    task: 'language_model',
    title: `Language of ${basename(config.data.path)}`,
    history,
    warnings:
      strange === 0
        ? []
        : [`${strange} characters outside the training part are none of its ${data.text.vocabulary.length}: all count as one.`],
    run: {
      finishedAt: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
      configText,
      seeds: { training: config.training.seed },
      versions: { tensorkiln: packageVersion(), node: process.versions.node },
      rows: { train: train.length, validation: validation.length, test: test.length },
      features: [`the ${data.text.contextLength} characters before`],
      modelSummary: model.summary(),
      details: {
        data: config.data.path,
        device: config.device,
        characters: `${data.text.vocabulary.length} different ones`,
        parameters: String(model.countParameters().total),
      },
    },
  };
}
