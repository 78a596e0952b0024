import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SUBJECTS } from '../ops/subjects-list.js';

export const TABLES = ['kernels', 'tfjs'] as const;
export type Table = (typeof TABLES)[number];

/** Somebody who is timed: how to start them. `missing` is the reason why not. */
export interface Runner {
  readonly name: string;
  readonly command?: readonly string[];
  readonly missing?: string;
  readonly env?: Record<string, string>;
}

export const OURS = 'tensorkiln';
export const KERNEL_PEERS = ['onednn', 'onednn-nhwc', 'openblas', 'blis', 'pytorch', 'onnxruntime'] as const;
export const TFJS_PEERS = SUBJECTS.filter((name) => name !== OURS);
export const ALL_PEERS: readonly string[] = [...KERNEL_PEERS, ...TFJS_PEERS];

/** Where the runners lie. */
export interface Places {
  /** Folder of the compiled native legs. */
  readonly native: string;
  /** Folder of the Python legs. */
  readonly scripts: string;
  /** The compiled bench/ops/worker.ts. */
  readonly worker: string;
  /** Python interpreter; torch and onnxruntime are looked for in it. */
  readonly python: string;
}

/** Debian and Fedora, x86-64 and arm64; the loader's own search last. */
const LIBRARY_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/local/lib',
  '/opt/homebrew/lib',
];

function findLibrary(variable: string, names: readonly string[]): string {
  const given = process.env[variable];
  if (given !== undefined && given !== '') return given;
  for (const folder of LIBRARY_FOLDERS) {
    for (const name of names) if (existsSync(join(folder, name))) return join(folder, name);
  }
  return names.at(-1)!;
}

function native(name: string, program: string, places: Places, why: string, ...args: string[]): Runner {
  const path = join(places.native, program);
  return existsSync(path) ? { name, command: [path, ...args] } : { name, missing: why };
}

// Freed memory stays with the process, as ours does: PyTorch's stronger setting.
const KEEP_MEMORY = { MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: '17179869184', MALLOC_TOP_PAD_: '67108864' };

/** Ours and the peers of a table, in the order of the report. */
export function runnersOf(table: Table, places: Places): readonly Runner[] {
  if (table === 'tfjs') return SUBJECTS.map((name) => ({ name, command: [process.execPath, places.worker, name] }));
  const python = (name: string, script: string): Runner => ({
    name,
    command: [places.python, join(places.scripts, script)],
    env: KEEP_MEMORY,
  });
  return [
    native(OURS, 'tensorkiln_leg', places, 'the native legs are not built'),
    native('onednn', 'onednn_leg', places, 'no oneDNN headers and library (Debian: libdnnl-dev) when the legs were built'),
    native('onednn-nhwc', 'onednn_leg', places, 'as onednn', 'nhwc'),
    native(
      'openblas',
      'blas_leg',
      places,
      'the native legs are not built',
      findLibrary('TENSORKILN_BENCH_OPENBLAS', ['libopenblas.so.0', 'libopenblas.dylib', 'libopenblas.so']),
    ),
    native(
      'blis',
      'blas_leg',
      places,
      'the native legs are not built',
      findLibrary('TENSORKILN_BENCH_BLIS', ['libblis.so.4', 'libblis.dylib', 'libblis.so']),
    ),
    python('pytorch', 'torch_leg.py'),
    python('onnxruntime', 'onnxruntime_leg.py'),
  ];
}

/** One setting for every threading library that a runner may use. */
export function threadEnvironment(threads: number): Record<string, string> {
  const count = String(threads);
  return {
    TENSORKILN_BENCH_THREADS: count,
    TENSORKILN_THREADS: count,
    OMP_NUM_THREADS: count,
    MKL_NUM_THREADS: count,
    OPENBLAS_NUM_THREADS: count,
    BLIS_NUM_THREADS: count,
    PYTHONDONTWRITEBYTECODE: '1',
    // One OpenMP pool that spins on after its work would run against whoever is measured next.
    GOMP_SPINCOUNT: '20000',
    KMP_BLOCKTIME: '1',
    TF_CPP_MIN_LOG_LEVEL: '3',
  };
}
