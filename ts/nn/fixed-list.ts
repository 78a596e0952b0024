import { TensorkilnError } from '../errors.js';

/**
 * A view of a list that cannot be changed through it: a layer put in behind the model's back would have no name and no
 * parameters, and the model itself would make an endless chain.
 *
 * @param describe  what the list is, e.g. "the layers of sequential 'encoder'"
 * @throws E_USAGE at any change
 */
export function fixedList<T>(items: readonly T[], describe: () => string): readonly T[] {
  const refuse = (): never => {
    throw new TensorkilnError('E_USAGE', `[layers] ${describe()} cannot be changed: make a new model of the layers wanted.`);
  };
  return new Proxy(items, { set: refuse, defineProperty: refuse, deleteProperty: refuse, setPrototypeOf: refuse });
}
