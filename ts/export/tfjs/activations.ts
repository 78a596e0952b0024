/** Activation functions of tfjs-layers: by name, or made of several layers. */
import type { LayerCall } from '../model-graph.js';
import { layerError, plain, type TfjsLayer } from './parts.js';

const ACTIVATIONS: Readonly<Record<string, string>> = {
  linear: 'linear',
  relu: 'relu',
  relu6: 'relu6',
  elu: 'elu',
  selu: 'selu',
  sigmoid: 'sigmoid',
  tanh: 'tanh',
  softmax: 'softmax',
  softplus: 'softplus',
  softsign: 'softsign',
  gelu: 'gelu',
  silu: 'swish',
  mish: 'mish',
  log_softmax: 'logSoftmax',
};

/** Slope of leaky_relu below zero where the layer names none: the default of tf.leakyRelu. */
const LEAKY_RELU_ALPHA = 0.2;

/** A layer that takes the activation along, or has it behind when it only exists as a layer. */
export function withActivation(
  call: LayerCall,
  className: string,
  config: Readonly<Record<string, unknown>>,
  weights: TfjsLayer['weights'],
): readonly TfjsLayer[] {
  const activation = call.config['activation'] ?? 'linear';
  if (typeof activation === 'string' && Object.hasOwn(ACTIVATION_PARTS, activation)) {
    return [{ className, config: { ...config, activation: 'linear' }, weights }, ...activationLayers(call)];
  }
  return [{ className, config: { ...config, activation: activationName(call, activation) }, weights }];
}

/** relu6(x + 3) / 6 */
const HARD_SIGMOID: readonly TfjsLayer[] = [
  plain('Rescaling', { scale: 1, offset: 3 }),
  plain('Activation', { activation: 'relu6' }),
  plain('Rescaling', { scale: 1 / 6, offset: 0 }),
];

/** Activations that are layers of their own, or several. */
const ACTIVATION_PARTS: Readonly<Record<string, (call: LayerCall) => readonly TfjsLayer[]>> = {
  leaky_relu: ({ config: { alpha = LEAKY_RELU_ALPHA } }) => [plain('LeakyReLU', { alpha })],
  // tfjs-layers has this function as gelu_new, but reads that name from JSON as geluNew and does not know it.
  gelu_tanh: () => [
    { ...plain('Multiply'), from: [-1, -1] },
    { ...plain('Multiply'), from: [-1, -2] },
    plain('Rescaling', { scale: 0.044715, offset: 0 }),
    { ...plain('Add'), from: [-4, -1] },
    plain('Rescaling', { scale: Math.sqrt(2 / Math.PI), offset: 0 }),
    plain('Activation', { activation: 'tanh' }),
    plain('Rescaling', { scale: 0.5, offset: 0.5 }),
    { ...plain('Multiply'), from: [-8, -1] },
  ],
  hard_sigmoid: () => HARD_SIGMOID,
  hard_swish: () => [...HARD_SIGMOID, { ...plain('Multiply'), from: [-1, -4] }],
};

export function activationLayers(call: LayerCall): readonly TfjsLayer[] {
  const { activation } = call.config;
  const parts =
    typeof activation === 'string' && Object.hasOwn(ACTIVATION_PARTS, activation) ? ACTIVATION_PARTS[activation] : undefined;
  return parts?.(call) ?? [plain('Activation', { activation: activationName(call, activation) })];
}

/** Activation functions that can be expressed. */
export const TFJS_ACTIVATIONS: readonly string[] = [...Object.keys(ACTIVATIONS), ...Object.keys(ACTIVATION_PARTS)];

export function activationName(call: LayerCall, activation: unknown): string {
  const name = typeof activation === 'string' && Object.hasOwn(ACTIVATIONS, activation) ? ACTIVATIONS[activation] : undefined;
  if (name !== undefined) return name;
  const known = TFJS_ACTIVATIONS.join(', ');
  throw layerError(call, `activation '${String(activation)}' has no counterpart in tfjs-layers: expected one of ${known}`);
}
