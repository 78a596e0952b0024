import { errorCodeOf, type ErrorCode } from '../errors.js';

/** What the user asked for is wrong, as opposed to something that failed while doing it. */
const USAGE_CODES = new Set<ErrorCode>(['E_USAGE', 'E_CONFIG']);

/** Everything ran, and the result is not what was asked for: a target missed, a run that could not be reproduced. */
export const EXIT_TARGET_MISSED = 3;

/** 2 for a wrong command line or configuration, 1 for everything else. */
export function exitCodeOf(error: unknown): number {
  return USAGE_CODES.has(errorCodeOf(error)) ? 2 : 1;
}

/** An error as one readable block; with `verbose` its stack and causes as well. */
export function describeFailure(error: unknown, verbose: boolean): string {
  const code = errorCodeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (!verbose) {
    const hint =
      code === 'E_INTERNAL'
        ? '\nThis is a defect. Please report it with the output of --verbose and of `tensorkiln inspect`.'
        : '';
    return `error ${code}: ${message}${hint}`;
  }
  const stacks: string[] = [];
  for (let link: unknown = error; link instanceof Error; link = link.cause) stacks.push(link.stack ?? link.message);
  return [`error ${code}:`, ...stacks].join('\n');
}
