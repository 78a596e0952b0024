/**
 * Our layers on the stock CPU backend, computing in double precision: a bundle of tfjs-core, its backend and ts/nn in which
 * every Float32Array is a Float64Array, and fused ops are the compositions of composed-doors.ts. The reference for outputs and
 * gradients of layers.
 */
import { build, type Plugin } from 'esbuild';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type * as Tf from '@tensorflow/tfjs-core';
import type * as Nn from '../../ts/nn/index.js';

export interface DoubleWorld {
  readonly tf: typeof Tf;
  readonly nn: typeof Nn;
}

/** Doors to ops of ours, and the check that demands our backend. */
const DOORS = /backend\/custom\/(activations|attention|embedding|group-norm|layer-norm|linear|recurrent)\.js$/;

const composed: Plugin = {
  name: 'composed doors',
  setup: (build) => {
    const path = fileURLToPath(new URL('./composed-doors.ts', import.meta.url));
    build.onResolve({ filter: DOORS }, () => ({ path }));
    build.onResolve({ filter: /\.\/home\.js$/ }, () => ({ path: fileURLToPath(new URL('./no-home.ts', import.meta.url)) }));
  },
};

export async function loadDoubleWorld(): Promise<DoubleWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'tensorkiln-double-'));
  const outfile = join(folder, 'double-world.mjs');
  try {
    await build({
      stdin: {
        contents: `import * as tf from '@tensorflow/tfjs-core'; import '@tensorflow/tfjs-backend-cpu';
          import * as nn from './ts/nn/index.js'; export { tf, nn };`,
        resolveDir: fileURLToPath(new URL('../..', import.meta.url)),
      },
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      // The package lists of tfjs name too few files with side effects: kernels would be left out.
      ignoreAnnotations: true,
      // An engine of its own: tfjs-core keeps it in the global object, which is \`window\` where there is one.
      define: { Float32Array: 'Float64Array', window: 'globalThis.tensorkilnDoubleWorld' },
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url); globalThis.tensorkilnDoubleWorld = {};",
      },
      plugins: [composed],
      logLevel: 'silent',
    });
    const world = (await import(pathToFileURL(outfile).href)) as DoubleWorld;
    // Node's own test names the types it knows; doubles are not among them.
    world.tf.env().platform.isTypedArray = (values: unknown): values is Float32Array => ArrayBuffer.isView(values);
    await world.tf.setBackend('cpu');
    return world;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
