/** Initial values of parameters, made on the host: equal on every machine for equal seed, path and shape. */
import { checkOneOf } from '../arguments.js';
import { HostRandom } from '../backend/custom/philox.js';
import { sizeOfShape, type Shape } from './shape.js';

/** Names of the initialisers; `glorot_uniform` is the default of kernels, `zeros` that of biases. */
export const INITIALIZERS = ['glorot_uniform', 'he_normal', 'zeros', 'ones'] as const;
export type InitializerName = (typeof INITIALIZERS)[number];

/** Standard deviation of a standard normal cut off at two: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)). */
const TRUNCATED_NORMAL_STDDEV = 0.87962566103423978;

/** Inputs and outputs one unit sees: [in, out] for dense kernels; convolution kernels [..., in, out] count every tap. */
function fans(shape: Shape): { fanIn: number; fanOut: number } {
  if (shape.length < 2) return { fanIn: sizeOfShape(shape), fanOut: sizeOfShape(shape) };
  const taps = sizeOfShape(shape.slice(0, -2));
  return { fanIn: taps * (shape.at(-2) as number), fanOut: taps * (shape.at(-1) as number) };
}

/**
 * Initial values of one parameter.
 *
 * - `glorot_uniform`: uniform in [-limit, limit), limit = sqrt(6 / (fanIn + fanOut)) (Glorot, Bengio 2010, eq. 16)
 * - `he_normal`: normal of standard deviation sqrt(2 / fanIn), cut off at two deviations of the uncut normal and rescaled
 *   (He, Zhang, Ren, Sun 2015, eq. 10; the cut as Keras does it)
 * - `zeros`, `ones`: constants
 *
 * @param name   initialiser
 * @param shape  full shape of the parameter; kernels end in [in, out]
 * @param random `seed` integer in [0, 2^53); `stream` names the parameter, so that adding a layer leaves the others' values
 * @returns      float32 values, row-major
 * @throws E_CONFIG for an unknown name or a wrong seed
 */
export function initialValues(name: InitializerName, shape: Shape, random: { seed: number; stream: string }): Float32Array {
  const values = new Float32Array(sizeOfShape(shape));
  const { fanIn, fanOut } = fans(shape);
  switch (checkOneOf('initializer', 'name', name, INITIALIZERS)) {
    case 'zeros':
      return values;
    case 'ones':
      return values.fill(1);
    case 'glorot_uniform': {
      const numbers = new HostRandom(random.seed, random.stream);
      const limit = Math.sqrt(6 / (fanIn + fanOut));
      for (let i = 0; i < values.length; ++i) values[i] = limit * (2 * numbers.nextUniform() - 1);
      return values;
    }
    case 'he_normal': {
      const numbers = new HostRandom(random.seed, random.stream);
      const scale = Math.sqrt(2 / fanIn) / TRUNCATED_NORMAL_STDDEV;
      for (let i = 0; i < values.length; ++i) values[i] = scale * numbers.nextTruncatedNormal();
      return values;
    }
  }
}
