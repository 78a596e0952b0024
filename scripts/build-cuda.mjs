// Builds the CUDA library beside the addon where nvcc is, and reads the compiler's report: hot kernels may not spill registers, and
// wgmma may not be serialised. Without nvcc it says so and builds the addon only.
//   node scripts/build-cuda.mjs [NAME=VALUE ...]     e.g. "TENSORKILN_CUDA_ARCHITECTURES=80;90a"
//   node scripts/build-cuda.mjs --targets            the library alone, for sm_80, sm_90a and, as PTX, newer chips, in build-cuda-targets
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LOG_PATH } from './native/builders.mjs';
import { problemsOf, readReport } from './native/cuda-report.mjs';
import { jobs } from './native/run.mjs';
import { ROOT } from './native/sources.mjs';

// Of the last build that compiled anything: an incremental one reports on the files it compiled only.
const REPORT_PATH = join(ROOT, 'build', 'cuda-report.txt');

/** The lines about each compiled kernel, the newest for each. @param {string[]} texts  what compilers said, the oldest first */
function mergedReport(texts) {
  const blocks = new Map();
  for (const text of texts) {
    let name = '';
    for (const line of text.split('\n')) {
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

/** Ends the program when the report is not clean. @param {string} report  @param {string} place  where it is kept */
function check(report, place) {
  const problems = problemsOf(report);
  if (problems.length === 0) return readReport(report).kernels;
  console.error(`build:cuda: the compiler's report is not clean (${place}):\n${problems.join('\n')}`);
  process.exit(1);
}

/** The library for every target, in a folder of its own, from nothing, so that the report is whole. */
function buildTargets() {
  const folder = join(ROOT, 'build-cuda-targets');
  rmSync(folder, { recursive: true, force: true });
  const definitions = [
    'TENSORKILN_ADDON=ON',
    'TENSORKILN_CUDA=ON',
    'TENSORKILN_CUDA_ARCHITECTURES=80;90a',
    `CMAKE_JS_INC=${join(ROOT, 'node_modules/node-api-headers/include')}`,
  ];
  let said = '';
  for (const args of [
    ['-S', ROOT, '-B', folder, ...definitions.map((definition) => `-D${definition}`)],
    ['--build', folder, '--parallel', String(jobs()), '--target', 'tensorkiln_cuda'],
  ]) {
    const { status, stdout, stderr, error } = spawnSync('cmake', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
    if (error !== undefined) throw error;
    said += stdout + stderr;
    if (status !== 0) {
      console.error(said.slice(-20_000));
      process.exit(1);
    }
  }
  const report = mergedReport([said]);
  writeFileSync(join(folder, 'cuda-report.txt'), report);
  const kernels = check(report, 'build-cuda-targets/cuda-report.txt');
  for (const target of ['sm_80', 'sm_90a']) {
    const count = kernels.filter(({ architecture }) => architecture === target).length;
    if (count === 0) throw new Error(`build:cuda: no kernel was compiled for ${target}`);
    console.log(`build:cuda: ${count} kernels for ${target}, no spills in the hot ones, wgmma not serialised`);
  }
}

if (process.argv.includes('--targets')) {
  if (spawnSync(process.env.CUDACXX ?? 'nvcc', ['--version']).status !== 0) {
    console.log('build:cuda: skipped, nvcc was not found');
    process.exit(0);
  }
  buildTargets();
  process.exit(0);
}

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

const texts = [REPORT_PATH, LOG_PATH].filter((path) => existsSync(path)).map((path) => readFileSync(path, 'utf8'));
const report = mergedReport(texts);
mkdirSync(dirname(REPORT_PATH), { recursive: true });
writeFileSync(REPORT_PATH, report);
const kernels = check(report, 'build/cuda-report.txt');
console.log(`build:cuda: ${kernels.length} kernels, no spills in the hot ones, wgmma not serialised`);
