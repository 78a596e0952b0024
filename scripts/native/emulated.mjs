// What the build of the emulated CUDA library needs, for the scripts that make it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Definitions for CMake. The engine is not built from here, so any one level will do. */
export const EMULATED_DEFINITIONS = ['TENSORKILN_EMULATED=ON', 'TENSORKILN_ADDON=OFF', 'TENSORKILN_LEVELS=baseline'];

/** Whether the headers of the CUDA toolkit are here, which the emulator takes its types from. */
export function hasCudaHeaders() {
  return [process.env.CUDA_HOME, '/usr/local/cuda'].some(
    (folder) => folder !== undefined && existsSync(join(folder, 'include', 'cuda_runtime.h')),
  );
}
