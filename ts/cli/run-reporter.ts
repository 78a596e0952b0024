import { existsSync } from 'node:fs';
import { styleText } from 'node:util';
import { columnTable, type DataCounts, type DataVerdict } from '../data/index.js';
import type { TrainingHistory } from '../train/index.js';
import { choiceOf } from '../evaluate/index.js';
import { errorCodeOf } from '../errors.js';
import type { Output } from './output.js';
import { relativePath } from './relative-path.js';
import { formatLoss, ProgressLine } from './progress-line.js';
import type { PretrainedEvent, RunResult, TextEvent } from '../run/run-events.js';
import type { Scores } from '../run/scores.js';
import type { SeriesEvent, SeriesResult } from '../run/series.js';
import { withSnakeKeys } from '../run/snake-case.js';
import { scoreTable, seriesLines } from './score-table.js';

/** Shows a run's events to someone. */
export interface RunReporter {
  event(event: SeriesEvent): void;
  /** A line that is no event, such as what a signal does. */
  notice(text: string): void;
  /** What several runs have in common. */
  series(result: SeriesResult): void;
  /** Told before the error is described on stderr. */
  failure(error: unknown): void;
}

const BASELINE_LABELS = {
  logistic: 'logistic regression',
  majority: 'majority class',
  linear: 'linear regression',
  mean: 'mean of the target',
  bigram: 'pairs of characters',
  unigram: 'single characters',
} as const;

/** How products of 16-bit operands are computed. */
const PRODUCTS = {
  avx512_bf16: 'by AVX512-BF16',
  float32: 'in float32: less memory, no more speed on this processor',
  device: 'by the GPU in 16 bits',
} as const;

/** For people: a few lines, and the held-out result beside its baselines at the end. */
export class TextReporter implements RunReporter {
  readonly #output: Output;
  #progress: ProgressLine | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  event(event: SeriesEvent): void {
    switch (event.type) {
      case 'series_run':
        this.#line(
          `${event.index === 1 ? '' : '\n'}${this.#style('bold', `${event.kind === 'fold' ? 'Fold' : 'Run'} ${event.index} of ${event.of}`)}`,
        );
        break;
      case 'lock_taken_over':
        this.#line(
          `${this.#style('yellow', 'Note:')} the run of process ${event.pid} in this folder did not end; its lock is taken over.`,
        );
        break;
      case 'resumed':
        for (const { reason } of event.damaged)
          this.#line(`${this.#style('yellow', 'Note:')} ${reason} The one before it is used.`);
        this.#line(`Going on from ${relativePath(event.file)}: epoch ${event.epoch}, after step ${event.step}`);
        break;
      case 'resolved':
        for (const { key, value, why } of event.decisions)
          if (!key.startsWith('features.') && key !== 'output') this.#line(`Chosen: ${key} = ${String(value)}, because ${why}`);
        break;
      case 'text_ready':
        this.#line(describeText(event));
        break;
      case 'pretrained':
        this.#line(describePretrained(event));
        break;
      case 'learning_rate':
        this.#line(`Learning rate lowered from ${event.from} to ${event.to} after epoch ${event.epoch}: no improvement`);
        break;
      case 'rollback':
        this.#line(
          `${this.#style('yellow', 'Note:')} steps were not finite; weights of ${'file' in event.source ? relativePath(event.source.file) : `epoch ${event.source.epoch}`} are back, learning rate lowered from ${event.from} to ${event.to}`,
        );
        break;
      case 'micro_batch':
        this.#line(`${this.#style('yellow', 'Note:')} memory ran out; batches are computed ${event.rows} rows at a time`);
        break;
      case 'unfrozen':
        this.#line(`Trained from epoch ${event.epoch} on: ${event.layers.join(', ')}`);
        break;
      case 'advice':
        this.#line(`${this.#style('yellow', 'Advice:')} ${event.message}`);
        break;
      case 'data_read':
        this.#line(`Read ${relativePath(event.path)}: ${event.rows} rows, ${event.columns} columns`);
        break;
      case 'data_warning':
        this.#line(`${this.#style('yellow', 'Note:')} ${event.message}`);
        break;
      case 'data_columns':
        for (const line of columnTable(event.columns)) this.#line(`  ${line}`);
        break;
      case 'data_verdict':
        this.#verdict(event.verdict, event.forced);
        break;
      case 'data_ready':
        this.#line(describeData(event.counts, event.features));
        break;
      case 'start':
        this.#progress = new ProgressLine(this.#output, event);
        this.#line(
          `Training ${event.parameters} parameters, ${event.stepsPerEpoch} steps an epoch, at most ${event.epochs} ${event.epochs === 1 ? 'epoch' : 'epochs'}`,
        );
        break;
      case 'epoch':
        this.#progress?.epoch(event.record);
        break;
      case 'end':
        this.#line(describeEnd(event.history));
        break;
      case 'run_end':
        this.#result(event.result);
        break;
      case 'step':
        this.#progress?.step(event);
        break;
      case 'precision':
        this.#line(`Activations are stored as ${event.precision}; their products are computed ${PRODUCTS[event.products]}`);
        break;
      case 'not_compiled':
        this.#line(`the ${event.step} step runs uncompiled: ${event.reason}`);
        break;
      case 'run_start':
      case 'skipped':
      case 'non_finite': // the advice that follows says it in words
      case 'gradients':
      case 'checkpoint':
      case 'evaluated':
        break;
    }
  }

  notice(text: string): void {
    this.#line(text);
  }

  series({ runs, planned, aborted, test, folder }: SeriesResult): void {
    this.#line('');
    if (aborted)
      this.#line(
        `${this.#style('yellow', 'Note:')} interrupted: ${runs.length} of ${planned} runs were trained to their end, and only they count.`,
      );
    if (runs.length > 0)
      this.#line(
        this.#style('bold', `Held-out result of ${runs.length} run${runs.length === 1 ? '' : 's'}, mean ± standard deviation`),
      );
    for (const line of seriesLines({ runs, test })) this.#line(line);
    this.#line(`Runs: ${relativePath(folder)}`);
  }

  failure(): void {
    this.#progress?.clear();
  }

  #line(text: string): void {
    this.#progress?.clear();
    this.#output.line(text);
  }

  #verdict({ status, checks, advice }: DataVerdict, forced: boolean): void {
    const color = { ok: 'green', warnings: 'yellow', failed: 'red' } as const;
    this.#line(`Data: ${this.#style(color[status], status)}${forced ? ', trained all the same (--force)' : ''}`);
    for (const { id, level, message } of checks) if (id !== 'rows') this.#line(`  ${level}: ${message}`);
    for (const text of advice) this.#line(`  Advice: ${text}`);
  }

  #result({ test, baselines, verification, targets, files }: RunResult): void {
    const rows: readonly (readonly [string, Scores])[] = [
      ['this model', test],
      ...baselines.map((baseline) => [BASELINE_LABELS[baseline.name], baseline] as const),
    ];
    this.#line('');
    this.#line(
      this.#style('bold', `Held-out result on ${test.rows} ${test.task === 'language_model' ? 'characters' : 'rows'}`),
    );
    scoreTable(rows).forEach((line, index) => {
      this.#line(index === 1 ? this.#style('bold', line) : line);
    });
    for (const { metric, threshold, value, isMet } of targets) {
      const found = value === null ? 'not defined for these rows' : formatLoss(value);
      this.#line(`Target ${metric} ${threshold}: ${isMet ? 'met' : this.#style('yellow', 'missed')}, ${found}`);
    }
    this.#line('');
    const check = verification.verified
      ? `verified in onnxruntime on ${verification.rows} rows`
      : `not verified: ${verification.reason}`;
    if (existsSync(files.model)) this.#line(`Model: ${relativePath(files.model)} (${check})`);
    else this.#line(`Model: ${relativePath(files.weights)} (no ONNX file: ${check.slice('not verified: '.length)})`);
    this.#line(`Open: ${relativePath(files.report)}`);
  }

  #style(format: 'bold' | 'green' | 'red' | 'yellow', text: string): string {
    return this.#output.hasColors ? styleText(format, text) : text;
  }
}

