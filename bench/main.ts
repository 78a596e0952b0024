/** Beside everybody else: see HELP in harness/options.ts. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { omitKeys } from '../ts/arguments.js';
import { type Judged, prepareLine, sampledPlaces } from './harness/case.js';
import type { Leg } from './harness/leg.js';
import { LOAD_LIMIT, busySeconds } from './harness/load.js';
import { CannotStart, type CaseResult, type Team, WrongResult, assemble, measureCase } from './harness/measure.js';
import { buildNativeLegs } from './harness/native-legs.js';
import { HELP, type Options, UsageError, chooseCases, readOptions } from './harness/options.js';
import { ALL_PEERS, OURS, type Places, type Table, runnersOf } from './harness/peers.js';
import { pageHtml } from './harness/report-html.js';
import { rowText, summaryText } from './harness/report-text.js';
import { type Limits, type Row, rowOf } from './harness/table.js';
import { CONV_CASES } from './kernels/conv.js';
import { GEMM_CASES } from './kernels/gemm.js';
import { MEMORY_CASES } from './kernels/memory.js';
import { NORM_CASES } from './kernels/norm.js';
import { OP_CASES } from './ops/cases.js';

const KERNEL_CASES = [...GEMM_CASES, ...CONV_CASES, ...MEMORY_CASES, ...NORM_CASES];
const ALL_CASES: readonly Judged[] = [...KERNEL_CASES, ...OP_CASES];
const IDLE = 'tfjs-core alone';

/** The bundle lies in dist/bench. */
const here = dirname(fileURLToPath(import.meta.url));
const ROOT = join(here, '../..');
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const note = (text: string): void => void process.stderr.write(`${text}\n`);

interface Measured {
  readonly table: Table;
  readonly threads: number;
  readonly limits: Limits;
  readonly versions: Record<string, string>;
  readonly absent: Record<string, string>;
  readonly results: readonly CaseResult[];
}

/** Processors busy before anything of ours runs. */
async function idleLoad(): Promise<number> {
  const before = busySeconds();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const after = busySeconds();
  return before === undefined || after === undefined ? 0 : Math.max(0, (after - before) / 0.5);
}

async function limitsOf(team: Team, table: Table): Promise<Limits> {
  if (table !== 'kernels') return {};
  const answer = await team.legs.find(({ name }) => name === OURS)!.ask<Limits>('limits');
  return 'error' in answer ? {} : (answer as Limits);
}

async function measureTable(
  table: Table,
  threads: number,
  cases: readonly Judged[],
  options: Options,
  places: Places,
): Promise<Measured> {
  const runners = runnersOf(table, places).filter(({ name }) => name === OURS || (options.peers?.includes(name) ?? true));
  const team = await assemble(runners, threads);
  try {
    say(
      `\n${table === 'kernels' ? 'kernels at the native door' : 'ops through tfjs'}, ${threads} thread${threads === 1 ? '' : 's'}`,
    );
    for (const [name, version] of team.versions) say(`  ${name}: ${version}`);
    for (const [name, reason] of team.absent) say(`  ${name}: skipped, ${reason}`);
    const limits = await limitsOf(team, table);
    if (limits.gflops !== undefined) {
      const { gflops, copy, streamed, read } = limits;
      say(
        `  limits: ${gflops.toFixed(0)} GFLOP/s, copy ${copy!.toFixed(1)} GB/s, past the caches ${streamed!.toFixed(1)} GB/s, read ${read!.toFixed(1)} GB/s`,
      );
    }
    say('');
    const results: CaseResult[] = [];
    for (const entry of cases) {
      const kernel = KERNEL_CASES.find((candidate) => candidate === entry);
      const line = (leg: Leg): string => {
        if (kernel === undefined) return `prepare ${entry.name}`;
        return prepareLine(leg.name === OURS ? kernel.ours : kernel.peer, sampledPlaces(entry.size));
      };
      const { rounds, seconds, clock } = options;
      const result = await measureCase(entry, line, team, {
        threads,
        rounds,
        seconds,
        clock,
        judged: ({ name }) => name !== IDLE,
      });
      results.push(result);
      say(rowText(rowOf(result, limits), options.ops !== undefined));
    }
    return {
      table,
      threads,
      limits,
      versions: Object.fromEntries(team.versions),
      absent: Object.fromEntries(team.absent),
      results,
    };
  } finally {
    for (const leg of team.legs) leg.close();
  }
}

