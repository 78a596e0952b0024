import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeNative, type NativeDescription } from '../../native/load.js';
import { type CudaDescription, describeCuda } from './cuda.js';
import { type SystemDescription, type TfjsCopy, describeSystem, findTfjsCopies } from './system.js';

export type { CudaDescription, CudaDevice } from './cuda.js';
export type { SystemDescription, TfjsCopy } from './system.js';

/** Everything a bug report needs. */
export interface EnvironmentReport {
  readonly package: { readonly version: string; readonly path: string };
  readonly node: { readonly version: string; readonly v8: string; readonly napi: string; readonly uv: string };
  /** Empty when tfjs-core is not installed; more than one entry means that a program may load two engines. */
  readonly tfjsCore: readonly TfjsCopy[];
  readonly system: SystemDescription;
  readonly native: NativeDescription;
  readonly cuda: CudaDescription;
  /** Environment variables of this package that are set. */
  readonly environment: Readonly<Record<string, string>>;
}

// Compiled and source file lie equally deep below the package's folder.
const packagePath = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Describes package, Node, system, native addon and CUDA half. Works without the addon and never throws because of it: the
 * report then says which places were tried and why each failed.
 */
export async function inspectEnvironment(): Promise<EnvironmentReport> {
  const native = describeNative();
  const addonFolder =
    native.path === undefined ? fileURLToPath(new URL('../../../build/Release/', import.meta.url)) : dirname(native.path);
  const { v8 = '', napi = '', uv = '' } = process.versions as Record<string, string>;
  const variables = Object.entries(process.env).filter((entry): entry is [string, string] =>
    entry[0].startsWith('TENSORKILN_'),
  );
  return {
    package: { version: native.packageVersion, path: packagePath },
    node: { version: process.version, v8, napi, uv },
    tfjsCore: findTfjsCopies(),
    system: describeSystem(),
    native,
    cuda: await describeCuda(addonFolder),
    environment: Object.fromEntries(variables.sort(([left], [right]) => left.localeCompare(right))),
  };
}
