/** What all convolutions read from their options. */
import { checkInteger, checkOneOf } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { ACTIVATIONS, type ActivationName } from './activations.js';
import type { LayerOptions } from './layer.js';
import { readBias, readRole, roleKeys, type ParameterOptions, type RoleOptions } from './parameter-options.js';
import { checkSizes, type Sizes } from './sliding.js';
import { PADDINGS, type Padding } from './window.js';

export type ConvolutionOptions = LayerOptions &
  RoleOptions<'kernel' | 'bias'> & {
    /** Size of the kernel along each axis. */
    readonly kernelSize: Sizes;
    /** Default 1. */
    readonly strides?: Sizes;
    /** 'valid' (default) or 'same'; 'causal' for Conv1D only. */
    readonly padding?: Padding | 'causal';
    /** Distance between kernel taps; default 1. Strides must be 1 when it is larger. */
    readonly dilations?: Sizes;
    /** Default 'linear'. */
    readonly activation?: ActivationName;
    /** Whether a bias is added. Default true. */
    readonly useBias?: boolean;
  };

/** Checked options of a convolution. */
export interface Convolution {
  readonly rank: number;
  readonly kernelSize: readonly number[];
  readonly strides: readonly number[];
  readonly padding: Padding | 'causal';
  readonly dilations: readonly number[];
  readonly activation: ActivationName;
  readonly kernel: ParameterOptions;
  readonly bias: ParameterOptions | undefined;
  /** What getConfig gives, without the sizes of the channels. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** The option names that `readConvolution` knows. */
export const CONVOLUTION_KEYS: readonly string[] = [
  'kernelSize',
  'strides',
  'padding',
  'dilations',
  'activation',
  'useBias',
  ...roleKeys('kernel', 'bias'),
];

/** Reads a convolution's options. @throws E_CONFIG naming place and key */
export function readConvolution(place: string, options: ConvolutionOptions, rank: number): Convolution {
  const sizes = (key: 'kernelSize' | 'strides' | 'dilations', value: unknown): readonly number[] =>
    checkSizes(place, key, value, rank);
  const kernelSize = sizes('kernelSize', options.kernelSize);
  const strides = sizes('strides', options.strides ?? 1);
  const dilations = sizes('dilations', options.dilations ?? 1);
  const paddings = place === 'conv1d' ? ([...PADDINGS, 'causal'] as const) : PADDINGS;
  const padding = checkOneOf<Padding | 'causal'>(place, 'padding', options.padding ?? 'valid', paddings);
  if (Math.max(...strides) > 1 && Math.max(...dilations) > 1) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] strides and dilations exclude each other: got strides [${strides.join(', ')}] and dilations [${dilations.join(', ')}].`,
    );
  }
  const activation = checkOneOf(place, 'activation', options.activation ?? 'linear', ACTIVATIONS);
  const kernel = readRole(place, options, 'kernel', 'glorot_uniform');
  const bias = readBias(place, options);
  return {
    rank,
    kernelSize,
    strides,
    padding,
    dilations,
    activation,
    kernel: kernel.parameter,
    bias: bias.parameter,
    config: { kernelSize, strides, padding, dilations, activation, ...kernel.config, ...bias.config },
  };
}

/** Checks a number of channels. @throws E_CONFIG */
export function checkFilters(place: string, key: string, value: unknown): number {
  return checkInteger(place, key, value, { min: 1 });
}
