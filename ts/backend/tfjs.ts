/** What tfjs-core leaves out in Node: gradients and chained methods; and the check that only one copy of it is loaded. */
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';
// Made by scripts/build-gradients.mjs. The path is the same from ts/ and from dist/.
import { chainedMethods, gradientConfigs } from '../../dist/backend/tfjs-gradients.js';

const CORE_FILE = /[\\/]tfjs-core[\\/]dist[\\/]tf-core[^\\/]*\.js$/;
const moduleCache = createRequire(import.meta.url).cache;

/** Registers each gradient and each chained tensor method that is not there yet. Those of other packages stay. */
export function registerGradients(): void {
  for (const config of gradientConfigs) {
    // Typed as always there, but a gradient that is not registered is undefined.
    const present = tf.getGradient(config.kernelName) as tf.GradConfig | undefined;
    if (present === undefined) tf.registerGradient(config);
  }
  const prototype = tf.Tensor.prototype as unknown as Record<string, unknown>;
  for (const [name, method] of Object.entries(chainedMethods)) prototype[name] ??= method;
}

/**
 * Makes sure that one copy of tfjs-core is loaded: kernels, gradients and classes registered with one copy would be
 * unknown, or subtly different, in the other.
 *
 * @throws E_DUPLICATE_TFJS naming the places of all copies
 */
export function assertSingleTfjs(): void {
  const copies = Object.keys(moduleCache).filter((file) => CORE_FILE.test(file));
  // The first copy that is loaded announces its Tensor class globally, also when a bundler has hidden its path.
  const globals = (globalThis as { _tfGlobals?: Map<string, unknown> })._tfGlobals;
  const announced = globals?.get('Tensor');
  const isHidden = announced !== undefined && announced !== tf.Tensor && copies.length < 2;
  if (copies.length < 2 && !isHidden) return;
  const places = isHidden ? [...copies, 'a copy inside a bundle, loaded earlier'] : copies;
  throw new TensorkilnError(
    'E_DUPLICATE_TFJS',
    [
      `[backend] ${String(places.length)} copies of @tensorflow/tfjs-core are loaded:`,
      ...places.map((place) => `  - ${place}`),
      'All packages must share one. Run `npm dedupe`, and `npm ls @tensorflow/tfjs-core` to see who asks for which version.',
    ].join('\n'),
  );
}
