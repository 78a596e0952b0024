/** Initial values of parameters, made on the host: equal on every machine for equal seed, path and shape. */
import { checkKeys, checkNumber, checkOneOf } from '../arguments.js';
import { HostRandom } from '../backend/custom/philox.js';
import { TensorkilnError } from '../errors.js';
import { formatShape, sizeOfShape, type Shape } from './shape.js';

/** Names of the initialisers; `glorot_uniform` is the default of kernels, `zeros` that of biases. */
export const INITIALIZERS = [
  'glorot_uniform',
  'glorot_normal',
  'he_uniform',
  'he_normal',
  'lecun_uniform',
  'lecun_normal',
  'variance_scaling',
  'random_normal',
  'random_uniform',
  'truncated_normal',
  'orthogonal',
  'identity',
  'constant',
  'zeros',
  'ones',
] as const;
export type InitializerName = (typeof INITIALIZERS)[number];

/** An initialiser with its settings; those that are left out have the defaults stated at `initialValues`. */
export interface InitializerSettings {
  readonly type: InitializerName;
  /** variance_scaling: > 0. */
  readonly scale?: number;
  /** variance_scaling. */
  readonly mode?: FanMode;
  /** variance_scaling. */
  readonly distribution?: Distribution;
  /** random_normal, truncated_normal. */
  readonly mean?: number;
  /** random_normal, truncated_normal: >= 0. */
  readonly stddev?: number;
  /** random_uniform. */
  readonly min?: number;
  /** random_uniform: > min. */
  readonly max?: number;
  /** orthogonal, identity. */
  readonly gain?: number;
  /** constant. */
  readonly value?: number;
}
export type Initializer = InitializerName | InitializerSettings;

const FAN_MODES = ['fan_in', 'fan_out', 'fan_avg'] as const;
type FanMode = (typeof FAN_MODES)[number];
const DISTRIBUTIONS = ['uniform', 'normal', 'truncated_normal'] as const;
type Distribution = (typeof DISTRIBUTIONS)[number];

/** The variance-scaling initialisers: scale, mode, distribution. */
const SCALED: Readonly<Partial<Record<InitializerName, readonly [number, FanMode, Distribution]>>> = {
  glorot_uniform: [1, 'fan_avg', 'uniform'],
  glorot_normal: [1, 'fan_avg', 'truncated_normal'],
  he_uniform: [2, 'fan_in', 'uniform'],
  he_normal: [2, 'fan_in', 'truncated_normal'],
  lecun_uniform: [1, 'fan_in', 'uniform'],
  lecun_normal: [1, 'fan_in', 'truncated_normal'],
};

const SETTINGS: Readonly<Partial<Record<InitializerName, readonly string[]>>> = {
  variance_scaling: ['scale', 'mode', 'distribution'],
  random_normal: ['mean', 'stddev'],
  truncated_normal: ['mean', 'stddev'],
  random_uniform: ['min', 'max'],
  orthogonal: ['gain'],
  identity: ['gain'],
  constant: ['value'],
};

/** Standard deviation of a standard normal cut off at two: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)). */
const TRUNCATED_NORMAL_STDDEV = 0.87962566103423978;

/** Checks an initialiser's name and settings. @throws E_CONFIG naming place and key */
export function checkInitializer(place: string, key: string, value: unknown): Initializer {
  if (typeof value !== 'object' || value === null) return checkOneOf(place, key, value, INITIALIZERS);
  const { type, ...settings } = value as InitializerSettings;
  checkOneOf(place, key, type, INITIALIZERS);
  checkKeys(`${place} ${key}`, settings, SETTINGS[type] ?? []);
  const { scale, mode, distribution, stddev, min = -0.05, max = 0.05 } = settings;
  if (scale !== undefined) checkNumber(place, `${key}.scale`, scale, { above: 0 });
  if (mode !== undefined) checkOneOf(place, `${key}.mode`, mode, FAN_MODES);
  if (distribution !== undefined) checkOneOf(place, `${key}.distribution`, distribution, DISTRIBUTIONS);
  if (stddev !== undefined) checkNumber(place, `${key}.stddev`, stddev, { min: 0 });
  checkNumber(place, `${key}.min`, min);
  checkNumber(place, `${key}.max`, max, { above: min });
  for (const name of ['mean', 'gain', 'value'] as const) {
    if (settings[name] !== undefined) checkNumber(place, `${key}.${name}`, settings[name]);
  }
  return value as InitializerSettings;
}

/** Inputs and outputs one unit sees: [in, out] for dense kernels; convolution kernels [..., in, out] count every tap. */
function fans(shape: Shape): { fan_in: number; fan_out: number; fan_avg: number } {
  const isVector = shape.length < 2;
  const taps = isVector ? sizeOfShape(shape) : sizeOfShape(shape.slice(0, -2));
  const [fanIn, fanOut] = isVector ? [taps, taps] : [taps * (shape.at(-2) as number), taps * (shape.at(-1) as number)];
  return { fan_in: fanIn, fan_out: fanOut, fan_avg: (fanIn + fanOut) / 2 };
}

