import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cudaVersion, describeCuda } from '../../ts/backend/inspect/cuda.js';
import { inspectEnvironment } from '../../ts/backend/inspect/index.js';
import { parseCpuMax } from '../../ts/backend/inspect/system.js';
import { formatReport, inspectCommand } from '../../ts/cli/inspect.js';
import { textOf } from '../support/files.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-inspect-'));
  vi.stubEnv('TENSORKILN_ADDON', join(folder, 'absent.node'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

/** Puts a CUDA library and a probe that runs the given shell lines beside an addon that is not there. */
function fakeCuda(script: string): void {
  const library = { win32: 'tensorkiln_cuda.dll', darwin: 'libtensorkiln_cuda.dylib' }[process.platform as string];
  writeFileSync(join(folder, library ?? 'libtensorkiln_cuda.so'), '');
  const probe = join(folder, 'tensorkiln-cuda-probe');
  writeFileSync(probe, `#!/bin/sh\n${script}\n`);
  chmodSync(probe, 0o755);
}

describe('parseCpuMax', () => {
  it.each([
    ['max 100000\n', undefined],
    ['150000 100000\n', 1.5],
    ['-1 100000', undefined],
    ['', undefined],
  ])('%j gives %s', (text, cores) => {
    expect(parseCpuMax(text)).toBe(cores);
  });
});

describe('cudaVersion', () => {
  it.each([
    [13000, '13.0'],
    [12080, '12.8'],
    [0, undefined],
    [undefined, undefined],
  ])('%s gives %s', (code, version) => {
    expect(cudaVersion(code)).toBe(version);
  });
});

describe('describeCuda', () => {
  it('says when the library is not built', async () => {
    expect(await describeCuda(folder)).toMatchObject({
      built: false,
      devices: [],
      summary: expect.stringContaining('build:cuda') as string,
    });
  });

  it('says when there is no driver', async () => {
    fakeCuda(`echo '{"runtimeVersion": 13000, "driverVersion": 0, "architectures": "90a", "devices": [], "error": null}'`);
    expect(await describeCuda(folder)).toMatchObject({
      built: true,
      summary: 'CUDA library built, no driver here',
      runtimeVersion: '13.0',
      driverVersion: undefined,
      architectures: '90a',
    });
  });

  it('lists devices', async () => {
    const device = { index: 0, name: 'Test "GPU"', computeCapability: '9.0', multiprocessors: 132, memoryBytes: 2 ** 36 };
    const output = { runtimeVersion: 13000, driverVersion: 13010, architectures: '90a', devices: [device], error: null };
    fakeCuda(`cat <<'END'\n${JSON.stringify(output)}\nEND`);
    expect(await describeCuda(folder)).toMatchObject({ summary: '1 device', driverVersion: '13.1', devices: [device] });
  });

  it('reports what CUDA said', async () => {
    fakeCuda(`echo '{"runtimeVersion": 13000, "driverVersion": 12000, "devices": [], "error": "driver too old"}'`);
    expect((await describeCuda(folder)).summary).toBe('not usable: driver too old');
  });

  it.each(['kill -SEGV $$', 'echo nonsense', 'exit 3'])('survives a probe that does: %s', async (script) => {
    fakeCuda(script);
    expect(await describeCuda(folder)).toMatchObject({
      built: true,
      devices: [],
      summary: expect.stringMatching(/^not usable: ./) as string,
    });
  });
});

describe('inspect without the addon', () => {
  it('reports versions, system and the places tried', async () => {
    const { version } = JSON.parse(textOf('package.json')) as { version: string };
    const report = await inspectEnvironment();
    expect(report).toMatchObject({
      package: { version },
      node: { version: process.version, v8: process.versions.v8 },
      tfjsCore: [{ seenFrom: 'package', version: '4.22.0' }],
      system: { platform: process.platform, arch: process.arch },
      native: { loaded: false, attempts: [{ path: join(folder, 'absent.node'), outcome: 'absent' }] },
      environment: { TENSORKILN_ADDON: join(folder, 'absent.node') },
    });
    expect(report.system.memory.totalBytes).toBeGreaterThan(2 ** 20);
    expect(report.system.cpu.availableCores).toBeGreaterThan(0);
  });

  it('prints aligned lines and the way out', async () => {
    const text = formatReport(await inspectEnvironment());
    expect(text).toMatch(new RegExp(`^node\\s+${process.version.replaceAll('.', '\\.')},`, 'm'));
    expect(text).toMatch(/^addon\s+NOT LOADED$/m);
    expect(text).toMatch(/^tried\s+TENSORKILN_ADDON: .*absent\.node: absent \(no such file\)$/m);
    expect(text).toContain('npm rebuild tensorkiln');
  });

  it('prints one JSON object with --json', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    await inspectCommand().parseAsync(['--json'], { from: 'user' });
    const printed = write.mock.calls.map(([chunk]) => String(chunk)).join('');
    write.mockRestore();
    expect(JSON.parse(printed)).toMatchObject({ native: { loaded: false }, cuda: { devices: [] } });
  });
});
