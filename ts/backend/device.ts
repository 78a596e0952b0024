/** Which device is the default. */
import { TensorkilnError } from '../errors.js';

/** A parsed TENSORKILN_DEVICE. */
export interface DeviceChoice {
  readonly device: 'cpu' | 'cuda';
  /** Index of the GPU. */
  readonly index: number;
}

/**
 * Reads the value of TENSORKILN_DEVICE: auto, cpu, cuda or cuda:n. Absent, empty and auto mean cpu, which
 * every machine has.
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
