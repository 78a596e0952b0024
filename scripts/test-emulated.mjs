// Runs the op tests, the plan tests, those of fused ops and optimizers, tfjs-core's own suite, and what goes wrong with a device on `tensorkiln-cuda` with the CUDA library that runs on the CPU.
// Where the headers of the CUDA toolkit are absent it says so and runs nothing.
//   node scripts/test-emulated.mjs
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { hasCudaHeaders } from './native/emulated.mjs';
import { ROOT } from './native/sources.mjs';

function run(program, ...args) {
  const { status, error } = spawnSync(process.execPath, [join(ROOT, program), ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, TENSORKILN_DEVICE: 'cuda', TENSORKILN_CUDA: 'emulated', TENSORKILN_EMULATOR: 'quiet' },
  });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

run('scripts/build-emulated.mjs');
if (hasCudaHeaders()) {
  // Left out: the report on the host's memory. What the device's pool does at its limit is tested by tests/cuda.
  const projects = ['ops', 'plan', 'conformance'].flatMap((name) => ['--project', name]);
  run('node_modules/vitest/vitest.mjs', 'run', ...projects, '--exclude', 'tests/ops/memory-report.test.ts');
  // Of the training tests those of the fused ops, of optimizer rules and of 16-bit operands.
  const training = ['fused-ops', 'custom-ops', 'optimizers', 'losses', 'autocast'].map((name) => `tests/train/${name}.test.ts`);
  run('node_modules/vitest/vitest.mjs', 'run', ...training, 'tests/emulated');
  // Do the kernels' own tests notice when a kernel is wrong? Sanitizers, and all the faults, are for `npm run test:long`.
  run('scripts/test-kernels.mjs', 'mutation');
}
