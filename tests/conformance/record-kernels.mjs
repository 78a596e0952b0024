// Writes tests/fixtures/kernel-calls.json: calls that tfjs-core's own specs make of each kernel, a few of the smallest kinds, from
// which tests/package/bad-input.test.ts makes calls that are wrong.
//   node tests/conformance/record-kernels.mjs
// Each is { kernel, inputs, attrs }; a tensor is { shape, dtype, values }. Needs the addon and dist/.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { bundleSpecs } from './bundle.mjs';

/** Calls kept per kernel, and elements that all inputs of one may have together. */
const PER_KERNEL = 3;
const MAX_ELEMENTS = 100;

const require = createRequire(import.meta.url);
const jasmineRequire = require('jasmine-core/lib/jasmine-core/jasmine.js');
const jasmine = jasmineRequire.core(jasmineRequire);
const env = jasmine.getEnv({ suppressLoadErrors: true });
Object.assign(globalThis, jasmineRequire.interface(jasmine, env), { jasmine });

const REGISTERED = 'kernelFunc: replacement ??';
const specs = await bundleSpecs({
  strict: false,
  name: 'specs-recorded',
  edit(path, source) {
    if (!path.endsWith('kernels/table.js')) return source;
    if (!source.includes(REGISTERED)) throw new Error('table.js registers kernels otherwise than expected: adapt REGISTERED');
    return source
      .replace(REGISTERED, 'kernelFunc: globalThis.recorded(name,')
      .replace(/(recorded\(name,\s*[^}\n]+?)\s*\}\);/, '$1) });');
  },
});

const found = new Map();

function isTensor(value) {
  return typeof value === 'object' && value !== null && 'dataId' in value && 'shape' in value;
}

/** Attributes with the numbers that JSON lacks. */
function plain(value) {
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) };
  if (Array.isArray(value)) return value.map(plain);
  return value;
}

function recordCall(name, { inputs, attrs, backend }) {
  let size = 0;
  const kinds = [];
  const describeTensor = ({ dataId, shape, dtype }) => {
    size += shape.reduce((product, dim) => product * dim, 1);
    kinds.push(`${dtype}${shape.length}`);
    if (size > MAX_ELEMENTS) return null;
    const values = Array.from(backend.readSync(dataId), (value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString() : plain(value),
    );
    return { shape, dtype, values };
  };
  const describe = (value) => (Array.isArray(value) ? value.map(describe) : isTensor(value) ? describeTensor(value) : value);
  const described = Array.isArray(inputs)
    ? inputs.map(describe)
    : Object.fromEntries(Object.entries(inputs ?? {}).map(([key, value]) => [key, describe(value)]));
  // Specs may make thousands of a kind; images and functions among the attributes are no plain data.
  const kept = found.get(name) ?? new Map();
  found.set(name, kept);
  const kind = kinds.join(' ');
  if (size > MAX_ELEMENTS || (size === 0) !== (kinds.length === 0) || kept.size >= PER_KERNEL || kept.has(kind)) return;
  const attributes = Object.fromEntries(Object.entries(attrs ?? {}).map(([key, value]) => [key, plain(value)]));
  kept.set(kind, { kernel: name, inputs: described, attrs: attributes });
}

globalThis.recorded = (name, run) => (call) => {
  // A tensor of another backend or one that is gone cannot be described; the kernel deals with it.
  try {
    recordCall(name, call);
  } catch {
    return run(call);
  }
  return run(call);
};
globalThis.require = require;
for (const name of ['log', 'warn', 'info', 'error']) console[name] = () => {};
require(specs);
env.configure({ random: false, failSpecWithNoExpectations: false });
await env.execute();

const calls = [...found.values()].flatMap((kept) => [...kept.values()]);
calls.sort((a, b) => (a.kernel < b.kernel ? -1 : a.kernel > b.kernel ? 1 : 0));
const lines = calls.map((call) => JSON.stringify(call)).join(',\n');
writeFileSync(new URL('../fixtures/kernel-calls.json', import.meta.url), `[\n${lines}\n]\n`);
process.stdout.write(`${calls.length} calls of ${found.size} kernels\n`, () => process.exit(0));
