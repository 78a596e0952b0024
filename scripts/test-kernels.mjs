// The CUDA kernels' tests made harder, in the emulator: under AddressSanitizer and UndefinedBehaviorSanitizer; under ThreadSanitizer,
// which sees the threads of a block as threads; and on kernels with small faults, each of which a test must notice.
//   node scripts/test-kernels.mjs [--long] [asan] [tsan] [mutation]
//     --long   every mutant and several thread orders; else the mutants marked `often` and one order
//     names    only these parts
// Ends with one line `native: N passed, N failed (M checks)`; exit code 1 when anything failed.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { MUTANTS } from '../tests/cuda/mutants.mjs';
import { EMULATED_DEFINITIONS, EMULATED_TESTS, THREAD_ORDERS, hasCudaHeaders } from './native/emulated.mjs';
import { jobs } from './native/run.mjs';
import { ROOT } from './native/sources.mjs';

const { values, positionals } = parseArgs({
  options: { long: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const PARTS = ['asan', 'tsan', 'mutation'];
const parts = positionals.length > 0 ? positionals : PARTS;
const unknown = parts.find((part) => !PARTS.includes(part));
if (unknown !== undefined) {
  console.error(`test:kernels: '${unknown}' is not a part: expected ${PARTS.join(', ')}`);
  process.exit(1);
}
if (!hasCudaHeaders()) {
  console.log('test:kernels: skipped, the headers of the CUDA toolkit are not here (CUDA_HOME, /usr/local/cuda)');
  process.exit(0);
}

/** What the tests call ops of; the others' kernels are tested through the package and would only make the builds long. */
const FAMILIES = ['attention', 'conv', 'gather', 'matmul', 'reduce', 'softmax', 'unary', 'activation'];
/** Modes of the programs with one bug each, which the sanitizer must end. */
const MEMORY_BUGS = ['global', 'free', 'shared', 'index', 'dynamic', 'aligned', 'local', 'host', 'device'];
const RACE_BUGS = ['no_sync', 'no_second_sync', 'warp_bad', 'global_bad', 'blocks_bad'];
const totals = { passed: 0, failed: 0, checks: 0 };

function count(isGood, text, output = '') {
  totals[isGood ? 'passed' : 'failed'] += 1;
  console.log(`  ${isGood ? 'ok     ' : 'FAILED '} ${text}${isGood ? '' : `\n${output.slice(-6000)}`}`);
}

function start(command, args, options = {}) {
  const started = performance.now();
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options,
    env: { ...process.env, ...options.env },
  });
  if (error !== undefined && error.code !== 'ETIMEDOUT') throw error;
  return { ok: status === 0, status, signal, output: `${stdout}${stderr}`, seconds: (performance.now() - started) / 1000 };
}

/** Configures and builds targets; false, and what the tools said, when that fails. */
function build(folder, definitions, targets) {
  const configured = start('cmake', ['-S', ROOT, '-B', folder, ...definitions.map((text) => `-D${text}`)]);
  const built = configured.ok
    ? start('cmake', ['--build', folder, '--parallel', String(jobs()), '--target', ...targets])
    : configured;
  if (!built.ok) count(false, `${folder} does not build`, built.output);
  else console.log(`  built in ${(configured.seconds + built.seconds).toFixed(0)} s`);
  return built.ok;
}

const program = (folder, name) => join(ROOT, folder, 'native', 'cuda', name);

function runTests(folder, orders, env) {
  for (const order of orders) {
    for (const name of EMULATED_TESTS) {
      const { ok, status, signal, output, seconds } = start(program(folder, name), [], {
        env: { ...env, TENSORKILN_EMULATOR: `${order} quiet` },
      });
      const closing = /^native: (\d+) passed, 0 failed \((\d+) checks\)$/m.exec(output);
      totals.checks += Number(closing?.[2] ?? 0);
      const good = ok && closing !== null;
      count(good, `${name}, ${order}: ${good ? '' : `${signal ?? `exit code ${status}`}, `}${seconds.toFixed(1)} s`, output);
    }
  }
}

/** The sanitizer sees what the emulator's threads do only if these are caught, and says nothing of the mode that has none. */
function runBugs(folder, name, modes, env, said) {
  const clean = start(program(folder, name), ['ok'], { env });
  count(clean.ok, `${name}: nothing is found where nothing is`, clean.output);
  for (const mode of modes) {
    const { ok, signal, output } = start(program(folder, name), [mode], { env });
    count(!ok && (said.test(output) || signal !== null), `${name}: ${mode} is found`, output);
  }
}

function sanitized(folder, sanitizer) {
  return build(
    folder,
    [...EMULATED_DEFINITIONS, `TENSORKILN_SANITIZE=${sanitizer}`, `TENSORKILN_CUDA_FAMILIES=${FAMILIES.join(';')}`],
    [...EMULATED_TESTS, sanitizer === 'thread' ? 'race_bugs' : 'memory_bugs'],
  );
}

function runAsan() {
  console.log('AddressSanitizer, UndefinedBehaviorSanitizer');
  const folder = 'build-emulated-asan';
  if (!sanitized(folder, 'address,undefined')) return;
  // Fibers are left behind on purpose when a kernel fails.
  const env = { ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' };
  runTests(folder, values.long ? ['seed=0', 'seed=1', 'seed=7'] : ['seed=0'], env);
  runBugs(folder, 'memory_bugs', MEMORY_BUGS, env, /AddressSanitizer|runtime error/);
}

function runTsan() {
  console.log('ThreadSanitizer');
  const folder = 'build-emulated-tsan';
  if (!sanitized(folder, 'thread')) return;
  const env = { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1', TENSORKILN_EMULATOR: 'threads=2 quiet' };
  runTests(folder, values.long ? ['seed=0 threads=2', 'seed=1 threads=2', 'seed=7 threads=2'] : ['seed=0 threads=2'], env);
  runBugs(folder, 'race_bugs', RACE_BUGS, env, /data race/);
}

/** Compiles one unit of the library with a fault in one of its files, links it with the others and runs the test. */
function runMutant(folder, commands, mutant) {
  const source = readFileSync(join(ROOT, 'native', mutant.file), 'utf8');
  const pieces = source.split(mutant.find);
  if (pieces.length !== 2)
    return count(false, `${mutant.name}: found ${pieces.length - 1} times in ${mutant.file}, expected 1`);
  const overlay = join(ROOT, folder, 'mutant');
  rmSync(overlay, { recursive: true, force: true });
  const target = join(overlay, mutant.file);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, pieces.join(mutant.replace));
  const isUnit = ({ file }) => file.endsWith(`/units/${mutant.unit}`);
  const command = commands.find(isUnit);
  if (command === undefined) return count(false, `${mutant.name}: the library has no unit ${mutant.unit}`);
  const objectOf = ({ directory, command: text }) => join(directory, /-o (\S+)/.exec(text)[1]);
  const object = join(overlay, 'unit.o');
  // Before the folder of the sources, so that the file with the fault is found first.
  const text = command.command.replace(/-o \S+/, `-o ${object}`).replace(/ -I/, ` -I${overlay} -I`);
  const compiled = start('sh', ['-c', text], { cwd: command.directory });
  if (!compiled.ok) return count(false, `${mutant.name}: does not compile`, compiled.output);
  const objects = commands
    .filter(({ command: line }) => line.includes('tensorkiln_cuda_emulated.dir'))
    .map((entry) => (isUnit(entry) ? object : objectOf(entry)));
  const library = join(overlay, 'libtensorkiln_cuda_emulated.so');
  const emulator = join(ROOT, folder, 'native', 'cuda', 'libtensorkiln_emulator.a');
  const options = ['-Wl,-z,nodelete', '-Wl,--exclude-libs,ALL', '-lpthread'];
  const linked = start('c++', ['-shared', '-o', library, ...objects, emulator, ...options]);
  if (!linked.ok) return count(false, `${mutant.name}: does not link`, linked.output);
  // The first order that shows it is enough.
  const noticed = THREAD_ORDERS.find((order) => {
    const env = { LD_LIBRARY_PATH: overlay, TENSORKILN_EMULATOR: `${order} quiet` };
    return !start(program(folder, mutant.test), [], { env, timeout: 240_000 }).ok;
  });
  count(
    noticed !== undefined,
    `${mutant.name}: ${noticed === undefined ? 'NOBODY NOTICES' : `noticed by ${mutant.test}, ${noticed}`}`,
  );
}

function runMutation() {
  console.log('kernels with a fault');
  const folder = 'build-emulated';
  const tests = [...new Set(MUTANTS.map(({ test }) => test))];
  if (!build(folder, EMULATED_DEFINITIONS, tests)) return;
  const commands = JSON.parse(readFileSync(join(ROOT, folder, 'compile_commands.json'), 'utf8'));
  for (const mutant of MUTANTS.filter(({ often }) => values.long || often === true)) runMutant(folder, commands, mutant);
  rmSync(join(ROOT, folder, 'mutant'), { recursive: true, force: true });
}

if (parts.includes('asan')) runAsan();
if (parts.includes('tsan')) runTsan();
if (parts.includes('mutation')) runMutation();
console.log(`native: ${totals.passed} passed, ${totals.failed} failed (${totals.checks} checks)`);
process.exitCode = totals.failed === 0 && totals.passed > 0 ? 0 : 1;
