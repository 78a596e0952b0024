/** The optimizer of a configuration: a name, or a section with options. */
import { z } from 'zod';
import { oneOf, refuse } from './schema-parts.js';

/** Options that each optimizer takes besides its rate and weight decay. */
export const OPTIMIZER_OPTIONS = {
  adam: ['beta1', 'beta2', 'epsilon'],
  adamw: ['beta1', 'beta2', 'epsilon'],
  sgd: ['momentum', 'nesterov'],
  rmsprop: ['alpha', 'epsilon', 'momentum', 'centered'],
  adagrad: ['rate_decay', 'epsilon'],
  adadelta: ['rho', 'epsilon'],
  adamax: ['beta1', 'beta2', 'epsilon'],
  nadam: ['beta1', 'beta2', 'epsilon', 'momentum_decay'],
  lamb: ['beta1', 'beta2', 'epsilon'],
  lion: ['beta1', 'beta2'],
  muon: ['momentum', 'nesterov', 'iterations', 'adjust'],
} as const;
export type OptimizerName = keyof typeof OPTIMIZER_OPTIONS;

export const optimizerNames = Object.keys(OPTIMIZER_OPTIONS) as [OptimizerName, ...OptimizerName[]];
const decay = (): z.ZodOptional<z.ZodNumber> => z.number().min(0).lt(1).optional().describe('a number >= 0 and below 1');
const limitAbove0 = (): z.ZodOptional<z.ZodNumber> => z.number().gt(0).optional().describe('a number above 0');

export const optimizerSection = z
  .strictObject({
    type: z.enum(optimizerNames).describe(`one of ${optimizerNames.join(', ')}`),
    beta1: decay(),
    beta2: decay(),
    epsilon: limitAbove0(),
    momentum: decay(),
    nesterov: z.boolean().optional().describe('true or false'),
    alpha: decay(),
    centered: z.boolean().optional().describe('true or false'),
    rate_decay: z.number().min(0).optional().describe('a number >= 0'),
    rho: decay(),
    momentum_decay: z.number().min(0).optional().describe('a number >= 0'),
    iterations: z.int().min(1).optional().describe('an integer >= 1'),
    adjust: oneOf('original', 'match_adam'),
    clip: z
      .strictObject({ value: limitAbove0(), norm: limitAbove0(), global_norm: limitAbove0() })
      .optional()
      .describe('a section with one of value, norm and global_norm'),
  })
  .superRefine((section, context) => {
    const own: readonly string[] = OPTIMIZER_OPTIONS[section.type];
    for (const key of new Set(Object.values(OPTIMIZER_OPTIONS).flat())) {
      if (section[key] === undefined || own.includes(key)) continue;
      const takers = optimizerNames.filter((name) => (OPTIMIZER_OPTIONS[name] as readonly string[]).includes(key));
      refuse(context, { path: [key], expected: `it only with ${takers.join(' or ')}`, found: `it with ${section.type}` });
    }
    const limits = Object.values(section.clip ?? { value: 1 }).filter((limit) => limit !== undefined);
    if (limits.length !== 1)
      refuse(context, { path: ['clip'], expected: 'one of value, norm and global_norm', found: String(limits.length) });
  })
  .describe('a section with type, the options of the optimizer, and clip');

/** The optimizer's name, however it is written. */
export function optimizerName(optimizer: OptimizerName | z.output<typeof optimizerSection>): OptimizerName {
  return typeof optimizer === 'string' ? optimizer : optimizer.type;
}
