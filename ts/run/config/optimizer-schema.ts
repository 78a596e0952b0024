/** The optimizer of a configuration: a name, or a section with options. */
import { z } from 'zod';
import { flag, oneOf, patterns, refuse } from './schema-parts.js';

/** Options that each optimizer takes besides its rate and weight decay. */
export const OPTIMIZER_OPTIONS = {
  adam: ['beta1', 'beta2', 'epsilon'],
  adamw: ['beta1', 'beta2', 'epsilon'],
  sgd: ['momentum', 'nesterov'],
  rmsprop: ['alpha', 'epsilon', 'momentum', 'centered'],
  adagrad: ['rate_decay', 'initial_sum', 'epsilon'],
  adadelta: ['rho', 'epsilon'],
  adamax: ['beta1', 'beta2', 'epsilon'],
  nadam: ['beta1', 'beta2', 'epsilon', 'momentum_decay', 'decoupled'],
  lamb: ['beta1', 'beta2', 'epsilon'],
  lion: ['beta1', 'beta2'],
  muon: ['momentum', 'nesterov', 'iterations', 'adjust'],
} as const;
export type OptimizerName = keyof typeof OPTIMIZER_OPTIONS;

export const optimizerNames = Object.keys(OPTIMIZER_OPTIONS) as [OptimizerName, ...OptimizerName[]];
const decay = (): z.ZodOptional<z.ZodNumber> => z.number().min(0).lt(1).optional().describe('a number >= 0 and below 1');
const groups = z
  .array(
    z.strictObject({
      parameters: patterns(),
      rate_factor: z.number().min(0).optional(),
      weight_decay: z.number().min(0).optional(),
      rule: z.enum(['muon', 'adamw']).optional(),
    }),
  )
  .min(1)
  .optional()
  .describe(
    'a list of sections with parameters (paths, or expressions between slashes), rate_factor >= 0, weight_decay >= 0 and, with muon, rule muon or adamw',
  );

const average = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('exponential').describe('exponential or equal'),
      decay: z.number().min(0).lt(1).default(0.999).describe('a number >= 0 and below 1'),
      ramp: flag(false),
    }),
    z.strictObject({
      kind: z.literal('equal').describe('exponential or equal'),
      from: z.int().min(0).default(0).describe('a number of steps >= 0'),
      every: z.int().min(1).default(1).describe('a number of steps >= 1'),
    }),
  ])
  .optional()
  .describe('a section with kind exponential or equal and its options');

const lookahead = z
  .strictObject({
    every: z.int().min(1).default(5).describe('a number of steps >= 1'),
    weight: z.number().gt(0).max(1).default(0.5).describe('a number above 0, at most 1'),
  })
  .optional()
  .describe('a section with every and weight');

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
    initial_sum: z.number().min(0).optional().describe('a number >= 0'),
    rho: decay(),
    momentum_decay: z.number().min(0).optional().describe('a number >= 0'),
    decoupled: z.boolean().optional().describe('true or false'),
    iterations: z.int().min(1).optional().describe('an integer >= 1'),
    adjust: oneOf('original', 'match_adam'),
    clip: z
      .strictObject({ value: limitAbove0(), norm: limitAbove0(), global_norm: limitAbove0() })
      .optional()
      .describe('a section with one of value, norm and global_norm'),
    groups,
    average,
    lookahead,
  })
  .superRefine((section, context) => {
    const own: readonly string[] = OPTIMIZER_OPTIONS[section.type];
    for (const key of new Set(Object.values(OPTIMIZER_OPTIONS).flat())) {
      if (section[key] === undefined || own.includes(key)) continue;
      const takers = optimizerNames.filter((name) => (OPTIMIZER_OPTIONS[name] as readonly string[]).includes(key));
      refuse(context, { path: [key], expected: `it only with ${takers.join(' or ')}`, found: `it with ${section.type}` });
    }
    const ruled = section.groups?.findIndex(({ rule }) => rule !== undefined) ?? -1;
    if (ruled >= 0 && section.type !== 'muon')
      refuse(context, { path: ['groups'], expected: 'rule only with muon', found: `it with ${section.type}` });
    const limits = Object.values(section.clip ?? { value: 1 }).filter((limit) => limit !== undefined);
    if (limits.length !== 1)
      refuse(context, { path: ['clip'], expected: 'one of value, norm and global_norm', found: String(limits.length) });
  })
  .describe('a section with type, the options of the optimizer, clip, groups, average and lookahead');

/** The optimizer's name, however it is written. */
export function optimizerName(optimizer: OptimizerName | z.output<typeof optimizerSection>): OptimizerName {
  return typeof optimizer === 'string' ? optimizer : optimizer.type;
}
