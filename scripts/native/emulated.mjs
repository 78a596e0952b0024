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

/** The tests of CUDA code that run in the emulator: tests/cuda/<name>.cc. */
export const EMULATED_TESTS = [
  'emulator_test',
  'layouts_test',
  'program_test',
  'devices_test',
  'cuda_ops_test',
  'gemm_test',
  'cuda_conv_test',
  'cuda_attention_test',
];

/** Orders in which the threads of a block run: ascending, descending, random. */
export const THREAD_ORDERS = ['seed=0', 'seed=1', 'seed=7 threads=2'];
