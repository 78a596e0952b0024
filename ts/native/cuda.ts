/** Finding the CUDA library and opening a GPU through it. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TensorkilnError } from '../errors.js';
import type { NativeAddon } from './addon.js';
import { loadNative, nativePath } from './load.js';

// As deep below the package root when compiled as here.
const EMULATED_LIBRARY = new URL('../../build-emulated/libtensorkiln_cuda_emulated.so', import.meta.url);

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

/** File name of the CUDA library on this platform. */
export function cudaLibraryName(): string {
  const suffix = { win32: 'dll', darwin: 'dylib' }[process.platform as string] ?? 'so';
  return `${process.platform === 'win32' ? '' : 'lib'}tensorkiln_cuda.${suffix}`;
}

/**
 * The library that TENSORKILN_CUDA chooses: the one beside the addon, or the one that runs the same kernels on the CPU.
 *
 * @throws E_CONFIG for a value that is neither empty nor `emulated`, E_DEVICE when the library is not there
 */
function findLibrary(index: number): string {
  const variable = process.env['TENSORKILN_CUDA'] ?? '';
  if (variable === 'emulated') {
    const path = fileURLToPath(EMULATED_LIBRARY);
    if (existsSync(path)) return path;
    throw new TensorkilnError(
      'E_DEVICE',
      `[cuda:${index}] TENSORKILN_CUDA asks for the emulated library, but there is no ${path}. Build it with 'npm run build:emulated' in a clone of the repository.`,
    );
  }
  if (variable !== '') {
    throw new TensorkilnError('E_CONFIG', `[TENSORKILN_CUDA] expected nothing or 'emulated', got '${variable}'.`);
  }
  const path = join(dirname(nativePath() ?? ''), cudaLibraryName());
  if (existsSync(path)) return path;
  throw new TensorkilnError(
    'E_DEVICE',
    `[cuda:${index}] this build has no CUDA device: there is no ${path}. Install the CUDA toolkit (nvcc) and run 'npm run build:cuda' in a clone or 'node node_modules/tensorkiln/scripts/install.mjs TENSORKILN_CUDA=ON' in a project, or use 'tensorkiln-cpu'.`,
  );
}

/** Most bytes of device memory, from TENSORKILN_CUDA_MEMORY_LIMIT; 0: 90 % of what is free. @throws E_CONFIG */
function memoryLimit(): number {
  const variable = process.env['TENSORKILN_CUDA_MEMORY_LIMIT'] ?? '';
  if (variable === '') return 0;
  const match = /^(\d+(?:\.\d+)?)([KMG]?)$/.exec(variable);
  const bytes = match === null ? 0 : Math.floor(Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0));
  if (bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
  throw new TensorkilnError(
    'E_CONFIG',
    `[TENSORKILN_CUDA_MEMORY_LIMIT] expected bytes, or a number with K, M or G such as 512M, got '${variable}'.`,
  );
}

/**
 * A second face of the addon whose buffers and calls belong to a GPU.
 *
 * @param index number of the GPU
 * @throws E_NATIVE_LOAD, E_NATIVE_VERSION, E_CONFIG; E_DEVICE when library, driver or GPU cannot be used
 */
export function openCuda(index: number): NativeAddon {
  const addon = loadNative();
  return addon.openCuda(findLibrary(index), index, memoryLimit());
}
