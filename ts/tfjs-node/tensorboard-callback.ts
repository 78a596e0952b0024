/** `tf.node.tensorBoard`: writes losses, metrics and weights of `fit` for TensorBoard. */
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { CustomCallback, type LayersModel, type Logs } from '@tensorflow/tfjs-layers';
import { summaryFileWriter } from './summary-writer.js';

export interface TensorBoardCallbackArgs {
  /** 'batch' writes after each batch and each epoch, 'epoch' after each epoch; default 'epoch'. */
  updateFreq?: 'batch' | 'epoch';
  /** Every so many epochs the weights are written as histograms; 0 never; default 0. */
  histogramFreq?: number;
}

const VALIDATION = 'val_';

/** Writes to `<logdir>/train` and, what was measured on validation data, to `<logdir>/val`. */
export class TensorBoardCallback extends CustomCallback {
  readonly logdir: string;
  readonly #updateFreq: 'batch' | 'epoch';
  readonly #histogramFreq: number;
  #layersModel: LayersModel | undefined;
  #batchesSeen = 0;

  constructor(logdir = './logs', args: TensorBoardCallbackArgs = {}) {
    super({
      onBatchEnd: (_, logs) => {
        this.#batchesSeen += 1;
        if (this.#updateFreq === 'batch') this.#writeMetrics('batch_', logs, this.#batchesSeen);
      },
      onEpochEnd: (epoch, logs) => {
        this.#writeMetrics('epoch_', logs, epoch + 1);
        if (this.#histogramFreq > 0 && epoch % this.#histogramFreq === 0) this.#writeWeights(epoch);
      },
      onTrainEnd: () => {
        for (const folder of ['train', 'val']) this.#writers.get(folder)?.flush();
      },
    });
    const { updateFreq = 'epoch', histogramFreq = 0 } = args;
    tf.util.assert(
      ['batch', 'epoch'].includes(updateFreq),
      () => `Expected updateFreq to be 'batch' or 'epoch', but got ${updateFreq}`,
    );
    tf.util.assert(
      Number.isInteger(histogramFreq) && histogramFreq >= 0,
      () => `Expected histogramFreq to be a positive integer, but got ${String(histogramFreq)}`,
    );
    this.logdir = logdir;
    this.#updateFreq = updateFreq;
    this.#histogramFreq = histogramFreq;
  }

  readonly #writers = new Map<string, ReturnType<typeof summaryFileWriter>>();

  /** Called by `fit`; tfjs-layers declares the argument as the base class of models. */
  override setModel(model: Parameters<CustomCallback['setModel']>[0]): void {
    this.#layersModel = model as LayersModel;
  }

  #writer(folder: string): ReturnType<typeof summaryFileWriter> {
    const writer = summaryFileWriter(path.join(this.logdir, folder));
    this.#writers.set(folder, writer);
    return writer;
  }

  #writeMetrics(prefix: string, logs: Logs | undefined, step: number): void {
    for (const [key, value] of Object.entries(logs ?? {})) {
      if (key === 'batch' || key === 'size' || key === 'num_steps') continue;
      const isValidation = key.startsWith(VALIDATION);
      const name = prefix + (isValidation ? key.slice(VALIDATION.length) : key);
      this.#writer(isValidation ? 'val' : 'train').scalar(name, value, step);
    }
  }

  #writeWeights(step: number): void {
    for (const weight of this.#layersModel?.weights ?? []) {
      this.#writer('train').histogram(weight.name, weight.read(), step);
    }
  }
}

/**
 * A callback for `fit` and `fitDataset` that writes losses and metrics for TensorBoard.
 *
 * @param logdir folder of the run; default './logs'
 */
export function tensorBoard(logdir = './logs', args?: TensorBoardCallbackArgs): TensorBoardCallback {
  return new TensorBoardCallback(logdir, args);
}
