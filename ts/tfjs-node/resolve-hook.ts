/** Resolves imports of ES modules where Node has no synchronous hooks; loaded by register.ts into Node's loader thread. */
import type { ResolveHook } from 'node:module';
import { isMissingUmbrella, isReplaced, TARGET } from './redirect.js';

export const resolve: ResolveHook = async (specifier, context, nextResolve) => {
  if (isReplaced(specifier)) return { url: TARGET, shortCircuit: true };
  try {
    return await nextResolve(specifier, context);
  } catch (error) {
    if (isMissingUmbrella(specifier, error)) return { url: TARGET, shortCircuit: true };
    throw error;
  }
};
