// gpu:check: does `tensorkiln-cuda` compute on this machine what it computes elsewhere? Runs inside the archive that
// `npm run gpu:bundle` makes; needs a driver and nothing else.
//   ./gpu-check [--results FILE] [part of a check's name]
// Each check writes one line of JSON to the results as it finishes, and a check that has passed for this build and device is not
// run again: a run that was cut off goes on where it stopped. Exit code 1 when a check has failed.
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { inspectEnvironment } from '../../dist/backend/inspect/index.js';
import { caseNames, compareCase } from './compare.mjs';

// Bundled as CommonJS, which has it.
/* global __dirname */
const HERE = __dirname;
const { values, positionals } = parseArgs({
  options: { results: { type: 'string', default: join(HERE, 'gpu-check.jsonl') } },
  allowPositionals: true,
});
const [wanted = ''] = positionals;
const build = JSON.parse(readFileSync(join(HERE, 'build.json'), 'utf8'));

/** Runs a program of the archive; throws what it printed when it fails. */
function program(file, args, options = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(file, args, {
    encoding: 'utf8',
    timeout: 400_000,
    maxBuffer: 1 << 26,
    ...options,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${signal ?? `exit code ${status}`}: ${`${stdout}${stderr}`.slice(-1500)}`);
  return stdout;
}

/** Lines of a program that are worth keeping. */
const closing = (text) => text.trim().split('\n').slice(-3).join(' | ');

function findProgram(name) {
  const { status, stdout } = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

const expected = JSON.parse(readFileSync(join(HERE, 'tests', 'conformance', 'expected.json'), 'utf8'));

function conformance() {
  const args = [join(HERE, 'tests', 'conformance', 'run.mjs'), '--strict', '--backend', 'tensorkiln-cuda'];
  const results = JSON.parse(program(process.execPath, [...args, '--specs', join(HERE, 'specs.cjs')]));
  const missing = results.failed.filter(({ messages }) =>
    messages.some((text) => text.includes('has no kernel for this op yet')),
  );
  const wrong = results.failed.filter((failure) => !missing.includes(failure));
  const counts = `${results.passed} of ${expected.passed} passed, ${missing.length} need a kernel that is not there yet`;
  if (wrong.length === 0) return counts;
  const first = wrong.slice(0, 10).map(({ name, messages }) => `${name}: ${messages[0]}`);
  throw new Error(`${counts}, ${wrong.length} failed otherwise:\n${first.join('\n')}`);
}

function sanitizer() {
  const tool = findProgram('compute-sanitizer');
  if (tool === undefined || build.emulated) return 'skipped: no compute-sanitizer on this machine';
  return closing(program(tool, ['--error-exitcode', '9', join(HERE, 'bin', 'layouts')]));
}

/** @returns {{ name: string, run: () => unknown }[]} */
function checks() {
  return [
    { name: 'layouts', run: () => closing(program(join(HERE, 'bin', 'layouts'), [])) },
    ...caseNames().map((name) => ({
      name: `ops ${name}`,
      run: async () => {
        const problem = await compareCase(name);
        if (problem !== undefined) throw new Error(problem);
      },
    })),
    { name: "tfjs-core's specs", run: conformance },
    { name: 'compute-sanitizer', run: sanitizer },
  ];
}

function passedBefore(device) {
  if (!existsSync(values.results)) return new Set();
  const rows = readFileSync(values.results, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  return new Set(rows.filter((row) => row.ok && row.commit === build.commit && row.device === device).map(({ name }) => name));
}

async function main() {
  const { cuda } = await inspectEnvironment();
  const device = build.emulated ? 'emulated' : `${cuda.devices[0]?.name ?? 'none'}, driver ${cuda.driverVersion ?? 'none'}`;
  console.log(`tensorkiln ${build.version} ${build.commit}, CUDA: ${device}`);
  await tf.setBackend('tensorkiln-cuda');
  // Fails here, with one clear message, when the device cannot be used.
  tf.zeros([1]).dataSync();
  const done = passedBefore(device);
  let failed = 0;
  for (const { name, run } of checks().filter((check) => check.name.includes(wanted))) {
    if (done.has(name)) {
      console.log(`  before  ${name}`);
      continue;
    }
    const started = performance.now();
    const row = { date: new Date().toISOString(), commit: build.commit, device, name, ok: true, text: '' };
    try {
      row.text = String((await run()) ?? '');
    } catch (error) {
      failed += 1;
      row.ok = false;
      row.text = error instanceof Error ? error.message : String(error);
    }
    const seconds = (performance.now() - started) / 1000;
    appendFileSync(values.results, `${JSON.stringify({ ...row, seconds })}\n`);
    console.log(
      `  ${row.ok ? 'ok    ' : 'FAILED'}  ${name} (${seconds.toFixed(1)} s)${row.text === '' ? '' : `: ${row.text}`}`,
    );
  }
  console.log(failed === 0 ? 'gpu-check: all passed' : `gpu-check: ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
