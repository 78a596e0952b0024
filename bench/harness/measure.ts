import { type Judged, sampledPlaces } from './case.js';
import { type Answer, Leg, LegFailure, type Prepared, type Timed } from './leg.js';
import { busySeconds, othersLoad } from './load.js';
import { OURS, type Runner, threadEnvironment } from './peers.js';

/** A result of ours that is not what the case says: nothing that follows would be worth printing. */
export class WrongResult extends Error {}

/** We ourselves do not run. */
export class CannotStart extends Error {}

/** What became of one runner in one case. */
export type Outcome =
  | { readonly kind: 'time'; readonly samples: readonly number[] }
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'failed'; readonly reason: string };

export interface CaseResult {
  readonly entry: Judged;
  readonly threads: number;
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Processors that other programs kept busy meanwhile, on average. */
  readonly othersLoad: number;
}

/** Those that run, and why the others do not. */
export interface Team {
  readonly legs: readonly Leg[];
  readonly versions: ReadonlyMap<string, string>;
  readonly absent: ReadonlyMap<string, string>;
}

/** Starts every runner; a peer that cannot start is absent, with the reason. @throws CannotStart when ours cannot */
export async function assemble(runners: readonly Runner[], threads: number): Promise<Team> {
  const legs: Leg[] = [];
  const versions = new Map<string, string>();
  const absent = new Map<string, string>();
  for (const { name, command, missing, env } of runners) {
    if (command === undefined) {
      absent.set(name, missing ?? 'not here');
    } else {
      const leg = new Leg(name, command, { ...threadEnvironment(threads), ...env });
      try {
        const answer = await leg.version();
        if ('ready' in answer) {
          legs.push(leg);
          versions.set(name, answer.ready);
          continue;
        }
        absent.set(name, 'missing' in answer ? answer.missing : 'error' in answer ? answer.error : 'says nothing');
      } catch (error) {
        absent.set(name, error instanceof LegFailure ? error.message : String(error));
      }
      leg.close();
    }
  }
  if (!versions.has(OURS)) {
    for (const leg of legs) leg.close();
    throw new CannotStart(`${OURS} does not run: ${absent.get(OURS)}`);
  }
  return { legs, versions, absent };
}

/** Why a result is wrong; undefined when it is right. */
export function fault(entry: Judged, prepared: Prepared): string | undefined {
  if (prepared.size < entry.size) return `${prepared.size} elements, expected ${entry.size}`;
  if (!prepared.finite) return 'NaN or infinity';
  for (const [i, place] of sampledPlaces(entry.size).entries()) {
    const { value, scale } = entry.expected(place);
    const got = prepared.values[i];
    if (typeof got !== 'number' || !(Math.abs(got - value) <= entry.tolerance.relative * scale)) {
      return `element ${place} is ${got}, expected ${value} within ${entry.tolerance.relative} of ${scale} (${entry.tolerance.reason})`;
    }
  }
  return undefined;
}

/** Asks a leg; everything that goes wrong with a peer becomes its outcome. */
async function attempt<T>(leg: Leg, line: string): Promise<Answer<T>> {
  try {
    return await leg.ask<T>(line);
  } catch (error) {
    return { error: error instanceof LegFailure ? error.message : String(error) };
  }
}

function outcomeOf(answer: Answer<unknown>): Outcome {
  const { unsupported, error } = answer as { unsupported?: string; error?: string };
  return unsupported === undefined ? { kind: 'failed', reason: error ?? 'strange answer' } : { kind: 'unsupported' };
}

/**
 * Checks the result of everybody, then times them in turn, `rounds` times `seconds` each.
 *
 * @param judged  whether the leg computes; tfjs-core with kernels that do nothing does not
 * @throws WrongResult when ours is wrong
 */
export async function measureCase(
  entry: Judged,
  prepareLine: (leg: Leg) => string,
  team: Team,
  options: { threads: number; rounds: number; seconds: number; clock: 'wall' | 'cpu'; judged: (leg: Leg) => boolean },
): Promise<CaseResult> {
  const outcomes = new Map<string, Outcome>();
  const running: Leg[] = [];
  for (const leg of team.legs) {
    const answer = await attempt<Prepared>(leg, prepareLine(leg));
    if (!('values' in answer)) {
      outcomes.set(leg.name, outcomeOf(answer));
      if (leg.name === OURS) throw new WrongResult(`${entry.name}: ${JSON.stringify(answer)}`);
      continue;
    }
    const wrong = options.judged(leg) ? fault(entry, answer) : undefined;
    if (wrong === undefined) {
      running.push(leg);
    } else {
      if (leg.name === OURS) throw new WrongResult(`${entry.name}: ${wrong}`);
      outcomes.set(leg.name, { kind: 'failed', reason: `wrong result: ${wrong}` });
    }
  }

  const samples = new Map<string, number[]>(running.map((leg) => [leg.name, []]));
  const processorSeconds = (): number =>
    team.legs.reduce((sum, leg) => sum + leg.processorSeconds(), 0) +
    process.cpuUsage().user / 1e6 +
    process.cpuUsage().system / 1e6;
  // The first turn is warm-up: caches, frequency, pages, compilers.
  let [busy, own, start] = [0, 0, 0];
  for (let round = -1; round < options.rounds; ++round) {
    if (round === 0) [busy, own, start] = [busySeconds() ?? 0, processorSeconds(), performance.now()];
    // Who goes first changes from round to round.
    const order = running.map((_, i) => running[(i + Math.max(round, 0)) % running.length]!);
    for (const leg of order) {
      if (outcomes.has(leg.name)) continue;
      const answer = await attempt<Timed>(leg, `time ${options.seconds} ${options.clock}`);
      if ('seconds' in answer) {
        if (round >= 0) samples.get(leg.name)!.push(answer.seconds);
      } else {
        if (leg.name === OURS) throw new WrongResult(`${entry.name}: ${JSON.stringify(answer)}`);
        outcomes.set(leg.name, outcomeOf(answer));
      }
    }
  }
  const wall = (performance.now() - start) / 1e3;
  const load = othersLoad((busySeconds() ?? 0) - busy, processorSeconds() - own, wall);
  for (const [name, times] of samples) if (!outcomes.has(name)) outcomes.set(name, { kind: 'time', samples: times });
  return { entry, threads: options.threads, outcomes, othersLoad: load };
}
