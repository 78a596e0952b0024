/** Small pieces that the sections of the schema are made of. */
import { z } from 'zod';

export const text = (): z.ZodString => z.string().min(1);
export const seed = (): z.ZodDefault<z.ZodNumber> => z.int().min(0).default(0).describe('an integer from 0 to 2^53 - 1');
export const flag = (value: boolean): z.ZodDefault<z.ZodBoolean> => z.boolean().default(value).describe('true or false');

/** An integer that may be left out. */
export const count = (): z.ZodOptional<z.ZodInt> => z.int().min(1).optional().describe('an integer >= 1');

/** One of some words, or nothing. */
export const oneOf = <T extends string>(...choices: readonly [T, ...T[]]): z.ZodOptional<z.ZodEnum<{ [K in T]: K }>> =>
  z
    .enum(choices as unknown as [T, ...T[]])
    .optional()
    .describe(choices.length === 2 ? choices.join(' or ') : `one of ${choices.join(', ')}`);

/** What a check across keys reports; `describeIssue` writes the message. */
export function refuse(
  context: z.RefinementCtx,
  issue: { readonly path?: readonly string[]; readonly expected: string; readonly found: string },
): void {
  context.addIssue({
    code: 'custom',
    path: [...(issue.path ?? [])],
    params: { expected: issue.expected, found: issue.found },
  });
}
