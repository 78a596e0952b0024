/** The schedule of the learning rate in a configuration: everything that ts/optim has. */
import { z } from 'zod';
import { flag, refuse } from './schema-parts.js';

/** What training can watch, with the direction that is better. */
export const MONITORS = { validation_loss: 'min', validation_accuracy: 'max', train_loss: 'min' } as const;
export const monitor = (): z.ZodDefault<z.ZodEnum<{ [K in keyof typeof MONITORS]: K }>> =>
  z
    .enum(['validation_loss', 'validation_accuracy', 'train_loss'])
    .default('validation_loss')
    .describe('one of validation_loss, validation_accuracy, train_loss');

/** Schedules that are a function of the step; the others are made of these, or watch a figure. */
const PLAIN_TYPES = [
  'constant',
  'step',
  'multi_step',
  'exponential',
  'linear',
  'cosine',
  'cosine_restarts',
  'polynomial',
  'inverse_sqrt',
  'cyclic',
  'one_cycle',
] as const;
const TYPES = [...PLAIN_TYPES, 'chained', 'sequential', 'reduce_on_plateau'] as const;

const schedulerType = <T extends (typeof TYPES)[number]>(name: T): z.ZodLiteral<T> =>
  z.literal(name).describe(`one of ${TYPES.join(', ')}`);

const factor = (value: number): z.ZodDefault<z.ZodNumber> =>
  z.number().gt(0).lt(1).default(value).describe('a factor above 0 and below 1');
const rate = (value: number): z.ZodDefault<z.ZodNumber> => z.number().min(0).default(value).describe('a number >= 0');
const positive = (): z.ZodNumber => z.number().gt(0).describe('a number above 0');
const count = (): z.ZodInt => z.int().min(1).describe('an integer >= 1');
const unit = (): z.ZodDefault<z.ZodEnum<{ epochs: 'epochs'; steps: 'steps' }>> =>
  z.enum(['epochs', 'steps']).default('epochs').describe('epochs or steps');
const rising = (): z.ZodArray<z.ZodNumber> => z.array(z.number().gt(0)).min(1).describe('a list of rising numbers above 0');

/** Every plain schedule may begin with a rise from 0. */
const warmup = {
  warmup_epochs: z.number().min(0).default(0).describe('a number of epochs >= 0 in which the rate grows from 0'),
  warmup_steps: z.int().min(1).optional().describe('a number of steps >= 1 in which the rate grows from 0'),
} as const;

const PLAIN = [
  z.strictObject({ type: schedulerType('constant'), ...warmup }),
  z.strictObject({
    type: schedulerType('step'),
    every: z.int().min(1).default(30).describe('an integer >= 1'),
    factor: factor(0.1),
    unit: unit(),
    ...warmup,
  }),
  z.strictObject({ type: schedulerType('multi_step'), at: rising(), factor: factor(0.1), unit: unit(), ...warmup }),
  z.strictObject({ type: schedulerType('exponential'), factor: factor(0.95), unit: unit(), ...warmup }),
  z.strictObject({
    type: schedulerType('linear'),
    from: rate(1 / 3),
    to: rate(1),
    length: positive().optional().describe('a number above 0'),
    unit: unit(),
    ...warmup,
  }),
  z.strictObject({
    type: schedulerType('cosine'),
    min_learning_rate: rate(0),
    length: positive().optional().describe('a number above 0'),
    unit: unit(),
    ...warmup,
  }),
  z.strictObject({
    type: schedulerType('cosine_restarts'),
    first: positive(),
    growth: count().default(1).describe('an integer >= 1'),
    min_learning_rate: rate(0),
    unit: unit(),
    ...warmup,
  }),
  z.strictObject({
    type: schedulerType('polynomial'),
    power: positive().default(1).describe('a number above 0'),
    min_learning_rate: rate(0),
    length: positive().optional().describe('a number above 0'),
    unit: unit(),
    ...warmup,
  }),
  z.strictObject({ type: schedulerType('inverse_sqrt'), warmup_steps: count() }),
  z.strictObject({
    type: schedulerType('cyclic'),
    steps_up: count(),
    steps_down: count().optional().describe('an integer >= 1'),
    min_learning_rate: rate(0),
    mode: z
      .enum(['triangular', 'triangular2', 'exponential'])
      .default('triangular')
      .describe('triangular, triangular2 or exponential'),
    decay: z.number().gt(0).max(1).optional().describe('a number above 0, at most 1'),
    ...warmup,
  }),
  z.strictObject({
    type: schedulerType('one_cycle'),
    rise: z.number().gt(0).lt(1).default(0.3).describe('a share above 0 and below 1'),
    start_divisor: z.number().min(1).default(25).describe('a number >= 1'),
    end_divisor: z.number().min(1).default(1e4).describe('a number >= 1'),
    shape: z.enum(['cosine', 'linear']).default('cosine').describe('cosine or linear'),
    three_phases: flag(false),
    length: positive().optional().describe('a number above 0'),
    unit: unit(),
  }),
] as const;

const plainScheduler = z.discriminatedUnion('type', [...PLAIN]);
export type PlainScheduler = z.output<typeof plainScheduler>;

const plainSchedulers = (): z.ZodArray<typeof plainScheduler> =>
  z
    .array(plainScheduler)
    .min(2)
    .describe(`a list of at least two sections with type ${PLAIN_TYPES.join(', ')} and its options`);

export const scheduler = z
  .discriminatedUnion('type', [
    ...PLAIN,
    z.strictObject({ type: schedulerType('chained'), schedulers: plainSchedulers() }),
    z.strictObject({ type: schedulerType('sequential'), schedulers: plainSchedulers(), at: rising(), unit: unit() }),
    z.strictObject({
      type: schedulerType('reduce_on_plateau'),
      monitor: monitor(),
      factor: factor(0.1),
      patience: z.int().min(1).default(10).describe('a number of epochs >= 1'),
      min_delta: rate(0),
      min_learning_rate: rate(0),
    }),
  ])
  .superRefine((section, context) => {
    if ('warmup_epochs' in section && section.warmup_epochs > 0 && section.warmup_steps !== undefined)
      refuse(context, { path: ['warmup_steps'], expected: 'warmup_epochs or warmup_steps', found: 'both' });
    if ('at' in section && section.at.some((value, index) => index > 0 && value <= (section.at[index - 1] as number)))
      refuse(context, { path: ['at'], expected: 'a list of rising numbers above 0', found: JSON.stringify(section.at) });
    if (section.type === 'sequential' && section.at.length !== section.schedulers.length - 1) {
      const expected = `${section.schedulers.length - 1} numbers for ${section.schedulers.length} schedulers`;
      refuse(context, { path: ['at'], expected, found: String(section.at.length) });
    }
    if (section.type === 'cyclic' && section.decay !== undefined && section.mode !== 'exponential')
      refuse(context, { path: ['decay'], expected: 'it only with mode exponential', found: `it with ${section.mode}` });
  })
  .prefault({ type: 'constant' })
  .describe(`a section with type ${TYPES.join(', ')} and its options`);
export type Scheduler = z.output<typeof scheduler>;
