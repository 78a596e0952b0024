/**
 * `node --import tensorkiln/tfjs-node/register script.js`: a program that imports or requires @tensorflow/tfjs-node or
 * @tensorflow/tfjs-node-gpu gets `tensorkiln/tfjs-node`, with no line of it changed.
 */
import Module, { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMissingUmbrella, isReplaced, TARGET } from './redirect.js';

interface Resolved {
  readonly url: string;
  readonly shortCircuit?: boolean;
}
type NextResolve = (specifier: string, context: unknown) => Resolved;
/** Node 22.15 and newer: hooks that serve import and require, in this thread. */
interface SynchronousHooks {
  registerHooks?: (hooks: { resolve: (specifier: string, context: unknown, next: NextResolve) => Resolved }) => void;
}
/** How Node finds the file of a `require`: not documented, and what every hook for older versions replaces. */
interface CommonJsLoader {
  _resolveFilename: (request: string, ...more: unknown[]) => string;
}

/** Runs `next`, or names our file where the request is one of those replaced. */
function redirect<T>(specifier: string, ours: T, next: () => T): T {
  if (isReplaced(specifier)) return ours;
  try {
    return next();
  } catch (error) {
    if (isMissingUmbrella(specifier, error)) return ours;
    throw error;
  }
}

const { registerHooks } = Module as unknown as SynchronousHooks;
if (registerHooks !== undefined) {
  registerHooks({
    resolve: (specifier, context, next) =>
      redirect(specifier, { url: TARGET, shortCircuit: true }, () => next(specifier, context)),
  });
} else {
  register(new URL('./resolve-hook.js', import.meta.url));
  const loader = Module as unknown as CommonJsLoader;
  const original = loader._resolveFilename.bind(Module);
  const file = fileURLToPath(TARGET);
  loader._resolveFilename = (request, ...more) => redirect(request, file, () => original(request, ...more));
}
