/** What is known about the CUDA half. It is asked in a process of its own: a broken driver must not take this one down. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cudaLibraryName } from '../../native/cuda.js';

export interface CudaDevice {
  readonly index: number;
  readonly name: string;
  readonly computeCapability: string;
  readonly multiprocessors: number;
  readonly memoryBytes: number;
}

export interface CudaDescription {
  /** Whether the CUDA library lies beside the addon. */
  readonly built: boolean;
  readonly libraryPath: string;
  /** One sentence: usable, no driver, no device, or what failed. */
  readonly summary: string;
  /** CUDA version the library was built with and the newest the driver supports, e.g. "13.0". */
  readonly runtimeVersion: string | undefined;
  readonly driverVersion: string | undefined;
  /** Compute capabilities the kernels were compiled for. */
  readonly architectures: string | undefined;
  readonly devices: readonly CudaDevice[];
}

interface ProbeOutput {
  runtimeVersion?: number;
  driverVersion?: number;
  architectures?: string;
  devices?: CudaDevice[];
  error: string | null;
}

// A driver that has lost its device can block for good.
const PROBE_TIMEOUT_MS = 20_000;

/** "13.0" from CUDA's 1000 * major + 10 * minor; undefined for 0, which means none. */
export function cudaVersion(code: number | undefined): string | undefined {
  if (code === undefined || code === 0) return undefined;
  return `${Math.floor(code / 1000)}.${Math.floor((code % 1000) / 10)}`;
}

function runProbe(program: string, library: string): Promise<ProbeOutput> {
  return new Promise((resolve) => {
    execFile(program, [library], { timeout: PROBE_TIMEOUT_MS, encoding: 'utf8' }, (failure, stdout) => {
      try {
        resolve(JSON.parse(stdout) as ProbeOutput);
      } catch {
        // No JSON means that the probe crashed, hung or cannot start; its own error says which.
        resolve({
          error: failure === null ? `unexpected output '${stdout.slice(0, 80)}'` : failure.message.split('\n', 1).join(''),
        });
      }
    });
  });
}

function summaryOf(probe: ProbeOutput, devices: readonly CudaDevice[]): string {
  if (devices.length > 0) return `${devices.length} device${devices.length === 1 ? '' : 's'}`;
  if (probe.error !== null) return `not usable: ${probe.error}`;
  if (cudaVersion(probe.driverVersion) === undefined) return 'CUDA library built, no driver here';
  return 'CUDA library built and driver present, no device here';
}

/**
 * @param folder folder of the addon, where the CUDA library and its probe lie
 */
export async function describeCuda(folder: string): Promise<CudaDescription> {
  const libraryPath = join(folder, cudaLibraryName());
  const program = join(folder, 'tensorkiln-cuda-probe');
  if (!existsSync(libraryPath)) {
    const summary = 'not built (npm run build:cuda builds it where nvcc is)';
    return {
      built: false,
      libraryPath,
      summary,
      runtimeVersion: undefined,
      driverVersion: undefined,
      architectures: undefined,
      devices: [],
    };
  }
  const probe = existsSync(program) ? await runProbe(program, libraryPath) : { error: `no ${program}` };
  const devices = probe.devices ?? [];
  return {
    built: true,
    libraryPath,
    summary: summaryOf(probe, devices),
    runtimeVersion: cudaVersion(probe.runtimeVersion),
    driverVersion: cudaVersion(probe.driverVersion),
    architectures: probe.architectures,
    devices,
  };
}
