/** Parameters that share a rate or a decay of their own. */
import { checkKeys, checkNumber, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';

/**
 * Some of an optimizer's parameters: for decay masks (`{ parameters: [/bias$/], weightDecay: 0 }`) and discriminative rates
 * (`{ parameters: ['encoder'], rateFactor: 0.1 }`).
 */
export interface ParameterGroup {
  /** A text matches the parameter of that name and all below that path; an expression what it finds in the name. */
  readonly parameters: readonly (string | RegExp)[];
  /** Times the optimizer's learning rate, >= 0. Default 1. */
  readonly rateFactor?: number;
  /** In place of the optimizer's, >= 0. Default: the optimizer's. */
  readonly weightDecay?: number;
}

/** Checks groups. @param keys  what a group of the optimizer has besides; its values are the optimizer's to check. @throws E_CONFIG naming the group and the key */
export function checkGroups(
  place: string,
  groups: readonly ParameterGroup[],
  keys: readonly string[] = [],
): readonly ParameterGroup[] {
  const given: unknown = groups;
  if (!Array.isArray(given))
    throw new TensorkilnError('E_CONFIG', `[${place}] wrong groups: expected a list of groups, got ${show(groups)}.`);
  groups.forEach((group, index) => {
    const where = `${place} groups[${index}]`;
    checkKeys(where, group, ['parameters', 'rateFactor', 'weightDecay', ...keys]);
    const { parameters } = group;
    const isPattern = (one: unknown): boolean => (typeof one === 'string' && one !== '') || one instanceof RegExp;
    if (!Array.isArray(parameters) || parameters.length === 0 || !parameters.every(isPattern)) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[${where}] wrong parameters: expected a non-empty list of names, paths or expressions, got ${show(parameters)}.`,
      );
    }
    checkNumber(where, 'rateFactor', group.rateFactor ?? 1, { min: 0 });
    checkNumber(where, 'weightDecay', group.weightDecay ?? 0, { min: 0 });
  });
  return groups;
}

/** Index of the first group a parameter belongs to; -1 for none. */
export function groupOf(groups: readonly ParameterGroup[], name: string): number {
  const matches = (pattern: string | RegExp): boolean =>
    typeof pattern === 'string' ? name === pattern || name.startsWith(`${pattern}/`) : name.search(pattern) >= 0;
  return groups.findIndex(({ parameters }) => parameters.some(matches));
}
