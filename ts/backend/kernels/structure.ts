/** Kernels that compute nothing: identity, reshape, dtype, complex parts. */
import { backend_util, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { reshapedShape } from '../shapes/layout.js';
import { complexPart, complexParts, toComplex } from './forms.js';
import { cast, consume, kernel, type Kernel } from './kernel.js';

function castKernel(backend: TensorkilnBackend, x: TensorInfo, dtype: DataType): TensorInfo {
  if (x.dtype === dtype) return backend.share(x);
  if (dtype === 'complex64') {
    return toComplex(backend, ...complexParts(backend, x));
  }
  if (x.dtype === 'complex64') return consume(backend, complexPart(backend, x, 'real'), (real) => cast(backend, real, dtype));
  return cast(backend, x, dtype);
}

/** The values of a small tensor; those written from JavaScript are known without waiting. */
function numbersOf(backend: TensorkilnBackend, x: TensorInfo): number[] {
  return Array.from(backend.record(x).mirror ?? (backend.readSync(x.dataId) as Int32Array));
}

export const structureKernels: readonly Kernel[] = [
  kernel<{ x: TensorInfo }>('Identity', ({ inputs, backend }) => backend.share(inputs.x)),
  kernel<{ x: TensorInfo }, { shape: number[] }>('Reshape', ({ inputs, attrs, backend }) =>
    backend.share(inputs.x, reshapedShape(inputs.x.shape, attrs.shape)),
  ),
  kernel<{ input: TensorInfo }, { dim: number }>('ExpandDims', ({ inputs, attrs, backend }) => {
    const { shape } = inputs.input;
    if (attrs.dim < -(shape.length + 1) || attrs.dim > shape.length) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[expandDims] axis must be in [${String(-(shape.length + 1))}, ${String(shape.length)}], got ${String(attrs.dim)}.`,
      );
    }
    const at = attrs.dim < 0 ? attrs.dim + shape.length + 1 : attrs.dim;
    return backend.share(inputs.input, [...shape.slice(0, at), 1, ...shape.slice(at)]);
  }),
  kernel<{ x: TensorInfo }, { dtype: DataType }>('Cast', ({ inputs, attrs, backend }) =>
    castKernel(backend, inputs.x, attrs.dtype),
  ),
  kernel<{ real: TensorInfo; imag: TensorInfo }>('Complex', ({ inputs, backend }) => backend.complex(inputs.real, inputs.imag)),
  kernel<{ input: TensorInfo }>('Real', ({ inputs, backend }) => complexPart(backend, inputs.input, 'real')),
  kernel<{ s0: TensorInfo; s1: TensorInfo }>('BroadcastArgs', ({ inputs, backend }) => {
    const shape = backend_util.assertAndGetBroadcastShape(numbersOf(backend, inputs.s0), numbersOf(backend, inputs.s1));
    return backend.makeTensorInfo([shape.length], 'int32', Int32Array.from(shape));
  }),
  kernel<{ input: TensorInfo }>('Imag', ({ inputs, backend }) => complexPart(backend, inputs.input, 'imag')),
];
