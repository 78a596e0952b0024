// Builds the CUDA library with the host compiler against the emulator: build-emulated/libtensorkiln_cuda_emulated.so, which
// TENSORKILN_CUDA=emulated loads. Where the CUDA toolkit's headers are absent it says so and builds nothing.
//   node scripts/build-emulated.mjs
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { EMULATED_DEFINITIONS, hasCudaHeaders } from './native/emulated.mjs';
import { jobs } from './native/run.mjs';
import { ROOT } from './native/sources.mjs';

if (!hasCudaHeaders()) {
  console.log('build:emulated: skipped, the headers of the CUDA toolkit are not here (CUDA_HOME, /usr/local/cuda)');
  process.exit(0);
}
const folder = join(ROOT, 'build-emulated');
const configure = ['-S', ROOT, '-B', folder, ...EMULATED_DEFINITIONS.map((definition) => `-D${definition}`)];
const targets = ['tensorkiln_cuda_emulated', 'emulator_test', 'layouts_test'];
for (const args of [configure, ['--build', folder, '--parallel', String(jobs()), '--target', ...targets]]) {
  const { status, stdout, stderr, error } = spawnSync('cmake', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (error !== undefined) throw error;
  if (status !== 0) {
    console.error(`${stdout}${stderr}`);
    process.exit(1);
  }
}
console.log('build:emulated: build-emulated/libtensorkiln_cuda_emulated.so is up to date');
