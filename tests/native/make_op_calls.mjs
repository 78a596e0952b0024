// Writes tests/native/op_calls.inc: op calls that fit, a few per op, from which fuzz_test.cc makes calls that do not.
//   node tests/native/make_op_calls.mjs
// They are picked from what tfjs-core's own specs send through the door of the addon. Needs the addon and dist/.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { bundleSpecs } from '../conformance/bundle.mjs';

/** Calls kept per op, and elements that all operands of one may have together. */
const PER_OP = 4;
const MAX_ELEMENTS = 600;
const LETTERS = 'fibhg';

const require = createRequire(import.meta.url);
const jasmineRequire = require('jasmine-core/lib/jasmine-core/jasmine.js');
const jasmine = jasmineRequire.core(jasmineRequire);
const env = jasmine.getEnv({ suppressLoadErrors: true });
Object.assign(globalThis, jasmineRequire.interface(jasmine, env), { jasmine });
const specs = await bundleSpecs({ strict: false });

// The addon is one object per process, so the bundle meets the one prepared here.
const addon = require('../../build/Release/tensorkiln.node');
const ops = addon.ops();
const found = new Map(ops.map(({ name }) => [name, new Map()]));
const enqueue = addon.enqueue;

/** The call in the argument block as text, and what distinguishes it from others: ranks, dtypes and attributes. */
function describeCall() {
  const { ints, floats } = addon.argumentBlock();
  const [op, numOperands, numInts, numFloats] = ints;
  let at = 4;
  let size = 0;
  const operands = [];
  const kinds = [];
  for (let i = 0; i < numOperands; ++i) {
    const dims = [...ints.subarray(at + 3, at + 3 + ints[at + 2])];
    operands.push(`${LETTERS[ints[at + 1]]}[${dims.join(',')}]`);
    kinds.push(`${LETTERS[ints[at + 1]]}${dims.length}`);
    size += dims.reduce((product, dim) => product * dim, 1);
    at += 3 + dims.length;
  }
  const attributes = [...ints.subarray(at, at + numInts)].join(' ');
  const name = ops[op].name;
  const text = `${name} ; ${operands.join(' ')} ; ${attributes} ; ${[...floats.subarray(0, numFloats)].join(' ')}`;
  return { name, size, text, kind: `${kinds.join(' ')} ${attributes}` };
}

addon.enqueue = () => {
  const call = describeCall();
  enqueue();
  const kept = found.get(call.name);
  const open = kept.size < PER_OP || kept.has(call.kind);
  // Of calls of one kind the largest says most.
  if (open && call.size <= MAX_ELEMENTS && call.size > (kept.get(call.kind)?.size ?? 0)) kept.set(call.kind, call);
};

globalThis.require = require;
for (const name of ['log', 'warn', 'info', 'error']) console[name] = () => {};
require(specs);
env.configure({ random: false, failSpecWithNoExpectations: false });
await env.execute();

const lines = [...found.values()].flatMap((kept) => [...kept.values()].map(({ text }) => `    ${JSON.stringify(text)},\n`));
const header = '// Made by tests/native/make_op_calls.mjs: op ; operands in the order of ops.def ; ints ; floats.\n';
writeFileSync(new URL('op_calls.inc', import.meta.url), header + lines.join(''));
process.stdout.write(`${lines.length} calls of ${[...found.values()].filter(({ size }) => size > 0).length} ops\n`, () =>
  process.exit(0),
);
