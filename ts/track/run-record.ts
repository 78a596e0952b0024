/** What must be known to repeat a run: sources, versions, machine. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const LOCK_FILES = ['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock'];

/** Keys are those of run.json. */
export interface RunOrigin {
  /** The commit of the working directory; null where it is no git checkout. */
  readonly git: { readonly commit: string; readonly has_changes: boolean } | null;
  /** The nearest lock file above the working directory. */
  readonly lock_file: { readonly name: string; readonly sha256: string } | null;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: {
    readonly platform: string;
    readonly cpu: string;
    readonly cores: number;
    readonly memory_bytes: number;
  };
}

/** Looks at the working directory and the machine. What cannot be found out is null. */
export async function describeOrigin(versions: Readonly<Record<string, string>>): Promise<RunOrigin> {
  const cwd = process.cwd();
  const [git, lockFile] = await Promise.all([describeGit(cwd), findLockFile(cwd)]);
  return {
    git,
    lock_file: lockFile,
    versions,
    machine: {
      platform: `${process.platform} ${process.arch} ${release()}`,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memory_bytes: totalmem(),
    },
  };
}

/** sha256 of a file's content, or of all names and contents of a folder; null for what is neither, such as a database on a server. */
export async function digestOf(path: string): Promise<string | null> {
  const state = await stat(path).catch(() => undefined);
  if (state === undefined) return null;
  const hash = createHash('sha256');
  const entries = state.isDirectory() ? await readdir(path, { recursive: true, withFileTypes: true }) : undefined;
  const files = entries?.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files?.sort() ?? [path]) {
    if (files !== undefined) hash.update(`\n${relative(path, file).split(sep).join('/')}\n`);
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

async function describeGit(cwd: string): Promise<RunOrigin['git']> {
  try {
    const [head, status] = await Promise.all([
      run('git', ['rev-parse', 'HEAD'], { cwd }),
      run('git', ['status', '--porcelain', '--untracked-files=no'], { cwd }),
    ]);
    return { commit: head.stdout.trim(), has_changes: status.stdout.trim() !== '' };
  } catch {
    // No git, no checkout or no commit: there is nothing to record.
    return null;
  }
}

async function findLockFile(start: string): Promise<RunOrigin['lock_file']> {
  for (let folder = start; ; folder = dirname(folder)) {
    for (const name of LOCK_FILES) {
      const content = await readFile(join(folder, name)).catch(() => undefined);
      if (content !== undefined) return { name, sha256: createHash('sha256').update(content).digest('hex') };
    }
    if (dirname(folder) === folder) return null;
  }
}
