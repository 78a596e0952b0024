/** Which imports of a program lead to `tensorkiln/tfjs-node` instead; shared by the hooks of register.ts. */

/** Always, also where the real package is installed. */
const REPLACED = ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'];
/** Where it is not installed: it brings nothing that is not in `tensorkiln/tfjs-node`. */
const STAND_IN = '@tensorflow/tfjs';

/** URL of what takes their place. */
export const TARGET = new URL('./index.js', import.meta.url).href;

export function isReplaced(specifier: string): boolean {
  return REPLACED.includes(specifier);
}

/** Whether an import failed because the umbrella package is not there. */
export function isMissingUmbrella(specifier: string, error: unknown): boolean {
  if (specifier !== STAND_IN || !(error instanceof Error) || !('code' in error)) return false;
  return error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND';
}
