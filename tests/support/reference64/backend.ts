/**
 * The referee: a tfjs backend in double precision, for tests only.
 *
 * It shares no code with the backend under test or with a stock one. tfjs-core sees float32, int32, bool and complex64; float32
 * data is held as doubles, so gradients of tfjs-core and central differences of step 1e-5 can be taken on it with an error far
 * below what float32 can show. Make inputs with `reference64Tensor`, since `tf.tensor` rounds them to float32.
 */
import * as tf from '@tensorflow/tfjs-core';
import { complexKernels } from './complex.js';
import { contractionKernels } from './contraction.js';
import { convolutionKernels } from './convolution.js';
import { zeros, type Dense, type ReferenceKernel, type Values } from './dense.js';
import { elementwiseKernels } from './elementwise.js';
import { imageKernels } from './image.js';
import { indexingKernels } from './indexing.js';
import { layoutKernels } from './layout.js';
import { normalizationKernels } from './normalization.js';
import { poolingKernels } from './pooling.js';
import { reductionKernels } from './reduction.js';

export const REFERENCE64 = 'reference64';

export const reference64Kernels: readonly ReferenceKernel[] = [
  ...elementwiseKernels,
  ...reductionKernels,
  ...layoutKernels,
  ...indexingKernels,
  ...contractionKernels,
  ...convolutionKernels,
  ...poolingKernels,
  ...normalizationKernels,
  ...imageKernels,
  ...complexKernels,
];

interface Entry {
  readonly values: Values;
  refCount: number;
}

class Reference64Backend extends tf.KernelBackend {
  readonly #entries = new Map<object, Entry>();

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): object {
    const dataId = {};
    this.move(dataId, values, shape, dtype, 1);
    return dataId;
  }

  override move(
    dataId: object,
    values: tf.backend_util.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    refCount: number,
  ): void {
    if (dtype === 'string') throw new Error(`[${REFERENCE64}] holds no strings.`);
    const copy = zeros(
      dtype,
      shape.reduce((product, dim) => product * dim, 1),
    );
    if (copy.length !== values.length) {
      throw new Error(`[${REFERENCE64}] [${shape.join(', ')}] takes ${copy.length} values, got ${values.length}.`);
    }
    copy.set(values as unknown as ArrayLike<number>);
    this.#entries.set(dataId, { values: copy, refCount });
  }

  override readSync(dataId: object): tf.backend_util.BackendValues {
    // tfjs-core passes the array on as it is; its types know no doubles.
    return this.values(dataId) as unknown as tf.backend_util.BackendValues;
  }

  override read(dataId: object): Promise<tf.backend_util.BackendValues> {
    return Promise.resolve(this.readSync(dataId));
  }

  values(dataId: object): Values {
    const entry = this.#entries.get(dataId);
    if (entry === undefined) throw new Error(`[${REFERENCE64}] the tensor does not live here or has been disposed.`);
    return entry.values;
  }

  override disposeData(dataId: object, force = false): boolean {
    const entry = this.#entries.get(dataId);
    if (entry === undefined) return true;
    entry.refCount -= 1;
    if (!force && entry.refCount > 0) return false;
    this.#entries.delete(dataId);
    return true;
  }

  override refCount(dataId: object): number {
    return this.#entries.get(dataId)?.refCount ?? 0;
  }

  override incRef(dataId: object): void {
    const entry = this.#entries.get(dataId);
    if (entry !== undefined) entry.refCount += 1;
  }

  override numDataIds(): number {
    return this.#entries.size;
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: false };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override dispose(): void {
    this.#entries.clear();
  }
}

/** Identity and Reshape share no data id here: copies are as good, and the reference needs no speed. */
function kernelFunc({ run }: ReferenceKernel): tf.KernelFunc {
  return ({ inputs, attrs, backend }) => {
    const store = backend as Reference64Backend;
    const dense = (info: tf.TensorInfo): Dense => ({ ...info, shape: info.shape, values: store.values(info.dataId) });
    const given: unknown = Array.isArray(inputs)
      ? inputs.map((info: tf.TensorInfo) => dense(info))
      : Object.fromEntries(
          Object.entries(inputs)
            .filter(([, info]) => info != null)
            .map(([key, info]) => [key, dense(info as tf.TensorInfo)]),
        );
    const publish = ({ shape, dtype, values }: Dense): tf.TensorInfo => {
      const data = values as unknown as tf.backend_util.BackendValues;
      return { dataId: store.write(data, [...shape], dtype), shape: [...shape], dtype };
    };
    const result = run(given as never, (attrs ?? {}) as never);
    return Array.isArray(result) ? result.map(publish) : publish(result);
  };
}

/** A tensor on the current backend that keeps doubles when that is the reference. */
export function reference64Tensor(values: Values, shape: readonly number[], dtype: tf.DataType): tf.Tensor {
  return tf.engine().makeTensor(values as unknown as tf.DataValues, [...shape], dtype);
}

for (const entry of reference64Kernels) {
  tf.registerKernel({ kernelName: entry.name, backendName: REFERENCE64, kernelFunc: kernelFunc(entry) });
}
tf.registerBackend(REFERENCE64, () => new Reference64Backend(), -1);
