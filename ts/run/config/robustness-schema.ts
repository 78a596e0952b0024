/** Keys of the section training for precision, memory and what happens when numbers break. */
import { z } from 'zod';
import { flag, patterns } from './schema-parts.js';

export const robustness = {
  precision: z.enum(['float32', 'bf16', 'f16']).default('float32').describe('float32, bf16 or f16'),
  micro_batch: z.int().min(1).optional().describe('a number of rows >= 1'),
  micro_batch_auto: flag(true),
  non_finite: z
    .strictObject({
      skip: z.int().min(0).default(4).describe('a number of steps >= 0'),
      rollbacks: z.int().min(0).default(3).describe('an integer >= 0'),
      rate_factor: z.number().gt(0).max(1).default(0.5).describe('a number above 0, at most 1'),
    })
    .prefault({})
    .describe('a section with skip, rollbacks and rate_factor'),
  divergence: z
    .union([
      z.literal(false),
      z.strictObject({
        factor: z.number().gt(1).describe('a number above 1'),
        patience: z.int().min(1).default(1).describe('a number of epochs >= 1'),
      }),
    ])
    .default(false)
    .describe('a section with factor and patience, or false'),
  unfreeze: z
    .array(z.strictObject({ epoch: z.int().min(1), layers: patterns() }))
    .default([])
    .describe('a list of sections with epoch (from 1) and layers (paths, or expressions between slashes)'),
  debug: flag(false),
  shuffle: flag(true),
  compile: flag(true),
} as const;
