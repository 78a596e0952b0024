import * as tf from '@tensorflow/tfjs-core';
import Benchmark from 'benchmark';
import { filledArray } from '../harness/fill.js';
import { median } from '../harness/statistics.js';
import type { OpCase } from './cases.js';
import { registerIdleBackend } from './idle-backend.js';
import { onnxModel } from './onnx-model.js';
import { SUBJECTS } from './subjects-list.js';

/** A case made ready by one subject. */
export interface Prepared {
  readonly result: () => Promise<ArrayLike<number>>;
  readonly time: (seconds: number) => Promise<{ seconds: number; calls: number }>;
  readonly close: () => Promise<void>;
}
export interface Subject {
  readonly version: string;
  readonly prepare: (entry: OpCase) => Promise<Prepared | undefined>;
}

/** A block of calls is long enough that waiting for its end, once, costs a few percent at most. */
const BLOCK_SECONDS = 0.002;

/** Several samples of one benchmark.js cycle each; it decides how often a sample repeats the block. */
function benchmarked(block: () => void, seconds: number): { seconds: number; calls: number } {
  const benchmark = new Benchmark('case', block, { minSamples: 3, minTime: seconds / 3, maxTime: seconds, initCount: 1 });
  benchmark.run({ async: false });
  const { error } = benchmark as Benchmark & { error?: Error };
  if (error !== undefined) throw error;
  return { seconds: median(benchmark.stats.sample), calls: benchmark.count };
}

/** A tfjs backend, by name; `tf` is the one instance that all of them register with. */
function tfjsSubject(version: string): Subject {
  return {
    version,
    prepare: (entry) => {
      const inputs = entry.inputs.map(({ fill, dims }) =>
        tf.tensor(filledArray(fill, tf.util.sizeFromShape([...dims]), 'f'), [...dims]),
      );
      const once = (): tf.Tensor => entry.run(tf, inputs);
      // Reading one element waits for everything enqueued before it.
      const wait = (tensor: tf.Tensor): void => {
        tf.tidy(() => (tensor.size === 1 ? tensor : tf.slice(tf.reshape(tensor, [-1]), [0], [1])).dataSync());
      };
      const block = (calls: number): void => {
        for (let i = 1; i < calls; ++i) once().dispose();
        const last = once();
        wait(last);
        last.dispose();
      };
      let calls = 1;
      const calibrate = (): void => {
        block(1);
        for (; ; calls *= 2) {
          const start = performance.now();
          block(calls);
          if (performance.now() - start >= BLOCK_SECONDS * 1e3 || calls >= 4096) return;
        }
      };
      let calibrated = false;
      return Promise.resolve({
        result: async () => {
          const tensor = once();
          const values = await tensor.data();
          tensor.dispose();
          return values;
        },
        time: (seconds) => {
          if (!calibrated) calibrate();
          calibrated = true;
          const timed = benchmarked(() => block(calls), seconds);
          return Promise.resolve({ seconds: timed.seconds / calls, calls: timed.calls * calls });
        },
        close: () => {
          for (const tensor of inputs) tensor.dispose();
          return Promise.resolve();
        },
      });
    },
  };
}

const threads = Number(process.env['TENSORKILN_BENCH_THREADS'] ?? '1');

interface OrtTensor {
  readonly data: unknown;
}
interface OrtSession {
  run: (feeds: Record<string, OrtTensor>) => Promise<Record<string, OrtTensor>>;
  release: () => Promise<void>;
}
interface Ort {
  readonly Tensor: new (type: string, data: Float32Array, dims: number[]) => OrtTensor;
  readonly InferenceSession: { create: (model: Uint8Array, options: object) => Promise<OrtSession> };
  readonly env: { wasm: { numThreads: number }; versions?: { common?: string } };
}

/** onnxruntime has no synchronous call, so it is timed by its promises. */
function ortSubject(ort: Ort, name: string): Subject {
  return {
    version: `${name} ${ort.env.versions?.common ?? ''}`.trim(),
    prepare: async (entry) => {
      const model = onnxModel(entry);
      if (model === undefined) return undefined;
      const session = await ort.InferenceSession.create(model, { intraOpNumThreads: threads, interOpNumThreads: 1 });
      const feeds = Object.fromEntries(
        entry.inputs.map(({ fill, dims }, i) => [
          `x${i}`,
          new ort.Tensor('float32', filledArray(fill, tf.util.sizeFromShape([...dims]), 'f') as Float32Array, [...dims]),
        ]),
      );
      return {
        result: async () => (await session.run(feeds))['y']!.data as Float32Array,
        time: async (seconds) => {
          let calls = 0;
          const start = performance.now();
          do {
            await session.run(feeds);
            calls += 1;
          } while (performance.now() - start < seconds * 1e3);
          return { seconds: (performance.now() - start) / 1e3 / calls, calls };
        },
        close: () => session.release(),
      };
    },
  };
}

/** Loads a package that may not be installed. */
async function optional<T>(name: string): Promise<T> {
  try {
    return (await import(name)) as T;
  } catch (error) {
    throw new Error(`${name} is not installed or does not load (${(error as Error).message.split('\n')[0]})`, { cause: error });
  }
}

/** @throws Error when the package of the subject is missing */
export async function openSubject(name: string): Promise<Subject> {
  switch (name) {
    case 'tensorkiln':
      await import('tensorkiln');
      await tf.setBackend('tensorkiln-cpu');
      return tfjsSubject('Tensorkiln');
    case 'tfjs-core alone':
      registerIdleBackend('idle');
      await tf.setBackend('idle');
      return tfjsSubject(`tfjs-core ${tf.version_core}, kernels that do nothing`);
    case 'tfjs cpu':
      await optional('@tensorflow/tfjs-backend-cpu');
      await tf.setBackend('cpu');
      return tfjsSubject(`tfjs cpu ${tf.version_core}`);
    case 'tfjs wasm':
      await optional('@tensorflow/tfjs-backend-wasm');
      if (!(await tf.setBackend('wasm'))) throw new Error('the wasm backend does not start');
      return tfjsSubject(`tfjs wasm ${tf.version_core}`);
    case 'tfjs-node':
      await optional('@tensorflow/tfjs-node');
      await tf.setBackend('tensorflow');
      return tfjsSubject('tfjs-node');
    case 'onnxruntime-web':
    case 'onnxruntime-node': {
      const loaded = await optional<Ort & { default?: Ort }>(name);
      const ort = loaded.InferenceSession === undefined ? loaded.default! : loaded;
      ort.env.wasm.numThreads = threads;
      return ortSubject(ort, name);
    }
    default:
      throw new Error(`unknown subject '${name}': expected ${SUBJECTS.join(', ')}`);
  }
}
