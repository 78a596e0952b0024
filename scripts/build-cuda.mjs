// Builds the CUDA library beside the addon where nvcc is, and reads the compiler's report: hot kernels may not spill registers, and
// wgmma may not be serialised. Without nvcc it says so and builds the addon only.
//   node scripts/build-cuda.mjs [NAME=VALUE ...]     e.g. "TENSORKILN_CUDA_ARCHITECTURES=80;90a"
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LOG_PATH } from './native/builders.mjs';
import { problemsOf, readReport } from './native/cuda-report.mjs';
import { ROOT } from './native/sources.mjs';

// Of the last build that compiled anything: an incremental one reports on the files it compiled only.
const REPORT_PATH = join(ROOT, 'build', 'cuda-report.txt');

const { status, error } = spawnSync(
  process.execPath,
  [join(ROOT, 'scripts/install.mjs'), 'TENSORKILN_CUDA=ON', ...process.argv.slice(2)],
  { cwd: ROOT, stdio: 'inherit' },
);
if (error !== undefined) throw error;
if (status !== 0) process.exit(status ?? 1);
if (!existsSync(join(ROOT, 'build/Release/libtensorkiln_cuda.so'))) {
  console.log(
    'build:cuda: no CUDA library was built, nvcc was not found. Install the CUDA toolkit 13 and put nvcc on the PATH (or name it in CUDACXX); ' +
      'GPUs then need the driver only',
  );
  process.exit(0);
}

/** The lines about each compiled kernel, the newest for each. */
function mergedReport() {
  const blocks = new Map();
  for (const path of [REPORT_PATH, LOG_PATH]) {
    if (!existsSync(path)) continue;
    let name = '';
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const entry = /Compiling entry function '([^']+)' for '([^']+)'/.exec(line);
      if (entry !== null) {
        name = `${entry[1]} ${entry[2]}`;
        blocks.set(name, []);
      }
      if (/ptxas|bytes stack frame|C7510/.test(line)) (blocks.get(name) ?? blocks.set(name, []).get(name)).push(line);
    }
  }
  return [...blocks.values()].flat().join('\n');
}

const report = mergedReport();
mkdirSync(dirname(REPORT_PATH), { recursive: true });
writeFileSync(REPORT_PATH, report);
const problems = problemsOf(report);
if (problems.length > 0) {
  console.error(`build:cuda: the compiler's report is not clean (build/cuda-report.txt):\n${problems.join('\n')}`);
  process.exit(1);
}
const { kernels } = readReport(report);
console.log(`build:cuda: ${kernels.length} kernels, no spills in the hot ones, wgmma not serialised`);
