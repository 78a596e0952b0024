import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunLock } from '../../ts/run/lock.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-lock-'));
  path = join(folder, 'run.lock');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const owner = (fields: object): string =>
  JSON.stringify({ pid: process.pid, host: hostname(), process_start: null, token: 'other', ...fields });

/** The number of a process that has ended. */
function endedProcess(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

describe('RunLock', () => {
  it('names this process, keeps others out, and is gone after release', async () => {
    const lock = await RunLock.acquire(folder);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() });
    await expect(RunLock.acquire(folder)).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining(`process ${process.pid} on ${hostname()}`) as string,
    });
    await lock.release();
    expect(readdirSync(folder)).toEqual([]);
    await (await RunLock.acquire(folder)).release();
  });

  it('is taken over from a process that is gone', async () => {
    const pid = endedProcess();
    writeFileSync(path, owner({ pid }));
    const lock = await RunLock.acquire(folder);
    expect(lock.takenOver).toBe(pid);
    await lock.release();
  });

  it('is taken over when its number belongs to another process by now', async (context) => {
    if (process.platform !== 'linux') context.skip('only /proc tells when a process began');
    writeFileSync(path, owner({ process_start: '1' }));
    expect((await RunLock.acquire(folder)).takenOver).toBe(process.pid);
  });

  it('is respected while its process lives, whatever its user', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    writeFileSync(path, owner({ pid: child.pid }));
    await expect(RunLock.acquire(folder)).rejects.toMatchObject({ code: 'E_USAGE' });
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    expect((await RunLock.acquire(folder)).takenOver).toBe(child.pid);
  });

  it('of another machine is respected: nothing here can tell whether it lives', async () => {
    writeFileSync(path, owner({ host: 'elsewhere', pid: endedProcess() }));
    await expect(RunLock.acquire(folder)).rejects.toThrow(/on elsewhere/);
  });

  it('that is no lock at all is taken over', async () => {
    writeFileSync(path, 'half a lo');
    expect((await RunLock.acquire(folder)).takenOver).toBe(0);
  });

  it('goes to one of many that want it at once, also when it is stale', async () => {
    writeFileSync(path, owner({ pid: endedProcess() }));
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => RunLock.acquire(folder)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(existsSync(path)).toBe(true);
    expect(readdirSync(folder)).toEqual(['run.lock']);
  });

  it('that has become another one meanwhile is not removed by release', async () => {
    const lock = await RunLock.acquire(folder);
    writeFileSync(path, owner({ pid: 1 }));
    await lock.release();
    expect(existsSync(path)).toBe(true);
  });
});