/** For programs: one JSON object a line, keys in snake_case; single steps are left out. */
export class JsonReporter implements RunReporter {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  event(event: SeriesEvent): void {
    if (event.type !== 'step') this.#output.line(JSON.stringify(withSnakeKeys(event)));
  }

  notice(text: string): void {
    this.#output.line(JSON.stringify({ type: 'notice', message: text }));
  }

  series({ runs, ...rest }: SeriesResult): void {
    this.#output.line(JSON.stringify(withSnakeKeys({ type: 'series_end', runs: runs.length, ...rest })));
  }

  failure(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#output.line(JSON.stringify({ type: 'error', code: errorCodeOf(error), message }));
  }
}

function describeData({ train, validation, test, perClass }: DataCounts, features: number): string {
  const target = perClass.length === 0 ? 'a number as target' : `${perClass.length} classes`;
  return `${target}, ${features} ${features === 1 ? 'feature' : 'features'}; rows: ${train} training, ${validation} validation, ${test} held out`;
}

function describeText({ path, vocabulary, characters, unknown }: TextEvent): string {
  const { train, validation, test } = characters;
  const strange = unknown.validation + unknown.test;
  const note = strange === 0 ? '' : `; ${strange} of those are of characters that the training part does not hold`;
  return `Read ${relativePath(path)}: ${vocabulary} different characters; ${train} training, ${validation} validation, ${test} held out${note}`;
}

function describePretrained({ path, loaded, missing, misshaped }: PretrainedEvent): string {
  const other = missing.length === 0 ? '' : `, ${missing.length} begin anew for want of one there`;
  const shapes = misshaped.length === 0 ? '' : `, ${misshaped.length} of another shape begin anew`;
  return `Begins with ${relativePath(path)}: ${loaded.length} tensors${other}${shapes}`;
}

const CHOICES = { validation: 'the best on validation rows', training: 'the best by training loss', last: 'the last' } as const;

export function describeEnd(history: Pick<TrainingHistory, 'epochs' | 'bestEpoch' | 'stopReason'>): string {
  const { epochs, bestEpoch, stopReason } = history;
  const best = bestEpoch === 0 ? 'no epoch was complete' : `weights of epoch ${bestEpoch}, ${CHOICES[choiceOf(history)]}`;
  switch (stopReason) {
    case 'epochs':
      return `Trained ${epochs.length === 1 ? 'the one epoch' : `all ${epochs.length} epochs`}; ${best}`;
    case 'early_stopping':
      return `Stopped early after epoch ${epochs.length}; ${best}`;
    case 'max_time':
      return `Stopped when its time was up after epoch ${epochs.length}; ${best}`;
    case 'stopped':
      return `Stopped by a callback after epoch ${epochs.length}; ${best}`;
    case 'diverged':
      return `Stopped because the loss grew without end after epoch ${epochs.length}; ${best}`;
    case 'aborted':
      return `Stopped by a signal after epoch ${epochs.length}; ${best}`;
  }
}
