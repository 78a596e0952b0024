/** Which device is the default. */
import { TensorkilnError } from '../errors.js';

/** A parsed name of a device. */
export interface DeviceChoice {
  readonly device: 'cpu' | 'cuda';
  /** Index of the GPU. */
  readonly index: number;
}

/**
 * Reads the name of a device: auto, cpu, cuda or cuda:n. Absent, empty and auto mean cpu, which every machine has.
 *
 * @param source  where the name comes from, for the message
 * @throws E_CONFIG for anything else
 */
export function parseDevice(value: string | undefined, source = 'TENSORKILN_DEVICE'): DeviceChoice {
  if (value === undefined || value === '' || value === 'auto' || value === 'cpu') return { device: 'cpu', index: 0 };
  const match = /^cuda(?::(\d+))?$/.exec(value);
  if (match === null) {
    throw new TensorkilnError('E_CONFIG', `[${source}] expected auto, cpu, cuda or cuda:<number>, got '${value}'.`);
  }
  return { device: 'cuda', index: Number(match[1] ?? 0) };
}
