/** Running sums and products along one axis. */
import { upcastType, util, type TensorInfo } from '@tensorflow/tfjs-core';
import { declareOp } from '../../native/engine.js';
import { splitAtAxis } from '../shapes/reduce.js';
import { assertNumeric, kernel, withDtype, type Kernel } from './kernel.js';

interface ScanAttrs {
  axis: number;
  exclusive: boolean;
  reverse: boolean;
}

/** The result is float32 or int32; bool counts as int32. */
function scan(name: string, opName: string): Kernel {
  const op = declareOp(opName);
  return kernel<{ x: TensorInfo }, ScanAttrs>(name, ({ inputs: { x }, attrs, backend }) => {
    assertNumeric([x], name);
    // A scalar is a line of one element.
    const shape = x.shape.length === 0 ? [1] : x.shape;
    const [axis] = util.parseAxisParam(attrs.axis, shape) as [number];
    const lines = splitAtAxis(shape, axis);
    const dtype = upcastType(x.dtype, 'int32');
    return withDtype(backend, [x], dtype, ([values]) =>
      backend.run(op, [backend.operand(values as TensorInfo, lines)], { shape: x.shape, dtype, nativeShape: lines }, [
        attrs.exclusive ? 1 : 0,
        attrs.reverse ? 1 : 0,
      ]),
    );
  });
}

export const scanKernels: readonly Kernel[] = [scan('Cumsum', 'cumsum'), scan('Cumprod', 'cumprod')];
