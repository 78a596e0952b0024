import { describe, expect, it } from 'vitest';
import { HOT_KERNELS, problemsOf, readReport } from '../../scripts/native/cuda-report.mjs';

/** A name as compilers mangle it: its length first. */
const mangled = (name: string): string => `_ZN2tk${String(name.split('IL')[0]?.length)}${name}EvT_`;
const kernel = (name: string, spill = 0): string =>
  [
    `ptxas info    : Compiling entry function '${mangled(name)}' for 'sm_90a'`,
    `ptxas info    : Function properties for ${mangled(name)}`,
    `    0 bytes stack frame, ${String(spill)} bytes spill stores, ${String(spill)} bytes spill loads`,
    'ptxas info    : Used 168 registers, used 16 barriers',
  ].join('\n');
const clean = HOT_KERNELS.map((name: string) => kernel(name)).join('\n');

describe("nvcc's report", () => {
  it('gives registers and spills of each kernel', () => {
    expect(readReport(kernel('some_kernel', 8))).toEqual({
      kernels: [{ kernel: '_ZN2tk11some_kernelEvT_', architecture: 'sm_90a', registers: 168, spillBytes: 16 }],
      serialised: [],
    });
  });

  it('is clean when no hot kernel spills, whatever the others do', () => {
    expect(problemsOf(`${clean}\n${kernel('rare_kernel', 4)}`)).toEqual([]);
  });

  it('names a hot kernel that spills, one that is missing, and serialised wgmma', () => {
    expect(problemsOf(`${clean}\n${kernel('tile_kernel', 4)}`)).toEqual(['_ZN2tk11tile_kernelEvT_ (sm_90a) spills 8 bytes']);
    expect(problemsOf(clean.replaceAll('13hopper_kernel', '5other'))).toEqual(["no report of a hot kernel 'hopper_kernel'"]);
    const note = "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized in 'f'";
    expect(problemsOf(`${clean}\n${note}`)).toEqual([`wgmma is serialised: ${note}`]);
  });
});
