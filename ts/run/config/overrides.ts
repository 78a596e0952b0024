/** The grammar of `--set`, as Hydra has it: `key=value`, `+key=value`, `++key=value`, `~key`, `~key=value`. */
import { shownPath } from '../../data/formats/connection-url.js';
import { parse } from 'yaml';
import { TensorkilnError } from '../../errors.js';

export interface Override {
  /** set: a key of the configuration; add: one that is not there yet; force: either; delete: one that is there. */
  readonly kind: 'set' | 'add' | 'force' | 'delete';
  /** Dotted key, or a group such as `model` or `training/optimizer`. */
  readonly key: string;
  /** Parsed as YAML; undefined for `~key`. */
  readonly value: unknown;
  /** How messages name the override. */
  readonly origin: string;
}

const KINDS = [
  ['++', 'force'],
  ['+', 'add'],
  ['~', 'delete'],
] as const;

/**
 * Reads one override. The value is YAML: `[64, 32]` is a list, `{patience: 3}` a section, `null` and nothing an empty value.
 *
 * @throws E_CONFIG when the text has no key or no value, or the value is not YAML
 * @source Hydra 1.3, "Basic Override syntax"
 */
export function parseOverride(text: string): Override {
  // Messages show the origin, and the value, in quotes or not, may be a URL with a password.
  const [{ length: written } = ''] = /^[^=]*=?\s*["']?/.exec(text) ?? [];
  const origin = `--set ${text.slice(0, written)}${shownPath(text.slice(written))}`;
  const [sign, kind] = KINDS.find(([prefix]) => text.startsWith(prefix)) ?? (['', 'set'] as const);
  const rest = text.slice(sign.length);
  const equals = rest.indexOf('=');
  const key = equals < 0 ? rest : rest.slice(0, equals);
  if (key === '' || (equals < 0 && kind !== 'delete') || key.split('.').includes('')) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[config] ${origin}: expected key=value, such as training.epochs=50, +key=value, ++key=value or ~key.`,
    );
  }
  if (equals < 0) return { kind, key, value: undefined, origin };
  try {
    return { kind, key, value: parse(rest.slice(equals + 1), { prettyErrors: false }) as unknown, origin };
  } catch (cause) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[config] ${origin}: the value is not YAML: ${cause instanceof Error ? cause.message : String(cause)}.`,
      { cause },
    );
  }
}
