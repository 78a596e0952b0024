/** Keys and values that are planned but not built: refused by name, so that nobody takes them for a spelling mistake. */
import { TensorkilnError } from '../../errors.js';
import type { ConfigSource } from './source.js';
import { MODEL_OPTIONS, PLANNED_ARCHITECTURES } from './model-schema.js';

interface Planned {
  readonly path: readonly string[];
  readonly isWanted: (value: unknown) => boolean;
  readonly what: string;
  readonly instead: string;
}

const PLANNED: readonly Planned[] = [
  {
    path: ['model', 'architecture'],
    isWanted: (value) => (PLANNED_ARCHITECTURES as readonly unknown[]).includes(value),
    what: 'training this architecture from a configuration',
    instead: Object.keys(MODEL_OPTIONS).join(', '),
  },
];

/** @throws E_CONFIG for the first planned feature that a configuration asks for */
export function checkBuilt(source: ConfigSource): void {
  for (const { path, isWanted, what, instead } of PLANNED) {
    const value = source.get(path);
    if (!isWanted(value)) continue;
    throw new TensorkilnError(
      'E_CONFIG',
      `[config] ${source.locate(path, 'value')}: ${path.join('.')}: ${JSON.stringify(value)}: ${what} is not built yet: expected ${instead}.`,
    );
  }
}
