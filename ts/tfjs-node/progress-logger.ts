/** What `fit` prints at verbosity 1, the default: as under tfjs-node. */
import * as tf from '@tensorflow/tfjs-core';
import { CustomCallback, type Logs } from '@tensorflow/tfjs-layers';

/** The bar is drawn at most this often, in milliseconds. */
const DRAW_EVERY_MS = 50;
const CLEAR_LINE = '\r\u001b[K';

/**
 * One line per epoch before it and one after it on standard output; between them a bar with the newest losses on standard error,
 * where that is a terminal.
 */
export class ProgressLogger extends CustomCallback {
  #batchesPerEpoch = 0;
  #batches = 0;
  #epochStart = 0;
  #lastDraw = 0;

  constructor() {
    super({
      onTrainBegin: () => {
        const { samples, batchSize, steps } = this.params as Record<'samples' | 'batchSize' | 'steps', number | undefined>;
        // fitDataset does not know how many batches there are, unless it was told.
        this.#batchesPerEpoch = samples != null && batchSize != null ? Math.ceil(samples / batchSize) : (steps ?? 0);
      },
      onEpochBegin: (epoch) => {
        process.stdout.write(`Epoch ${String(epoch + 1)} / ${String(this.params['epochs'])}\n`);
        this.#epochStart = tf.util.now();
        this.#batches = 0;
        this.#lastDraw = 0;
      },
      onBatchEnd: async (_, logs) => {
        this.#batches += 1;
        if (tf.util.now() - this.#lastDraw >= DRAW_EVERY_MS) this.#draw(logs);
        await tf.nextFrame();
      },
      onEpochEnd: async (_, logs) => {
        if (process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
        const ms = tf.util.now() - this.#epochStart;
        const samples = (this.params['samples'] as number | undefined) ?? this.#batches;
        const perStep = (ms / samples) * 1000;
        process.stdout.write(`${ms.toFixed(0)}ms ${perStep.toFixed(0)}us/step - ${metricsText(logs)}\n`);
        await tf.nextFrame();
      },
    });
  }

  #draw(logs: Logs | undefined): void {
    if (!process.stderr.isTTY) return;
    this.#lastDraw = tf.util.now();
    const columns = process.stderr.columns || 80;
    const width = Math.floor(columns / 2) - 20;
    const share = this.#batchesPerEpoch > 0 ? Math.min(this.#batches / this.#batchesPerEpoch, 1) : 0;
    const done = Math.max(Math.floor(share * width), 0);
    const seconds = ((tf.util.now() - this.#epochStart) / 1000) * (share > 0 ? 1 / share - 1 : 0);
    const eta = share > 0 ? seconds.toFixed(1) : '?';
    const bar = width > 0 ? `${'='.repeat(done)}>${'-'.repeat(width - done)}` : '';
    process.stderr.write(`${CLEAR_LINE}${`eta=${eta} ${bar} ${metricsText(logs)}`.slice(0, columns - 1)}`);
  }
}

function metricsText(logs: Logs | undefined): string {
  return Object.entries(logs ?? {})
    .filter(([name]) => name !== 'batch' && name !== 'size')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${shortNumber(value)} `)
    .join('');
}

/** Two digits behind the point, up to four for numbers below 1; smaller ones as 1.23e-5. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value) || value === 0 || Math.abs(value) > 1) return value.toFixed(2);
  const places = 2 - Math.floor(Math.log10(Math.abs(value)));
  return places > 4 ? value.toExponential(2) : value.toFixed(places);
}
