// Writes docs/kernels.md: what each kernel takes, beside the stock backends, measured in a run.
//   node scripts/kernels-doc.mjs [--check]
// --check writes nothing; exit code 1 when the file is stale. Needs the addon and dist/.
// The calls are those of tests/fixtures/kernel-calls.json, tried with each dtype in place of their own.
import { readFileSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { format, resolveConfig } from 'prettier';

// The stock backends advertise other packages at their first use, and warn about names they register twice.
console.warn = () => undefined;
await import('@tensorflow/tfjs-backend-cpu');
await import('@tensorflow/tfjs-backend-wasm');
await import('../dist/index.js');
const { kernelTable } = await import('../dist/backend/kernels/table.js');

const DTYPES = ['float32', 'int32', 'bool', 'complex64', 'string'];
const TARGET = new URL('../docs/kernels.md', import.meta.url);
const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const calls = read('../tests/fixtures/kernel-calls.json');
const tfjsNode = read('../tests/fixtures/tfjs-node-kernels.json');
const suite = read('../tests/conformance/expected.json');

const backend = tf.backend();
const { addon } = backend.engine;
const seen = { ops: 0, reads: 0 };
for (const [object, name, counter] of [
  [addon, 'enqueue', 'ops'],
  [backend, 'readSync', 'reads'],
]) {
  const original = object[name];
  object[name] = (...args) => {
    seen[counter]++;
    return original.apply(object, args);
  };
}

const isTensor = (value) => typeof value === 'object' && value !== null && Object.hasOwn(value, 'dtype');
const tensorsOf = (value) =>
  isTensor(value) ? [value] : typeof value === 'object' && value !== null ? Object.values(value).flatMap(tensorsOf) : [];
const mapTensors = (value, f) =>
  Array.isArray(value)
    ? value.map((one) => mapTensors(one, f))
    : isTensor(value)
      ? f(value)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mapTensors(one, f)]))
        : value;
const revive = (value) =>
  Array.isArray(value) ? value.map(revive) : typeof value === 'object' && value?.number ? Number(value.number) : value;

function make({ shape, dtype, values }) {
  // Those of a complex tensor are pairs.
  const given = values.slice(
    0,
    shape.reduce((product, dim) => product * dim, 1),
  );
  const numbers = given.map((value) => (typeof value === 'number' ? value : 1));
  if (dtype === 'complex64') {
    const part = tf.tensor(numbers, shape, 'float32');
    const z = tf.complex(part, part);
    part.dispose();
    return z;
  }
  if (dtype === 'string') return tf.tensor(given.map(String), shape, 'string');
  return tf.tensor(dtype === 'bool' ? numbers.map((value) => (value === 0 ? 0 : 1)) : numbers, shape, dtype);
}

/** How a kernel computes with its main input in a dtype; undefined when it refuses. */
function measure(kernel, dtype) {
  for (const call of calls.filter((one) => one.kernel === kernel)) {
    const tensors = tensorsOf(call.inputs);
    // A kernel without inputs makes a tensor of the dtype it is told.
    const main = tensors[0]?.dtype;
    if (main === undefined && !('dtype' in call.attrs) && dtype !== 'float32') continue;
    const attrs = Object.fromEntries(Object.entries(call.attrs).map(([key, value]) => [key, revive(value)]));
    if (main === undefined && 'dtype' in attrs) attrs.dtype = dtype;
    const made = [];
    const inputs = mapTensors(call.inputs, (tensor) => {
      made.push(make(tensor.dtype === main ? { ...tensor, dtype } : tensor));
      return made.at(-1);
    });
    Object.assign(seen, { ops: 0, reads: 0 });
    try {
      const result = tf.engine().runKernel(kernel, inputs, attrs);
      const { ops, reads } = seen;
      tf.dispose(result);
      addon.sync();
      return ops > 0
        ? reads > 0 || dtype === 'string'
          ? 'native, host'
          : 'native'
        : reads > 0 || dtype === 'string'
          ? 'host'
          : 'shares';
    } catch (error) {
      if (error.code === 'E_INTERNAL') throw error;
    } finally {
      tf.dispose(made);
    }
  }
  return undefined;
}

