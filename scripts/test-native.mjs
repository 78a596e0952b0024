// Builds and runs the C++ tests (tests/native/**/*_test.cc; the files of a folder are one program), without Node and without the addon.
//   node scripts/test-native.mjs [--sanitize] [--filter <text>] [NAME=VALUE ...]
//     --sanitize   every test under AddressSanitizer and UndefinedBehaviorSanitizer, with an addon built so also the op tests and
//                  the sweep of wrong input; then those of stream, pool and allocator under ThreadSanitizer
//     --filter     only test programs or files whose name contains the text
//     NAME=VALUE   definitions for CMake
// Ends with one line `native: N passed, N failed (M checks)` over all programs; exit code 1 when anything failed.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { EMULATED_DEFINITIONS, EMULATED_TESTS, THREAD_ORDERS, hasCudaHeaders } from './native/emulated.mjs';
import { BuildProgress } from './native/progress.mjs';
import { BuildError, compileCommands, jobs, run } from './native/run.mjs';
import { ROOT, filesUnder } from './native/sources.mjs';
import { findToolchain, installLines } from './native/toolchain.mjs';

/** The tests of what several threads share; the kernels below them see one range each and are left to AddressSanitizer. */
const THREAD_TESTS = /^(stream|allocator|environment|plan)_test$/;
/** The instruction-set levels that this machine runs, the plainest first; undefined where only the program itself can tell. */
function runnableLevels() {
  if (process.arch !== 'x64' || process.platform !== 'linux') return undefined;
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1].split(' '));
  const needs = { baseline: [], avx2: ['avx2', 'fma', 'f16c'], avx512: ['avx512f', 'avx512dq', 'avx512bw', 'avx512vl'] };
  return Object.keys(needs).filter((level) => needs[level].every((flag) => flags.has(flag)));
}

/**
 * One level, since a sanitizer build compiles every kernel per level: AVX2 where it runs, as on machines of the last ten years. The
 * kernels are the same source at each level and differ in vector width only.
 */
function sanitizedLevels() {
  if (process.arch !== 'x64') return [];
  return [`TENSORKILN_LEVELS=${runnableLevels()?.includes('avx2') ? 'avx2' : 'baseline'}`];
}

const { values, positionals } = parseArgs({
  options: { sanitize: { type: 'boolean', default: false }, filter: { type: 'string', default: '' } },
  allowPositionals: true,
});
const totals = { passed: 0, failed: 0, checks: 0 };

/** The program that a test file is compiled into, as CMakeLists.txt names it. */
function programOf(file) {
  const folder = relative('tests/native', dirname(file));
  return folder === '' ? basename(file, '.cc') : `${folder}_test`;
}

/** The programs with a file that the filter names; a program that is not meant itself runs only the matching files. */
function findPrograms(filter) {
  const files = filesUnder('tests/native').filter((file) => file.endsWith('_test.cc'));
  const wanted = files.filter((file) => programOf(file).includes(filter) || basename(file).includes(filter));
  return [...new Set(wanted.map(programOf))].map((name) => ({ name, args: name.includes(filter) ? [] : [filter] }));
}

/** Configures and builds the programs; prints what the tools said only when they fail. */
async function build(folder, targets, definitions) {
  const logPath = join(folder, 'build.log');
  rmSync(logPath, { force: true });
  try {
    await run('cmake', ['-S', ROOT, '-B', folder, ...definitions.map((definition) => `-D${definition}`)], { logPath });
    await run('cmake', ['--build', folder, '--parallel', String(jobs()), '--target', ...targets], {
      logPath,
      progress: new BuildProgress(compileCommands(folder)),
    });
    return true;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(
      error.output
        .split('\n')
        .filter((line) => !/^\[|^--/.test(line))
        .join('\n'),
    );
    return false;
  }
}

/** Runs a program to its end and keeps what it printed. */
function capture(command, args, env) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const texts = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr']) {
      child[stream].setEncoding('utf8').on('data', (chunk) => (texts[stream] += chunk));
    }
    child.on('error', reject);
    child.on('close', (status, signal) => {
      resolve({ status, signal, ...texts, seconds: ((performance.now() - started) / 1000).toFixed(1) });
    });
  });
}

