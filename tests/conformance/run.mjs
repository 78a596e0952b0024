// Runs the bundled specs on the backend `tensorkiln-cpu` in this process and prints one line of JSON with the results:
// { passed, failed: [{ name, messages }], skipped: [name] }. An argument limits the run to specs whose full name contains it.
import { createRequire } from 'node:module';
import { bundleSpecs } from './bundle.mjs';

const require = createRequire(import.meta.url);
const jasmineRequire = require('jasmine-core/lib/jasmine-core/jasmine.js');
const jasmine = jasmineRequire.core(jasmineRequire);
const env = jasmine.getEnv({ suppressLoadErrors: true });
Object.assign(globalThis, jasmineRequire.interface(jasmine, env), { jasmine });
jasmine.DEFAULT_TIMEOUT_INTERVAL = 20_000;

const specs = await bundleSpecs();
globalThis.require = require;
// tfjs-core warns and logs a lot while it is tested.
for (const name of ['log', 'warn', 'info', 'error']) console[name] = () => {};
require(specs);

const results = { passed: 0, failed: [], skipped: [] };
const wanted = process.argv[2] ?? '';
env.configure({
  random: false,
  failSpecWithNoExpectations: false,
  specFilter: (spec) => spec.getFullName().includes(wanted),
});
env.addReporter({
  specDone(result) {
    if (result.status === 'passed') results.passed++;
    else if (result.status === 'failed')
      results.failed.push({
        name: result.fullName,
        messages: result.failedExpectations.map(({ message }) => message.slice(0, 300)),
      });
    else if (result.status !== 'excluded') results.skipped.push(result.fullName);
  },
});
await env.execute();
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