const namesOf = (backendName) => new Set(tf.getKernelsForBackend(backendName).map(({ kernelName }) => kernelName));
const [ours, cpu, wasm, node] = [
  new Set(kernelTable.map(({ name }) => name)),
  namesOf('cpu'),
  namesOf('wasm'),
  new Set(tfjsNode.kernels),
];
const all = [...new Set([...ours, ...cpu, ...wasm, ...node])].sort();
const yes = (condition) => (condition ? 'yes' : '–');
// Larger than what the fixture keeps, and alike in everything else.
const untried = all.filter((name) => ours.has(name) && !calls.some(({ kernel }) => kernel === name));
const rows = all.map((name) => {
  const dtypes = DTYPES.map((dtype) =>
    ours.has(name) ? (untried.includes(name) ? 'not tried' : (measure(name, dtype) ?? '–')) : '–',
  );
  return [
    name,
    ...dtypes,
    ...[tf.getGradient(name) !== undefined, ours.has(name), cpu.has(name), wasm.has(name), node.has(name)].map(yes),
  ];
});
const WHY_ABSENT = {
  Draw: 'it draws on a canvas of a browser',
  LogicalXor: 'tfjs-core composes it of other kernels and never calls this one',
};
const absent = all
  .filter((name) => !ours.has(name))
  .map((name) => {
    if (WHY_ABSENT[name] === undefined) throw new Error(`kernels-doc: say in WHY_ABSENT why there is no ${name}`);
    return `${name} (${WHY_ABSENT[name]})`;
  });
const line = (cells) => `| ${cells.join(' | ')} |`;
const text = `# Kernels

Written by \`node scripts/kernels-doc.mjs\` from a run of every kernel with every dtype; a test fails when it is stale.

The dtype is that of the main input, the first one; for kernels without inputs it is the result's.

- **native**: op calls of the engine alone. **host**: JavaScript of this package on values that are read back, or on strings, which live in JavaScript; not possible inside \`compile\`. **native, host**: both, as where the shape of the result depends on values. **shares**: nothing is computed, the result shares the data. **–**: refused with E_DTYPE or E_SHAPE.
- No kernel uses code of another backend, \`@tensorflow/tfjs-backend-cpu/dist/shared\` included, so none is marked as shared with one.
- Gradient: tfjs-core has one for the kernel. What tfjs-core composes of other kernels, such as LogSoftmax, is differentiated through those.
- cpu and wasm: what @tensorflow/tfjs-backend-cpu and -wasm ${tf.version_core} register. tfjs-node: ${tfjsNode.source}.

${String(ours.size)} kernels here, ${String(cpu.size)} in cpu, ${String(wasm.size)} in wasm, ${String(node.size)} in tfjs-node. Not here: ${absent.join(', ')}.

${line(['kernel', ...DTYPES, 'gradient', 'tensorkiln-cpu', 'cpu', 'wasm', 'tfjs-node'])}
${line(new Array(11).fill('---'))}
${rows.map(line).join('\n')}

## The suite of tfjs-core

${String(suite.passed)} of ${String(suite.total)} specs of tfjs-core ${tf.version_core} pass, none fails; all pass as well with NaN and infinities told apart, and all but ${String(suite.coarse.length)} within 1e-4 in place of 1e-3.

tfjs-core itself marks ${String(suite.pending.length)} as pending:

${suite.pending.map((name) => `- ${name}`).join('\n')}

Left out:

${suite.excluded.map(({ name, reason }) => `- ${name}: ${reason}`).join('\n')}

Run with their own tolerance of 1e-3 when the others must keep 1e-4:

${suite.coarse.map(({ name, reason }) => `- ${name}: ${reason}`).join('\n')}
`;
const formatted = await format(text, { ...(await resolveConfig(TARGET)), parser: 'markdown' });
if (!process.argv.includes('--check')) {
  writeFileSync(TARGET, formatted);
} else {
  let present = '';
  try {
    present = readFileSync(TARGET, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  if (present !== formatted) {
    console.error('docs/kernels.md is stale: run `node scripts/kernels-doc.mjs` and commit the result.');
    process.exitCode = 1;
  }
}
