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

/** A list of paths of layers or parameters, or of regular expressions between slashes that are looked for in paths. */
export const patterns = (): z.ZodArray<z.ZodString> => z.array(text().refine((pattern) => isPattern(pattern))).min(1);

function isPattern(pattern: string): boolean {
  const expression = EXPRESSION.exec(pattern);
  return expression === null || isExpression(expression[1] as string, expression[2]);
}

/** Whether a text is a regular expression. */
export function isExpression(text: string, flags?: string): boolean {
  try {
    return new RegExp(text, flags) instanceof RegExp;
  } catch {
    return false;
  }
}

/** An expression between slashes. */
const EXPRESSION = /^\/(.+)\/([a-z]*)$/;

/** A path, or the expression between slashes. @throws SyntaxError for a wrong expression */
export function patternOf(pattern: string): string | RegExp {
  const [, expression, flags] = EXPRESSION.exec(pattern) ?? [];
  return expression === undefined ? pattern : new RegExp(expression, flags);
}

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
