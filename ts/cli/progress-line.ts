import { styleText } from 'node:util';
import type { EpochRecord } from '../train/index.js';
import type { Output } from './output.js';

/** Redraws more often than this only make a terminal flicker. */
const MIN_INTERVAL_MS = 100;
const BAR_WIDTH = 20;
/** Without a terminal: at most this many epoch lines, evenly spaced, so that a log stays short. */
const MAX_PLAIN_LINES = 10;

/** Epochs as they pass: one line that is redrawn on a terminal, a few plain lines elsewhere. */
export class ProgressLine {
  readonly #output: Output;
  readonly #epochs: number;
  #drawnAt = -Infinity;
  #isDrawn = false;

  constructor(output: Output, epochs: number) {
    this.#output = output;
    this.#epochs = epochs;
  }

  epoch(record: EpochRecord): void {
    if (this.#output.isTerminal) this.#draw(record);
    else if ((record.epoch - 1) % Math.ceil(this.#epochs / MAX_PLAIN_LINES) === 0)
      this.#output.line(describeEpoch(record, this.#epochs));
  }

  /** Takes the line away, so that what follows starts on a clean one. */
  clear(): void {
    if (this.#isDrawn) this.#output.write('\r\x1b[2K');
    this.#isDrawn = false;
  }

  #draw(record: EpochRecord): void {
    const now = performance.now();
    if (now - this.#drawnAt < MIN_INTERVAL_MS && record.epoch < this.#epochs) return;
    this.#drawnAt = now;
    this.#isDrawn = true;
    const filled = Math.round((record.epoch / this.#epochs) * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    // A line that wraps could not be redrawn; the bar carries no wide characters, so lengths are columns.
    const text = ` ${describeEpoch(record, this.#epochs)}  ${formatRate(record.samplesPerSecond)}`.slice(
      0,
      Math.max(0, this.#output.columns - BAR_WIDTH - 1),
    );
    this.#output.write(`\r\x1b[2K${this.#output.hasColors ? styleText('cyan', bar) : bar}${text}`);
  }
}

function describeEpoch(record: EpochRecord, epochs: number): string {
  const parts = [
    `epoch ${String(record.epoch).padStart(String(epochs).length)}/${epochs}`,
    `train loss ${formatLoss(record.trainLoss)}`,
  ];
  if (record.validationLoss !== undefined) parts.push(`validation loss ${formatLoss(record.validationLoss)}`);
  if (record.validationAccuracy !== undefined) parts.push(`accuracy ${formatPercent(record.validationAccuracy)}`);
  return parts.join('  ');
}

function formatRate(rowsPerSecond: number): string {
  return rowsPerSecond < 1000 ? `${Math.round(rowsPerSecond)} rows/s` : `${(rowsPerSecond / 1000).toFixed(1)}k rows/s`;
}

/** Four significant digits at most, in plain form where that is short. */
export function formatLoss(loss: number): string {
  return loss !== 0 && Math.abs(loss) < 1e-3 ? loss.toExponential(1) : loss.toFixed(4);
}

export function formatPercent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
