import { parseArgs } from 'node:util';
import type { Judged } from './case.js';
import { ALL_PEERS, TABLES, type Table } from './peers.js';

/** An option that cannot be followed: its text is for the user, without a stack. */
export class UsageError extends Error {}

export interface Options {
  readonly tables: readonly Table[];
  readonly ops: readonly string[] | undefined;
  readonly shapes: readonly string[] | undefined;
  readonly dtypes: readonly string[] | undefined;
  readonly threads: readonly number[];
  readonly peers: readonly string[] | undefined;
  readonly rounds: number;
  readonly seconds: number;
  readonly clock: 'wall' | 'cpu';
  readonly quick: boolean;
  readonly list: boolean;
  readonly python: string;
  readonly json: string | undefined;
  readonly html: string | undefined;
}

export const HELP = `npm run bench -- [options], or: tensorkiln bench [options]
  --table <list>    kernels (no JavaScript), tfjs (ops through tfjs-core); default both
  --ops <list>      only these ops; --list names them
  --shapes <list>   only these shapes, as the tables print them
  --dtypes <list>   only these dtypes
  --threads <list>  thread counts of the table of kernels; default 1 and all cores. The table through tfjs uses the largest
  --peers <list>    only these peers
  --rounds <n>      rounds in which each takes its turn; default 9
  --seconds <s>     least length of one turn; default 0.05
  --clock <clock>   wall (default), or cpu: processor time, for kernels on one thread on a machine that others use too
  --quick           a few small cases and short turns: shows that everything runs, says little about speed
  --python <path>   interpreter whose PyTorch and onnxruntime are measured; default TENSORKILN_PYTHON, else python3
  --json <file>     raw samples with machine, commit and options
  --html <file>     the tables as a page with bars
  --list            names ops, shapes, dtypes and peers, and measures nothing
Lists are separated by commas.`;

function listOf<T extends string>(what: string, text: string | undefined, valid: readonly T[]): readonly T[] | undefined {
  if (text === undefined) return undefined;
  const items = text.split(',').map((item) => item.trim());
  for (const item of items) {
    if (!(valid as readonly string[]).includes(item)) {
      throw new UsageError(`unknown ${what} '${item}': expected ${valid.join(', ')}`);
    }
  }
  return items as T[];
}

function numberOf(what: string, text: string, isValid: (value: number) => boolean, expected: string): number {
  const value = Number(text);
  if (!isValid(value)) throw new UsageError(`${what}: expected ${expected}, got '${text}'`);
  return value;
}

const unique = (values: readonly string[]): string[] => [...new Set(values)];

/**
 * @param cores  processors of the machine
 * @throws UsageError for an option, op, shape, dtype or peer that does not exist, with the list of those that do
 */
export function readOptions(args: readonly string[], cases: readonly Judged[], cores: number): Options | 'help' {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        table: { type: 'string' },
        ops: { type: 'string' },
        shapes: { type: 'string' },
        dtypes: { type: 'string' },
        threads: { type: 'string' },
        peers: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        clock: { type: 'string' },
        quick: { type: 'boolean', default: false },
        python: { type: 'string' },
        json: { type: 'string' },
        html: { type: 'string' },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) return 'help';
  const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= 256;
  const threads =
    values.threads === undefined
      ? unique(['1', String(cores)]).map(Number)
      : values.threads.split(',').map((text) => numberOf('--threads', text, isCount, 'whole numbers from 1 to 256'));
  const clock = listOf('clock', values.clock, ['wall', 'cpu'] as const)?.[0] ?? 'wall';
  const tables = listOf('table', values.table, TABLES) ?? TABLES;
  if (clock === 'cpu' && (Math.max(...threads) > 1 || tables.includes('tfjs'))) {
    throw new UsageError(
      '--clock cpu: only with --table kernels --threads 1; with several threads processor time is not what a user waits',
    );
  }
  return {
    clock,
    tables,
    ops: listOf('op', values.ops, unique(cases.map(({ op }) => op))),
    shapes: listOf('shape', values.shapes, unique(cases.map(({ shape }) => shape))),
    dtypes: listOf('dtype', values.dtypes, unique(cases.map(({ dtype }) => dtype))),
    threads,
    peers: listOf('peer', values.peers, ALL_PEERS),
    rounds: numberOf('--rounds', values.rounds ?? (values.quick ? '3' : '9'), isCount, 'a whole number from 1 to 256'),
    seconds: numberOf(
      '--seconds',
      values.seconds ?? (values.quick ? '0.005' : '0.05'),
      (value) => value > 0,
      'a positive number',
    ),
    quick: values.quick,
    list: values.list,
    python: values.python ?? process.env['TENSORKILN_PYTHON'] ?? 'python3',
    json: values.json,
    html: values.html,
  };
}

/** The cases that the options choose. @throws UsageError when none is left */
export function chooseCases<T extends Judged>(cases: readonly T[], options: Options): readonly T[] {
  return cases.filter(
    ({ op, shape, dtype, quick }) =>
      (options.ops?.includes(op) ?? true) &&
      (options.shapes?.includes(shape) ?? true) &&
      (options.dtypes?.includes(dtype) ?? true) &&
      (!options.quick || quick === true || options.ops !== undefined),
  );
}
