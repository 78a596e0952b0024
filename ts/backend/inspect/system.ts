/** What the machine and the process have, as far as a bug report needs it. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { dirname, join } from 'node:path';

export interface SystemDescription {
  readonly platform: string;
  readonly arch: string;
  /** Kernel release. */
  readonly release: string;
  /** Name of the Linux distribution; undefined elsewhere or when it does not say. */
  readonly distribution: string | undefined;
  /** C library and version, e.g. "glibc 2.36"; undefined where the platform has only one. */
  readonly libc: string | undefined;
  readonly cpu: {
    readonly model: string;
    readonly logicalCores: number;
    /** Cores this process may be scheduled on. */
    readonly availableCores: number;
    /** Processor time the cgroup grants, in cores; undefined without a limit. */
    readonly coreLimit: number | undefined;
  };
  readonly memory: {
    readonly totalBytes: number;
    readonly freeBytes: number;
    /** What the cgroup grants; undefined without a limit. */
    readonly limitBytes: number | undefined;
  };
}

export interface TfjsCopy {
  /** From where it was resolved: this package or the working directory. */
  readonly seenFrom: 'package' | 'working directory';
  readonly version: string;
  readonly path: string;
}

function distribution(): string | undefined {
  if (!existsSync('/etc/os-release')) return undefined;
  return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
}

function libc(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined ? 'musl' : `glibc ${header.glibcVersionRuntime}`;
}

/** Quota in cores from a cpu.max file, whose content is "<microseconds> <period>" or "max <period>". */
export function parseCpuMax(text: string): number | undefined {
  const [quota, period] = text.trim().split(/\s+/).map(Number);
  if (quota === undefined || period === undefined || !(quota > 0) || !(period > 0)) return undefined;
  return quota / period;
}

/** Smallest quota of the process's cgroup and those above it (cgroup v2), or that of cgroup v1. */
function coreLimit(): number | undefined {
  if (process.platform !== 'linux' || !existsSync('/proc/self/cgroup')) return undefined;
  const unified = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  const limits: number[] = [];
  const root = '/sys/fs/cgroup';
  for (let folder = join(root, unified ?? '/'); folder.startsWith(root); folder = dirname(folder)) {
    const file = join(folder, 'cpu.max');
    const limit = existsSync(file) ? parseCpuMax(readFileSync(file, 'utf8')) : undefined;
    if (limit !== undefined) limits.push(limit);
  }
  const v1 = join(root, 'cpu');
  if (existsSync(join(v1, 'cpu.cfs_quota_us'))) {
    const read = (name: string): string => readFileSync(join(v1, name), 'utf8').trim();
    const limit = parseCpuMax(`${read('cpu.cfs_quota_us')} ${read('cpu.cfs_period_us')}`);
    if (limit !== undefined) limits.push(limit);
  }
  return limits.length === 0 ? undefined : Math.min(...limits);
}

function memoryLimit(): number | undefined {
  const limit = process.constrainedMemory();
  // Without a limit Node reports 0 or a number beyond any machine.
  return limit > 0 && limit < os.totalmem() ? limit : undefined;
}

/** Never throws on a system that hides one of the figures: it is then undefined. */
export function describeSystem(): SystemDescription {
  const cpus = os.cpus();
  return {
    platform: process.platform,
    arch: process.arch,
    release: os.release(),
    distribution: distribution(),
    libc: libc(),
    cpu: {
      model: cpus[0]?.model.trim() ?? 'unknown',
      logicalCores: cpus.length,
      availableCores: os.availableParallelism(),
      coreLimit: coreLimit(),
    },
    memory: { totalBytes: os.totalmem(), freeBytes: os.freemem(), limitBytes: memoryLimit() },
  };
}

/** Copies of tfjs-core a program would see: the one of this package and the one of the working directory, if another. */
export function findTfjsCopies(): TfjsCopy[] {
  const copies: TfjsCopy[] = [];
  const places = [
    ['package', import.meta.url],
    ['working directory', join(process.cwd(), 'index.js')],
  ] as const;
  for (const [seenFrom, base] of places) {
    const require = createRequire(base);
    let manifest: string;
    try {
      manifest = require.resolve('@tensorflow/tfjs-core/package.json');
    } catch {
      // Not installed there, which is what the report then shows.
      continue;
    }
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
    const path = dirname(manifest);
    if (copies.every((copy) => copy.path !== path)) copies.push({ seenFrom, version, path });
  }
  return copies;
}