/** Calls `work` for every item, for as many at a time as there are cores. */
async function forEachParallel(items, work) {
  const waiting = [...items];
  await Promise.all(
    Array.from({ length: Math.min(jobs(), items.length) }, async () => {
      for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
    }),
  );
}

/** Runs one program and adds its closing line to the totals. A program that ends without one has crashed. */
async function runTest(folder, { name, args }, env) {
  const { status, signal, stdout, stderr, seconds } = await capture(join(folder, name), args, env);
  const closing = /^native: (\d+) passed, (\d+) failed \((\d+) checks\)$/m.exec(stdout);
  if (closing !== null) {
    totals.passed += Number(closing[1]);
    totals.failed += Number(closing[2]);
    totals.checks += Number(closing[3]);
  }
  if (status === 0 && closing !== null) {
    console.log(`  ok      ${name}: ${closing[1]} tests, ${closing[3]} checks, ${seconds} s`);
    return;
  }
  // A sanitizer ends the program with its own code after the tests have passed: that counts as one failure too.
  if (closing === null || Number(closing[2]) === 0) totals.failed += 1;
  console.log(`  FAILED  ${name} (${signal ?? `exit code ${status}`}, ${seconds} s)\n${stdout}${stderr}`);
}

async function runAll({ title, folder, programs, definitions, env = {}, subfolder = '', variants = [{}] }) {
  const started = performance.now();
  console.log(`${title}: building ${programs.length} program${programs.length === 1 ? '' : 's'}`);
  if (
    !(await build(
      join(ROOT, folder),
      programs.map(({ name }) => name),
      [
        ...(definitions === EMULATED_DEFINITIONS ? [] : ['TENSORKILN_TESTS=ON', 'TENSORKILN_CHECK_OPS=ON']),
        ...definitions,
        ...positionals,
      ],
    ))
  ) {
    console.log(`  FAILED  ${title}: does not build`);
    totals.failed += 1;
    return;
  }
  console.log(`  built in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  for (const variant of variants) {
    await forEachParallel(programs, (program) => runTest(join(ROOT, folder, subfolder), program, { ...env, ...variant }));
  }
}

/**
 * The op tests, then every kernel with right and wrong input (tests/support/bad-input.mjs), on an addon built with sanitizers.
 * Node itself is not instrumented: the run-time libraries are loaded before it. Needs dist/.
 */
async function runSanitizedAddon(folder, definitions) {
  const started = performance.now();
  const built = await build(
    join(ROOT, folder),
    ['tensorkiln'],
    [
      ...definitions,
      'TENSORKILN_ADDON=ON',
      'TENSORKILN_CUDA=OFF',
      `CMAKE_JS_INC=${join(ROOT, 'node_modules/node-api-headers/include')}`,
    ],
  );
  if (!built) {
    console.log('  FAILED  the addon does not build');
    totals.failed += 1;
    return;
  }
  console.log(`  addon built in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  const libraries = ['libasan.so', 'libubsan.so'].map((name) =>
    spawnSync('c++', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim(),
  );
  const env = {
    TENSORKILN_ADDON: join(ROOT, folder, 'tensorkiln.node'),
    LD_PRELOAD: libraries.join(':'),
    // Node leaves memory to the system at its end, and what it frees may have come from the addon's counting operator new.
    ASAN_OPTIONS: 'detect_leaks=0:alloc_dealloc_mismatch=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
  await runSanitized(
    'op tests',
    env,
    ['node_modules/vitest/vitest.mjs', 'run', '--project', 'ops', '--project', 'plan'],
    (stdout) => {
      const [, passed, failed] = /^vitest: (\d+) passed, (\d+) failed/m.exec(stdout) ?? [];
      return { count: Number(passed), problems: failed === '0' ? [] : [stdout.split('\n').slice(-60).join('\n')] };
    },
  );
  const sweeps = { 'kernels with wrong input': 'bad-input.mjs', 'tf.* with wrong input': 'bad-input-tf.mjs' };
  await forEachParallel(Object.entries(sweeps), ([title, script]) =>
    runSanitized(title, env, [`tests/support/${script}`], (stdout) => {
      const { attempts, problems } = JSON.parse(stdout);
      return { count: attempts, problems };
    }),
  );
}

/** Runs one script of Node on the sanitized addon; `read` takes { count, problems } from what it printed. */
async function runSanitized(title, env, command, read) {
  const { status, signal, stdout, stderr, seconds } = await capture(process.execPath, command, env);
  const result = status === 0 ? read(stdout) : undefined;
  if (result?.problems.length === 0) {
    totals.passed += 1;
    totals.checks += result.count;
    console.log(`  ok      ${title} under sanitizers: ${result.count}, ${seconds} s`);
    return;
  }
  totals.failed += 1;
  const reason = result?.problems.join('\n') ?? [...stdout.split('\n').slice(-80), ...stderr.split('\n').slice(-60)].join('\n');
  console.log(`  FAILED  ${title} under sanitizers (${signal ?? `exit code ${status}`}, ${seconds} s)\n${reason}`);
}

if (findToolchain().cmake === undefined) {
  console.error(`The native tests need CMake. Install with:\n${installLines().join('\n')}`);
  process.exit(1);
}
const programs = findPrograms(values.filter);
const emulated = EMULATED_TESTS.filter((name) => name.includes(values.filter)).map((name) => ({ name, args: [] }));
if (programs.length === 0 && (values.sanitize || emulated.length === 0)) {
  console.error(`no native test matches '${values.filter}'`);
  process.exit(1);
}
if (values.sanitize) {
  const levels = sanitizedLevels();
  await runAll({
    title: 'AddressSanitizer, UndefinedBehaviorSanitizer',
    folder: 'build-asan',
    programs,
    definitions: ['TENSORKILN_SANITIZE=address,undefined', ...levels],
    env: { ASAN_OPTIONS: 'detect_stack_use_after_return=1:strict_string_checks=1', UBSAN_OPTIONS: 'print_stacktrace=1' },
  });
  // The preloaded libraries are those of Linux and GCC.
  if (values.filter === '' && process.platform === 'linux') {
    await runSanitizedAddon('build-asan', ['TENSORKILN_SANITIZE=address,undefined', 'TENSORKILN_CHECK_OPS=ON', ...levels]);
  }
  const threadTests = programs.filter(({ name }) => THREAD_TESTS.test(name));
  if (threadTests.length === 0 && values.filter === '') throw new Error('no test of stream, pool or allocator found');
  if (threadTests.length > 0) {
    await runAll({
      title: 'ThreadSanitizer',
      folder: 'build-tsan',
      programs: threadTests,
      // Which kernels run does not matter here: the plain level runs everywhere and compiles quickest.
      definitions: ['TENSORKILN_SANITIZE=thread', ...(process.arch === 'x64' ? ['TENSORKILN_LEVELS=baseline'] : [])],
      env: { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1' },
    });
  }
} else {
  // Levels that cannot run would only be compiled, which the addon's own build does.
  const levels = runnableLevels();
  const definitions = levels === undefined ? [] : [`TENSORKILN_LEVELS=${levels.join(';')}`];
  if (programs.length > 0) await runAll({ title: 'native tests', folder: 'build-tests', programs, definitions });
  if (!hasCudaHeaders()) {
    console.log('CUDA tests in the emulator: skipped, the headers of the CUDA toolkit are not here');
  } else if (emulated.length > 0) {
    await runAll({
      title: 'CUDA tests in the emulator',
      folder: 'build-emulated',
      programs: emulated,
      definitions: EMULATED_DEFINITIONS,
      subfolder: join('native', 'cuda'),
      variants: THREAD_ORDERS.map((order) => ({ TENSORKILN_EMULATOR: `${order} quiet` })),
    });
  }
}
console.log(`native: ${totals.passed} passed, ${totals.failed} failed (${totals.checks} checks)`);
process.exitCode = totals.failed === 0 && totals.passed > 0 ? 0 : 1;
