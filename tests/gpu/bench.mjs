// gpu:bench: kernels of `tensorkiln-cuda` beside cuBLAS, and PyTorch with its cuDNN, from what the machine has. Runs inside the
// archive that `npm run gpu:bundle` makes; without a library its column is missing, and nothing is downloaded.
//   ./gpu-bench [--results FILE] [--dry] [part of a case's name]
//     --dry   tiny shapes once: shows that the script runs, its times mean nothing
// Every case is one line of JSON, written as it finishes; a run that was cut off goes on where it stopped.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs-core';
import '../../dist/backend/register.js';
import { attention, autocast, layerNorm, softmaxCrossEntropy } from '../../dist/backend/custom/index.js';
import { Adam } from '../../dist/optim/index.js';
import { compareLegs, readOptions, runCases, timeCalls, waitForDevice } from './measure.mjs';

// Bundled as CommonJS, which has it.
/* global __dirname */
const options = readOptions('gpu-bench', __dirname);

/** The matrix products are a program of their own, which talks to cuBLAS directly. */
async function products(results) {
  const library = join(options.here, options.build.library);
  const skip = [...results.done].flatMap((name) => ['--skip', name]);
  const child = spawn(join(options.here, 'bin', 'gemm_bench'), [library, ...(options.isDry ? ['--dry'] : []), ...skip], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { reference, ...row } = JSON.parse(line);
    results.add(reference === null ? row : { ...row, reference });
  }
  const code = child.exitCode ?? (await new Promise((resolve) => child.on('exit', resolve)));
  if (code !== 0) results.add({ name: 'gemm', error: `gemm_bench ended with ${String(code)}` });
}

const normal = (shape) => tf.randomNormal(shape, 0, 1, 'float32', 7);

/** Cases that python's script knows by the same names. `bytes` must move at least; `work` are multiply-adds times two. */
function cases() {
  const small = options.isDry;
  const rows = small ? 8 : 8192;
  const cols = small ? 16 : 4096;
  const list = [];
  const add = (name, make, { bytes, flops } = {}) => list.push({ name, make, bytes, flops });
  const matrix = rows * cols * 4;
  add('copy', () => [(x) => tf.neg(x), normal([rows, cols])], { bytes: 2 * matrix });
  add('softmax', () => [(x) => tf.softmax(x), normal([rows, cols])], { bytes: 2 * matrix });
  add(
    'layer norm',
    () => [(x, g, b) => layerNorm(x, { scale: g, offset: b }), normal([rows, cols]), tf.ones([cols]), tf.zeros([cols])],
    {
      bytes: 2 * matrix,
    },
  );
  add('sum', () => [(x) => tf.sum(x), normal([rows, cols])], { bytes: matrix });
  add('transpose', () => [(x) => tf.transpose(x), normal([rows, cols])], { bytes: 2 * matrix });
  add('cross entropy', () => [(x, y) => softmaxCrossEntropy(x, y), normal([rows, cols]), tf.zeros([rows], 'int32')], {
    bytes: matrix,
  });
  const conv = small ? [1, 8, 8, 8] : [32, 56, 56, 64];
  const channels = conv[3];
  const filter = [3, 3, channels, channels];
  const flops = 2 * conv[0] * conv[1] * conv[2] * 9 * channels * channels;
  add('conv 3x3', () => [(x, w) => tf.conv2d(x, w, 1, 'same'), normal(conv), normal(filter)], { flops });
  add(
    'conv 3x3 gradients',
    () => {
      const gradients = tf.grads((x, w) => tf.conv2d(x, w, 1, 'same'));
      return [(x, w, dy) => gradients([x, w], dy), normal(conv), normal(filter), normal(conv)];
    },
    { flops: 2 * flops },
  );
  const heads = small ? [1, 16, 2, 8] : [4, 2048, 16, 64];
  const scores = 2 * 2 * heads[0] * heads[2] * heads[1] * heads[1] * heads[3];
  add('attention causal', () => [(q, k, v) => attention(q, k, v, { isCausal: true }), ...[1, 2, 3].map(() => normal(heads))], {
    flops: scores / 2,
  });
  add(
    'attention causal gradients',
    () => {
      const gradients = tf.grads((q, k, v) => attention(q, k, v, { isCausal: true }));
      return [(q, k, v, dy) => gradients([q, k, v], dy), ...[1, 2, 3, 4].map(() => normal(heads))];
    },
    { flops: (scores / 2) * 3.5 },
  );
  // Stored in 16 bits: products are, inside autocast.
  const half = () =>
    autocast('bf16', () => tf.reshape(tf.matMul(normal([heads[0] * heads[1] * heads[2], heads[3]]), tf.eye(heads[3])), heads));
  const halfAttention = (q, k, v) => autocast('bf16', () => attention(q, k, v, { isCausal: true }));
  add('attention causal bf16', () => [halfAttention, half(), half(), half()], { flops: scores / 2 });
  add(
    'attention causal bf16 gradients',
    () => {
      const gradients = (q, k, v, dy) =>
        autocast('bf16', () => tf.grads((a, b, c) => attention(a, b, c, { isCausal: true }))([q, k, v], dy));
      return [gradients, half(), half(), half(), half()];
    },
    { flops: (scores / 2) * 3.5 },
  );
  const parameters = small ? 64 : 1 << 24;
  add(
    'adam',
    () => {
      const names = ['a', 'b', 'c', 'd'];
      const named = (make) => Object.fromEntries(names.map((name) => [name, make()]));
      const gradients = named(() => tf.keep(normal([parameters])));
      const optimizer = new Adam({ learningRate: 1e-4 });
      optimizer.bind(named(() => tf.variable(normal([parameters]))));
      return [() => optimizer.apply(gradients)];
    },
    { bytes: 4 * parameters * 28 },
  );
  return list;
}

async function measure({ name, make, bytes, flops }, torch) {
  const [run, ...inputs] = tf.tidy(() => make().map((item) => (item instanceof tf.Tensor ? tf.keep(item) : item)));
  const launch = () => {
    const result = tf.tidy(() => run(...inputs));
    if (result !== undefined && result !== null) tf.dispose(result);
  };
  const row = await compareLegs(() => timeCalls(launch, waitForDevice, options.isDry), torch, name, ['eager'], options.isDry);
  tf.dispose(inputs);
  const perSecond = 1e6 / row.microseconds;
  return {
    name,
    ...row,
    ...(bytes === undefined ? {} : { gigabytesPerSecond: (bytes * perSecond) / 1e9 }),
    ...(flops === undefined ? {} : { teraflops: (flops * perSecond) / 1e12 }),
  };
}

runCases(options, cases(), measure, async (results) => {
  if ('gemm'.includes(options.wanted) || options.wanted.startsWith('gemm')) await products(results);
}).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
