import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const USER = 'kiln';
/** With signs that a URL must spell otherwise. */
export const PASSWORD = 'canary/p@ss#word';

/** A PostgreSQL server of its own in a temporary folder, which the test that started it stops. */
export class PostgresServer {
  readonly port: number;
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(folder: string, port: number, child: ChildProcess) {
    this.#folder = folder;
    this.port = port;
    this.#process = child;
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  /** @returns the server, or why there can be none on this machine */
  static async start(): Promise<PostgresServer | string> {
    const programs = findPrograms();
    if (programs === undefined) return 'PostgreSQL (initdb) is not installed';
    const isRoot = process.getuid?.() === 0;
    const owner = isRoot ? userPostgres() : undefined;
    if (isRoot && owner === undefined) return 'PostgreSQL does not run as root, and there is no user postgres';
    const folder = mkdtempSync(join(tmpdir(), 'tensorkiln-postgres-'));
    const password = join(folder, 'password');
    writeFileSync(password, PASSWORD);
    if (owner !== undefined) for (const path of [folder, password]) chownSync(path, owner.uid, owner.gid);
    const data = join(folder, 'data');
    const options = ['-D', data, '-U', USER, `--pwfile=${password}`, '-A', 'scram-sha-256', '-E', 'UTF8', '--no-sync'];
    await run(join(programs, 'initdb'), options, { ...owner, cwd: folder });
    const port = await freePort();
    const settings = ['fsync=off', 'listen_addresses=127.0.0.1', 'TimeZone=UTC'].flatMap((setting) => ['-c', setting]);
    const child = spawn(join(programs, 'postgres'), ['-D', data, '-p', String(port), '-k', folder, ...settings], {
      ...owner,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      let log = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        if (log.includes('ready to accept connections')) resolve();
      });
      child.once('exit', () => {
        reject(new Error(`postgres ended: ${log}`));
      });
    });
    return new PostgresServer(folder, port, child);
  }

  /** @param password default: the right one */
  url(database = 'postgres', password = PASSWORD): string {
    return `postgres://${USER}:${encodeURIComponent(password)}@127.0.0.1:${this.port}/${database}`;
  }

  /** Stops the server at once, with whatever it is doing. */
  async stop(): Promise<void> {
    this.#process.kill('SIGQUIT');
    await this.#ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function findPrograms(): string | undefined {
  // Debian keeps the programs of each version out of the path.
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : [];
  const folders = [...versions, ...(process.env['PATH'] ?? '').split(delimiter)];
  return folders.find((folder) => ['initdb', 'postgres'].every((program) => existsSync(join(folder, program))));
}

function userPostgres(): { readonly uid: number; readonly gid: number } | undefined {
  const [, uid, gid] = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? [];
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
