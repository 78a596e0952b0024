/** Which device is the default, and the backend that stands for a device that is not there. */
import { KernelBackend, type KernelFunc } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';

/** A parsed TENSORKILN_DEVICE. */
export interface DeviceChoice {
  readonly device: 'cpu' | 'cuda';
  /** Index of the GPU. */
  readonly index: number;
}

/**
 * Reads the value of TENSORKILN_DEVICE: auto, cpu, cuda or cuda:n. Absent, empty and auto mean cpu, the only device that
 * this version has.
 *
 * @throws E_CONFIG for anything else
 */
export function parseDevice(value: string | undefined): DeviceChoice {
  if (value === undefined || value === '' || value === 'auto' || value === 'cpu') return { device: 'cpu', index: 0 };
  const match = /^cuda(?::(\d+))?$/.exec(value);
  if (match === null) {
    throw new TensorkilnError('E_CONFIG', `[TENSORKILN_DEVICE] expected auto, cpu, cuda or cuda:<number>, got '${value}'.`);
  }
  return { device: 'cuda', index: Number(match[1] ?? 0) };
}

/** Stands for a device that was asked for and is absent: registering it succeeds, every use of it throws E_DEVICE. */
export class AbsentDeviceBackend extends KernelBackend {
  readonly #device: string;

  constructor(device: string) {
    super();
    this.#device = device;
  }

  /** Runs in place of every kernel. */
  readonly kernelFunc: KernelFunc = () => this.#fail();

  override write(): never {
    return this.#fail();
  }

  override move(): never {
    return this.#fail();
  }

  override read(): Promise<never> {
    return Promise.reject(this.#error());
  }

  override readSync(): never {
    return this.#fail();
  }

  override time(): Promise<never> {
    return Promise.reject(this.#error());
  }

  override memory(): never {
    return this.#fail();
  }

  override numDataIds(): number {
    return 0;
  }

  override disposeData(): boolean {
    return true;
  }

  override dispose(): void {
    // Nothing was ever allocated.
  }

  #fail(): never {
    throw this.#error();
  }

  #error(): TensorkilnError {
    return new TensorkilnError(
      'E_DEVICE',
      `[${this.#device}] TENSORKILN_DEVICE asks for '${this.#device}', but this build has no CUDA device. ` +
        `Unset the variable or use 'cpu'; tf.setBackend('tensorkiln-cpu') works as well.`,
    );
  }
}
