import { styleText } from 'node:util';
import type { EpochRecord } from '../train/index.js';
import type { Output } from './output.js';

/** Redraws more often than this only make a terminal flicker. */
const MIN_INTERVAL_MS = 100;
const BAR_WIDTH = 20;
/** Without a terminal: at most this many epoch lines, evenly spaced, so that a log stays short. */
const MAX_PLAIN_LINES = 10;

/** How much there is to do. */
export interface ProgressSize {
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  /** Training rows of an epoch. */
  readonly rows: number;
}

/** Epochs as they pass: one line that is redrawn on a terminal, a few plain lines elsewhere. */
export class ProgressLine {
  readonly #output: Output;
  readonly #size: ProgressSize;
  readonly #now: () => number;
  #drawnAt = -Infinity;
  #isDrawn = false;
  #record: EpochRecord | undefined;
  /** When the steps counted below began: the time left is judged by what this process does. */
  readonly #startedAt: number;
  #stepsSeen = 0;
  #rowsSeen = 0;

  /** @param now  milliseconds, for tests */
  constructor(output: Output, size: ProgressSize, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#size = size;
    this.#now = now;
    this.#startedAt = now();
  }

  /** A step of the epoch that runs. */
  step(event: { readonly epoch: number; readonly step: number; readonly loss: number; readonly rows: number }): void {
    this.#stepsSeen += 1;
    this.#rowsSeen += event.rows;
    if (!this.#output.isTerminal || this.#now() - this.#drawnAt < MIN_INTERVAL_MS) return;
    const done = (event.epoch - 1) * this.#size.stepsPerEpoch + event.step;
    this.#draw(done, [`epoch ${this.#count(event.epoch)}`, `loss ${formatLoss(event.loss)}`, ...describeFigures(this.#record)]);
  }

  epoch(record: EpochRecord): void {
    this.#record = record;
    const parts = [
      `epoch ${this.#count(record.epoch)}`,
      `train loss ${formatLoss(record.trainLoss)}`,
      ...describeFigures(record),
    ];
    if (!this.#output.isTerminal) {
      if ((record.epoch - 1) % Math.ceil(this.#size.epochs / MAX_PLAIN_LINES) === 0) this.#output.line(parts.join('  '));
    } else if (this.#now() - this.#drawnAt >= MIN_INTERVAL_MS || record.epoch === this.#size.epochs) {
      this.#draw(record.epoch * this.#size.stepsPerEpoch, parts);
    }
  }

  /** Takes the line away, so that what follows starts on a clean one. */
  clear(): void {
    if (this.#isDrawn) this.#output.write('\r\x1b[2K');
    this.#isDrawn = false;
  }

  #count(epoch: number): string {
    return `${String(epoch).padStart(String(this.#size.epochs).length)}/${this.#size.epochs}`;
  }

  /** @param done  steps of all epochs so far */
  #draw(done: number, parts: readonly string[]): void {
    this.#drawnAt = this.#now();
    this.#isDrawn = true;
    const total = this.#size.epochs * this.#size.stepsPerEpoch;
    const filled = Math.round((done / total) * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    const seconds = (this.#drawnAt - this.#startedAt) / 1000;
    const speed =
      seconds > 0 && this.#stepsSeen > 0
        ? [formatRate(this.#rowsSeen / seconds), `${formatSeconds(((total - done) * seconds) / this.#stepsSeen)} left`]
        : [];
    // A line that wraps could not be redrawn; the bar carries no wide characters, so lengths are columns.
    const text = ` ${[...parts, ...speed].join('  ')}`.slice(0, Math.max(0, this.#output.columns - BAR_WIDTH - 1));
    this.#output.write(`\r\x1b[2K${this.#output.hasColors ? styleText('cyan', bar) : bar}${text}`);
  }
}

function describeFigures(record: EpochRecord | undefined): string[] {
  const parts: string[] = [];
  if (record?.validationLoss !== undefined) parts.push(`validation loss ${formatLoss(record.validationLoss)}`);
  if (record?.validationAccuracy !== undefined) parts.push(`accuracy ${formatPercent(record.validationAccuracy)}`);
  return parts;
}

function formatRate(rowsPerSecond: number): string {
  return rowsPerSecond < 1000 ? `${Math.round(rowsPerSecond)} rows/s` : `${(rowsPerSecond / 1000).toFixed(1)}k rows/s`;
}

/** 42s, 3m05s, 2h10m. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
}

/** Four significant digits at most, in plain form where that is short. */
export function formatLoss(loss: number): string {
  return loss !== 0 && Math.abs(loss) < 1e-3 ? loss.toExponential(1) : loss.toFixed(4);
}

export function formatPercent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
