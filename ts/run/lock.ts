/** One run at a time in a folder. */
import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { TensorkilnError } from '../errors.js';

const NAME = 'run.lock';

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process began, in a form that another process of the same number does not share; null where the system does not tell. */
  readonly process_start: string | null;
  readonly token: string;
}

/** A folder that belongs to this process until `release`. */
export class RunLock {
  readonly #path: string;
  readonly #token: string;
  /** The process whose lock was taken over because it is gone. */
  readonly takenOver: number | undefined;

  private constructor(path: string, token: string, takenOver: number | undefined) {
    this.#path = path;
    this.#token = token;
    this.takenOver = takenOver;
  }

  /**
   * Takes the folder; the lock of a process that is gone is taken over.
   *
   * @throws E_USAGE naming the process that has the folder; E_IO when the lock cannot be written
   */
  static async acquire(folder: string): Promise<RunLock> {
    const path = join(folder, NAME);
    const token = randomBytes(8).toString('hex');
    const owner: Owner = { pid: process.pid, host: hostname(), process_start: await processStart(process.pid), token };
    let takenOver: number | undefined;
    // A lock that vanishes or goes stale between two looks is looked at again; it cannot go on for ever.
    for (let attempt = 0; attempt < 5; ++attempt) {
      if (await create(path, JSON.stringify(owner))) return new RunLock(path, token, takenOver);
      const text = await readFile(path, 'utf8').catch(() => undefined);
      if (text === undefined) continue;
      const holder = parseOwner(text);
      if (holder !== undefined && (await isAlive(holder))) {
        throw new TensorkilnError(
          'E_USAGE',
          `[run] ${folder} belongs to a run that is going on: process ${holder.pid} on ${holder.host}. Wait for it, or choose another folder with --output.`,
        );
      }
      if (await remove(path, text)) takenOver = holder?.pid ?? 0;
    }
    throw new TensorkilnError(
      'E_USAGE',
      `[run] ${path} keeps changing: another process is taking the folder. Choose another one.`,
    );
  }

  async release(): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(() => undefined);
    if (text !== undefined && parseOwner(text)?.token === this.#token) await rm(this.#path, { force: true });
  }
}

/** Whether the file was made: its content is there from the first moment on, because a link gives the name. */
async function create(path: string, content: string): Promise<boolean> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(content);
    } finally {
      await file.close();
    }
    await link(temporary, path);
    return true;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') return false;
    throw new TensorkilnError(
      'E_IO',
      `[run] cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}.`,
      {
        cause,
      },
    );
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Takes a stale lock away, unless it has become another one meanwhile. */
async function remove(path: string, stale: string): Promise<boolean> {
  const aside = `${path}.${randomBytes(6).toString('hex')}.stale`;
  try {
    await rename(path, aside);
  } catch {
    // Somebody else has taken it away: the next attempt sees what is there.
    return false;
  }
  const moved = await readFile(aside, 'utf8');
  const isStale = moved === stale;
  // A fresh lock goes back to its place; if yet another one is there, that one counts.
  if (!isStale) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
  return isStale;
}

function parseOwner(text: string): Owner | undefined {
  try {
    const value = JSON.parse(text) as Partial<Owner>;
    return typeof value.pid === 'number' && typeof value.host === 'string' ? (value as Owner) : undefined;
  } catch {
    return undefined;
  }
}

/** A process of another machine counts as alive: nothing here can tell. */
async function isAlive({ pid, host, process_start }: Owner): Promise<boolean> {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  const start = await processStart(pid);
  return start === null || process_start === null || start === process_start;
}

/** Field 22 of /proc/<pid>/stat, in clock ticks since boot: numbers of processes are used again, start times are not. */
async function processStart(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The second field is a name in brackets that may hold anything.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}
