/** The kernel table: every family, registered for one backend name. */
import { getKernel, registerKernel, type KernelConfig, type KernelFunc, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { binaryKernels } from './binary.js';
import { blockKernels } from './blocks.js';
import { convKernels } from './conv.js';
import { conv3DKernels } from './conv3d.js';
import { creationKernels } from './creation.js';
import { depthwiseKernels } from './depthwise.js';
import { einsumKernels } from './einsum.js';
import { gatherKernels } from './gather.js';
import { imageKernels } from './image.js';
import type { Kernel, KernelCall } from './kernel.js';
import { layoutKernels } from './layout.js';
import { matmulKernels } from './matmul.js';
import { normKernels } from './norm.js';
import { poolKernels } from './pool.js';
import { randomKernels } from './random.js';
import { reduceKernels } from './reduce.js';
import { scanKernels } from './scan.js';
import { softmaxKernels } from './softmax.js';
import { spectralKernels } from './spectral.js';
import { raggedKernels } from './ragged.js';
import { scatterKernels } from './scatter.js';
import { callCheck } from './signatures.js';
import { sortKernels } from './sort.js';
import { sparseKernels } from './sparse.js';
import { stringKernels } from './string.js';
import { structureKernels } from './structure.js';
import { unaryKernels } from './unary.js';

/** All kernels, in no particular order. A kernel of tfjs that is not here fails with its name and the backend's. */
export const kernelTable: readonly Kernel[] = [
  ...structureKernels,
  ...creationKernels,
  ...unaryKernels,
  ...binaryKernels,
  ...reduceKernels,
  ...softmaxKernels,
  ...matmulKernels,
  ...convKernels,
  ...conv3DKernels,
  ...depthwiseKernels,
  ...poolKernels,
  ...normKernels,
  ...scanKernels,
  ...spectralKernels,
  ...einsumKernels,
  ...gatherKernels,
  ...layoutKernels,
  ...blockKernels,
  ...imageKernels,
  ...randomKernels,
  ...sortKernels,
  ...scatterKernels,
  ...sparseKernels,
  ...raggedKernels,
  ...stringKernels,
];

/** A kernel as tfjs-core runs it: a wrong call is refused first, and one that fails half-way leaves no tensors behind. */
function guarded({ name, run }: Kernel): KernelFunc {
  const check = callCheck(name);
  const body = run as (call: KernelCall<unknown, unknown>) => TensorInfo | TensorInfo[];
  return ({ inputs, attrs, backend }) => {
    const ours = backend as TensorkilnBackend;
    check(ours, inputs, attrs);
    const mark = ours.enter(name);
    try {
      return body({ inputs, attrs, backend: ours });
    } catch (error) {
      ours.discardSince(mark);
      throw error;
    } finally {
      ours.leave();
    }
  };
}

/**
 * Registers the table for a backend; kernels registered already stay as they are.
 *
 * @param backendName name of the backend
 */
export function registerKernels(backendName: string): void {
  for (const kernel of kernelTable) {
    const { name } = kernel;
    // Typed as always there, but a kernel that is not registered is undefined.
    const present = getKernel(name, backendName) as KernelConfig | undefined;
    if (present !== undefined) continue;
    registerKernel({ kernelName: name, backendName, kernelFunc: guarded(kernel) });
  }
}
