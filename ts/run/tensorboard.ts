/** A run's losses, metrics and learning rate as TensorBoard event files. */
import { EventFileWriter } from '../track/event-file.js';
import type { RunEvent } from './run-events.js';

/** Written together, so that small steps do not wait for the disk; seen by TensorBoard after seconds, not minutes. */
const MAX_QUEUE = 256;
const FLUSH_MS = 5000;

/** Writes every step's loss and every epoch's figures; `tensorboard --logdir <run folder>` shows them. */
export class TensorBoardLog {
  readonly #folder: string;
  /** Opened when training starts, so that a run that fails before it adds nothing to the events of an earlier one. */
  #writer: EventFileWriter | undefined;
  #stepsPerEpoch = 1;

  /** @param folder  made when it is not there */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Anything but steps and epochs is passed over. @throws E_IO */
  event(event: RunEvent): void {
    if (event.type === 'start') this.#stepsPerEpoch = event.stepsPerEpoch;
    if (event.type !== 'start' && event.type !== 'step' && event.type !== 'epoch') return;
    const writer = (this.#writer ??= new EventFileWriter(this.#folder, { maxQueue: MAX_QUEUE, flushMs: FLUSH_MS }));
    if (event.type === 'step') {
      writer.scalar('step/loss', event.loss, (event.epoch - 1) * this.#stepsPerEpoch + event.step);
    }
    if (event.type !== 'epoch') return;
    const { record } = event;
    const figures: readonly (readonly [string, number | undefined])[] = [
      ['epoch/loss/train', record.trainLoss],
      ['epoch/loss/validation', record.validationLoss],
      ['epoch/accuracy/validation', record.validationAccuracy],
      ['epoch/learning_rate', record.learningRate],
      ['epoch/samples_per_second', record.samplesPerSecond],
      ['epoch/cpu_seconds', record.cpuSeconds],
      ['epoch/resident_bytes', record.residentBytes],
    ];
    for (const [tag, value] of figures) if (value !== undefined) writer.scalar(tag, value, record.epoch);
  }

  close(): void {
    this.#writer?.close();
  }
}