/** Where the compiled legs are: given by TENSORKILN_BENCH_NATIVE, else built now. */
function nativeFolder(): string {
  const given = process.env['TENSORKILN_BENCH_NATIVE'];
  if (given !== undefined && given !== '') return given;
  note('building the native legs of the benchmark: minutes the first time');
  const { folder, failure } = buildNativeLegs(ROOT);
  if (failure !== undefined) note(`not all of them could be built: ${failure}`);
  return folder;
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}

function list(): void {
  const unique = (values: readonly string[]): string => [...new Set(values)].join(', ');
  say(`ops: ${unique(ALL_CASES.map(({ op }) => op))}`);
  say(`dtypes: ${unique(ALL_CASES.map(({ dtype }) => dtype))}`);
  say(`peers: ${ALL_PEERS.join(', ')}`);
  say(`shapes:\n${[...new Set(ALL_CASES.map(({ op, shape }) => `  ${op} ${shape}`))].join('\n')}`);
}

async function main(): Promise<void> {
  const cores = os.availableParallelism();
  const options = readOptions(process.argv.slice(2), ALL_CASES, cores);
  if (options === 'help') {
    say(HELP);
    return;
  }
  if (options.list) {
    list();
    return;
  }
  const places: Places = {
    native: options.tables.includes('kernels') ? nativeFolder() : '',
    scripts: join(ROOT, 'bench/peers'),
    worker: join(here, 'worker.js'),
    python: options.python,
  };
  const machine = {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown processor',
    cores,
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
  say(`${machine.cpu}, ${cores} cores, ${machine.memoryGb} GB, Node ${machine.node}, ${new Date().toISOString()}`);
  say("ratio: the peer's time divided by ours, with a 95 % interval; above 1 we are faster");
  const load = await idleLoad();
  if (load > LOAD_LIMIT)
    note(`the machine is loaded: other programs use ${load.toFixed(1)} of ${cores} processors; times will be too long`);

  const wanted = options.tables.map((table) => ({
    table,
    cases: chooseCases<Judged>(table === 'kernels' ? KERNEL_CASES : OP_CASES, options),
    threads: table === 'kernels' ? options.threads : [Math.max(...options.threads)],
  }));
  if (wanted.every(({ cases }) => cases.length === 0)) {
    throw new UsageError('no case has this op, shape and dtype together: --list names them');
  }
  const measured: Measured[] = [];
  for (const { table, cases, threads } of wanted) {
    if (cases.length === 0) continue;
    for (const count of threads) measured.push(await measureTable(table, count, cases, options, places));
  }

  const rows = new Map<string, readonly Row[]>(
    measured.map(({ table, threads, limits, results }) => [
      `${table}, ${threads} threads`,
      results.map((result) => rowOf(result, limits)),
    ]),
  );
  for (const [name, tableRows] of rows) say(`\n${name}: ${summaryText(tableRows)}`);
  const facts = { commit: commit(), date: new Date().toISOString(), machine, idleLoad: load };
  if (options.json !== undefined) {
    const tables = measured.map(({ results, ...table }) => ({
      ...table,
      cases: results.map(({ entry, outcomes, othersLoad }) => ({
        name: entry.name,
        work: entry.work,
        othersLoad,
        outcomes: Object.fromEntries(outcomes),
      })),
    }));
    // Results are for others to read: where files lay on this machine says nothing about them.
    const told = omitKeys(options, 'json', 'html', 'python');
    writeFileSync(options.json, `${JSON.stringify({ ...facts, options: told, unit: 's', tables })}\n`);
  }
  if (options.html !== undefined) {
    const lines = [
      `${machine.cpu}, ${cores} cores, Node ${machine.node}`,
      `commit ${facts.commit}, ${facts.date}`,
      ...measured.flatMap(({ table, threads, versions, absent }) => [
        `${table}, ${threads} threads: ${Object.values(versions).join('; ')}`,
        ...Object.entries(absent).map(([name, reason]) => `${name} was skipped: ${reason}`),
      ]),
    ];
    writeFileSync(options.html, pageHtml('Tensorkiln benchmark', lines, rows));
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError || error instanceof WrongResult || error instanceof CannotStart)) throw error;
  note(error instanceof WrongResult ? `WRONG RESULT of ours: ${error.message}` : error.message);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
