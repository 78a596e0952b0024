/** What happens where echarts and onnxruntime-web are not installed. */
import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { majorityBaseline } from '../../ts/evaluate/baselines.js';
import { buildOnnx } from '../../ts/export/onnx.js';
import * as optionalPackage from '../../ts/optional-package.js';
import { renderReport, renderTrainingCurves } from '../../ts/evaluate/report.js';
import { verifyOnnx } from '../../ts/export/verify-onnx.js';
import { describeModel } from '../support/describe-model.js';

const MISSING = 'tensorkiln-no-such-package';
const HISTORY = { epochs: [{ epoch: 1, trainLoss: 1 }], bestEpoch: 1, stopReason: 'epochs' } as const;

/** The error Node itself makes; the test runner's own loader words it differently. */
function importErrorOf(name: string): Error {
  const script = `import('${name}').catch((error) => console.log(JSON.stringify({ code: error.code, message: error.message })))`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  const { code, message } = JSON.parse(stdout) as { code: string; message: string };
  return Object.assign(new Error(message), { code });
}

describe('importOptional', () => {
  it('gives undefined for a package that is not installed', async () => {
    const error = importErrorOf(MISSING);
    await expect(optionalPackage.importOptional(MISSING, () => Promise.reject(error))).resolves.toBeUndefined();
  });

  it('passes on that an installed package lacks another one, and every other failure', async () => {
    const error = importErrorOf(MISSING);
    await expect(optionalPackage.importOptional('installed', () => Promise.reject(error))).rejects.toBe(error);
    const broken = new Error('broken');
    await expect(optionalPackage.importOptional(MISSING, () => Promise.reject(broken))).rejects.toBe(broken);
  });

  it('gives the module of a package that is there', async () => {
    const module = await optionalPackage.importOptional('yaml', () => import('yaml'));
    expect(module?.parse('a: 1')).toEqual({ a: 1 });
  });
});

describe('without the optional packages', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('the report keeps its tables and says how to get the charts', async () => {
    vi.spyOn(optionalPackage, 'importOptional').mockResolvedValue(undefined);
    const rows = { size: 2, featureShape: [1], features: new Float32Array(2), targets: Int32Array.of(0, 1), targetShape: [] };
    const baseline = majorityBaseline(rows, rows, ['a', 'b']);
    const run = { seeds: {}, versions: {}, rows: { test: 2 }, features: ['x'] };
    const page = await renderReport({
      task: 'classification',
      title: 'T',
      run,
      history: HISTORY,
      metrics: baseline.metrics,
      baselines: [baseline],
    });
    expect(page).not.toContain('<svg');
    expect(page.match(/npm install echarts@6/g)?.length).toBe(3);
    expect(page).toContain('Majority baseline');
  });

  it('curves alone are refused with the line that installs what they need', async () => {
    vi.spyOn(optionalPackage, 'importOptional').mockResolvedValue(undefined);
    await expect(renderTrainingCurves(HISTORY)).rejects.toMatchObject({
      code: 'E_EXPORT',
      message: expect.stringContaining('npm install echarts@6'),
    });
  });

  it('an export says that it was not verified and why', async () => {
    vi.spyOn(optionalPackage, 'importOptional').mockResolvedValue(undefined);
    const bytes = buildOnnx(describeModel([2], [{ type: 'flatten', outputShape: [2] }]));
    const probe = { features: Float32Array.of(1, 2), outputs: Float32Array.of(1, 2) };
    expect(await verifyOnnx(bytes, probe, { inputShape: [2] })).toEqual({
      verified: false,
      reason: 'onnxruntime-web is not installed (npm install onnxruntime-web)',
    });
  });
});