/**
 * Initial values of one parameter.
 *
 * - `variance_scaling`: mean 0, variance scale / n with n = fanIn, fanOut or their mean (`mode`), drawn by `distribution`;
 *   defaults 1, fan_in, truncated_normal. A truncated normal is cut off at two deviations and rescaled, as in Keras
 * - `glorot_*`: scale 1, fan_avg (Glorot, Bengio 2010, eq. 16); `he_*`: scale 2, fan_in (He et al. 2015, eq. 10);
 *   `lecun_*`: scale 1, fan_in (LeCun et al. 1998)
 * - `random_normal`, `truncated_normal`: mean 0, stddev 0.05; `random_uniform`: [-0.05, 0.05)
 * - `orthogonal`: gain (1) times a random matrix [product of leading axes, last] with orthonormal rows or columns (Saxe,
 *   McClelland, Ganguli 2014); `identity`: gain (1) on the diagonal of a matrix
 * - `constant`: value (0); `zeros`, `ones`
 *
 * @param initializer  name, or name with settings
 * @param shape  full shape of the parameter; kernels end in [in, out]
 * @param random `seed` integer in [0, 2^53); `stream` names the parameter, so that adding a layer leaves the others' values
 * @returns      float32 values, row-major
 * @throws E_CONFIG for an unknown name or a wrong seed; E_SHAPE for an identity or orthogonal that is no matrix
 */
export function initialValues(initializer: Initializer, shape: Shape, random: { seed: number; stream: string }): Float32Array {
  const checked = checkInitializer('initializer', 'name', initializer);
  const settings: InitializerSettings = typeof checked === 'string' ? { type: checked } : checked;
  const { type } = settings;
  const values = new Float32Array(sizeOfShape(shape));
  if (type === 'zeros') return values;
  if (type === 'ones') return values.fill(1);
  if (type === 'constant') return values.fill(settings.value ?? 0);
  if (type === 'identity') {
    const [rows, columns] = matrixShape(type, shape, shape.length === 2);
    for (let i = 0; i < Math.min(rows, columns); ++i) values[i * columns + i] = settings.gain ?? 1;
    return values;
  }
  const numbers = new HostRandom(random.seed, random.stream);
  switch (type) {
    case 'random_normal':
      return values.map(() => (settings.mean ?? 0) + (settings.stddev ?? 0.05) * numbers.nextNormal());
    case 'truncated_normal':
      return values.map(() => (settings.mean ?? 0) + (settings.stddev ?? 0.05) * numbers.nextTruncatedNormal());
    case 'random_uniform': {
      const { min = -0.05, max = 0.05 } = settings;
      return values.map(() => min + (max - min) * numbers.nextUniform());
    }
    case 'orthogonal': {
      const [rows, columns] = matrixShape(type, shape, shape.length >= 2);
      return Float32Array.from(orthogonal(rows, columns, numbers), (value) => (settings.gain ?? 1) * value);
    }
    default: {
      const [scale, mode, distribution] = SCALED[type] ?? [
        settings.scale ?? 1,
        settings.mode ?? 'fan_in',
        settings.distribution ?? 'truncated_normal',
      ];
      const stddev = Math.sqrt(scale / fans(shape)[mode]);
      if (distribution === 'normal') return values.map(() => stddev * numbers.nextNormal());
      if (distribution === 'truncated_normal') {
        const uncut = stddev / TRUNCATED_NORMAL_STDDEV;
        return values.map(() => uncut * numbers.nextTruncatedNormal());
      }
      const limit = Math.sqrt(3) * stddev;
      return values.map(() => limit * (2 * numbers.nextUniform() - 1));
    }
  }
}

function matrixShape(type: string, shape: Shape, isMatrix: boolean): [number, number] {
  if (!isMatrix)
    throw new TensorkilnError(
      'E_SHAPE',
      `[initializer] ${type} needs a matrix: expected [rows, columns], got ${formatShape(shape)}.`,
    );
  const columns = shape.at(-1) as number;
  return [sizeOfShape(shape) / columns, columns];
}

/** Orthonormal columns (or rows, when there are more columns), by Gram-Schmidt done twice on normal numbers, in double. */
function orthogonal(rows: number, columns: number, numbers: HostRandom): Float64Array {
  const [length, count] = [Math.max(rows, columns), Math.min(rows, columns)];
  const vectors: Float64Array[] = [];
  while (vectors.length < count) {
    const vector = Float64Array.from({ length }, () => numbers.nextNormal());
    for (let pass = 0; pass < 2; ++pass) {
      for (const other of vectors) {
        const overlap = vector.reduce((sum, value, i) => sum + value * (other[i] as number), 0);
        for (let i = 0; i < length; ++i) vector[i] = (vector[i] as number) - overlap * (other[i] as number);
      }
    }
    const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
    // A draw in the span of the others, to rounding, is drawn again.
    if (norm > 1e-6) vectors.push(vector.map((value) => value / norm));
  }
  const at = (row: number, column: number): number =>
    (rows >= columns ? vectors[column]?.[row] : vectors[row]?.[column]) as number;
  return Float64Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns));
}
