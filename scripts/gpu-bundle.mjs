// Makes one archive for a Linux x86-64 machine with a GPU: Node, the engine, the CUDA library and the checks. It runs there with
// nothing but the driver: no Node, no compiler, no network.
//   node scripts/gpu-bundle.mjs [--emulated]
//     --emulated   with the library of `npm run build:emulated` in place of the GPU's, to try the archive itself
// Needs `npm run build` before it, and `npm run build:cuda` for the GPU's library. Writes build-gpu/tensorkiln-gpu.tar.xz, below 60 MB.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { bundleSpecs, packagePaths } from '../tests/conformance/bundle.mjs';
import { ROOT } from './native/sources.mjs';

const LIMIT_BYTES = 60e6;
const require = createRequire(join(ROOT, 'package.json'));
const { values } = parseArgs({ options: { emulated: { type: 'boolean', default: false } } });
const FOLDER = join(ROOT, 'build-gpu');
const STAGE = join(FOLDER, 'tensorkiln-gpu');
const ADDON = 'build/Release/tensorkiln.node';
const GPU_LIBRARY = 'build/Release/libtensorkiln_cuda.so';
const EMULATED_LIBRARY = 'build-emulated/libtensorkiln_cuda_emulated.so';

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', ...options });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}\n${stdout}${stderr}`);
  return stdout;
}

function copy(file, target = file) {
  const from = join(ROOT, file);
  if (!existsSync(from))
    throw new Error(`gpu:bundle: no ${file}. Run 'npm run build${file === GPU_LIBRARY ? ':cuda' : ''}' first.`);
  mkdirSync(dirname(join(STAGE, target)), { recursive: true });
  cpSync(from, join(STAGE, target), { dereference: true });
}

function stripped(file, target = file) {
  copy(file, target);
  run('strip', ['--strip-unneeded', join(STAGE, target)]);
}

/** The layout test as a program of its own: for the GPU by nvcc, else the emulator's. */
function layouts() {
  const target = join(STAGE, 'bin', 'layouts');
  if (values.emulated) {
    cpSync(join(ROOT, 'build-emulated', 'native', 'cuda', 'layouts_test'), target);
    return;
  }
  const includes = ['native', 'tests/cuda', 'tests/native'].flatMap((folder) => ['-I', folder]);
  const code = ['-gencode', 'arch=compute_90a,code=sm_90a', '-std=c++20', '--expt-relaxed-constexpr', '-cudart', 'static'];
  run('nvcc', [...code, ...includes, '-x', 'cu', '-o', target, 'tests/cuda/layouts_test.cc']);
}

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(join(STAGE, 'bin'), { recursive: true });
cpSync(process.execPath, join(STAGE, 'bin', 'node'), { dereference: true });
run('strip', [join(STAGE, 'bin', 'node')]);
stripped(ADDON);
stripped(values.emulated ? EMULATED_LIBRARY : GPU_LIBRARY);
if (!values.emulated) stripped('build/Release/tensorkiln-cuda-probe');
layouts();
// Opens the CUDA library and cuBLAS at run time, so it needs neither here.
run('c++', [
  ...['-std=c++20', '-O2', '-s', '-static-libstdc++', '-static-libgcc', '-I', 'native'],
  ...['-o', join(STAGE, 'bin', 'gemm_bench'), 'tests/gpu/bench/gemm_bench.cc', '-ldl'],
]);

// One CommonJS file each, so that checks and specs need no node_modules; jasmine finds its own files by path.
const bundle = { bundle: true, platform: 'node', format: 'cjs', target: 'node20', ignoreAnnotations: true, logLevel: 'error' };
const COMMANDS = ['check', 'bench', 'steps'];
for (const name of COMMANDS) {
  await build({
    ...bundle,
    entryPoints: [join(ROOT, `tests/gpu/${name}.mjs`)],
    outfile: join(STAGE, `${name}.cjs`),
    plugins: [packagePaths('.')],
  });
}
cpSync(join(ROOT, 'tests/gpu/torch_cases.py'), join(STAGE, 'torch_cases.py'));
await bundleSpecs({ strict: true, backend: 'tensorkiln-cuda', outfile: join(STAGE, 'specs.cjs'), root: '.' });
copy('tests/conformance/run.mjs');
copy('tests/conformance/expected.json');
for (const file of ['package.json', 'lib/jasmine-core/jasmine.js']) {
  mkdirSync(dirname(join(STAGE, 'node_modules/jasmine-core', file)), { recursive: true });
  cpSync(join(dirname(require.resolve('jasmine-core/package.json')), file), join(STAGE, 'node_modules/jasmine-core', file));
}

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const commit = run('git', ['rev-parse', '--short=12', 'HEAD']).trim();
writeFileSync(join(STAGE, 'package.json'), JSON.stringify({ name: 'tensorkiln', version, type: 'module' }));
const library = values.emulated ? EMULATED_LIBRARY : GPU_LIBRARY;
writeFileSync(join(STAGE, 'build.json'), JSON.stringify({ version, commit, emulated: values.emulated, library }));
for (const name of COMMANDS) {
  const start = `#!/bin/sh
# See tests/gpu/${name}.mjs of the repository. Arguments go to it.
cd "$(dirname "$0")" || exit 2
export TENSORKILN_DEVICE=cuda${values.emulated ? ' TENSORKILN_CUDA=emulated TENSORKILN_EMULATOR=quiet' : ''}
exec ./bin/node ${name}.cjs "$@"
`;
  writeFileSync(join(STAGE, `gpu-${name}`), start);
  chmodSync(join(STAGE, `gpu-${name}`), 0o755);
}

const archive = join(FOLDER, 'tensorkiln-gpu.tar.xz');
run('tar', ['-C', FOLDER, '-cJf', archive, 'tensorkiln-gpu'], { env: { XZ_OPT: '-6 -T2', ...process.env } });
const { size } = statSync(archive);
if (size > LIMIT_BYTES)
  throw new Error(`gpu:bundle: the archive has ${(size / 1e6).toFixed(1)} MB, more than ${LIMIT_BYTES / 1e6}`);
console.log(
  `build-gpu/tensorkiln-gpu.tar.xz: ${(size / 1e6).toFixed(1)} MB. There: tar xf, then in ./tensorkiln-gpu gpu-check, gpu-bench, gpu-steps`,
);
