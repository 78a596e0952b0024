// Runs tfjs-core's own specs on a backend in this process and prints one line of JSON with the results:
// { passed, failed: [{ name, messages }], skipped: [name], excluded: [name], coarse: [name] }.
//   node tests/conformance/run.mjs [--strict] [--tolerance 1e-4] [--backend NAME] [--specs FILE] [part of a spec's full name]
// --strict tells NaN, Infinity and -Infinity apart, which the specs as shipped do not. --tolerance stands in for the 1e-3 of
// comparisons that name none; the specs that expected.json lists as coarse keep theirs and come back in `coarse`. Excluded are the
// specs that expected.json lists with a reason. --specs names a bundle made before. Needs the addon and dist/.
import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: options, positionals } = parseArgs({
  options: {
    strict: { type: 'boolean' },
    tolerance: { type: 'string' },
    backend: { type: 'string', default: 'tensorkiln-cpu' },
    specs: { type: 'string' },
  },
  allowPositionals: true,
});
const [wanted = ''] = positionals;
const tolerance = options.tolerance === undefined ? undefined : Number(options.tolerance);
if (tolerance !== undefined && !(tolerance > 0)) throw new Error(`--tolerance: expected a number, got '${options.tolerance}'`);
const { excluded, coarse } = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8'));
/** A spec's name in expected.json, for the backend under test. */
const named = ({ name }) => name.replace('tensorkiln-cpu', options.backend);
const exclusions = new Set(excluded.map(named));
const coarseNames = new Set(coarse.map(named));

const require = createRequire(import.meta.url);
const jasmineRequire = require('jasmine-core/lib/jasmine-core/jasmine.js');
const jasmine = jasmineRequire.core(jasmineRequire);
const env = jasmine.getEnv({ suppressLoadErrors: true });
Object.assign(globalThis, jasmineRequire.interface(jasmine, env), { jasmine });
jasmine.DEFAULT_TIMEOUT_INTERVAL = 20_000;

// Two runs at once must not write one file.
const name = `${options.backend}${options.strict ? '-strict' : ''}${tolerance === undefined ? '' : '-fine'}`;
// A bundle made before needs nothing that makes bundles.
const specs =
  options.specs === undefined
    ? await (await import('./bundle.mjs')).bundleSpecs({ strict: options.strict === true, name, backend: options.backend })
    : resolve(options.specs);
globalThis.require = require;
refuseStockBackends();
// tfjs-core warns and logs a lot while it is tested.
for (const name of ['log', 'warn', 'info', 'error']) console[name] = () => {};
require(specs);

const results = { passed: 0, failed: [], skipped: [], excluded: [], coarse: [] };
const fail = (name, expectations) => {
  if (expectations.length > 0) {
    results.failed.push({ name, messages: expectations.map(({ message }) => message.slice(0, 300)) });
  }
};
env.configure({
  random: false,
  failSpecWithNoExpectations: false,
  specFilter: (spec) => {
    const name = spec.getFullName();
    if (!name.includes(wanted)) return false;
    if (!exclusions.has(name)) return true;
    results.excluded.push(name);
    return false;
  },
});
env.addReporter({
  specStarted({ fullName }) {
    const isCoarse = tolerance !== undefined && coarseNames.has(fullName);
    if (isCoarse) results.coarse.push(fullName);
    globalThis.specTolerance = isCoarse ? undefined : tolerance;
  },
  specDone({ status, fullName, failedExpectations }) {
    if (status === 'passed') results.passed++;
    else if (status === 'failed') fail(fullName, failedExpectations);
    else if (status !== 'excluded') results.skipped.push(fullName);
  },
  // What fails outside a spec, such as a rejection that nobody handles after its spec has ended.
  suiteDone({ fullName, failedExpectations }) {
    fail(fullName, failedExpectations);
  },
  jasmineDone({ failedExpectations }) {
    fail('outside all specs', failedExpectations);
  },
});
await env.execute();
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));

/** What the bundle leaves outside is resolved here while the specs run: no line of a stock backend may come in that way either. */
function refuseStockBackends() {
  const resolveFilename = Module._resolveFilename;
  Module._resolveFilename = (request, ...rest) => {
    const file = resolveFilename(request, ...rest);
    if (/[\\/]tfjs-backend-[a-z]+[\\/]/.test(file)) throw new Error(`${file}: the specs run without the stock backends`);
    return file;
  };
}
