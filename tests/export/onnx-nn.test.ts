/** Every layer and every architecture in onnxruntime: the exporter must read the options as the layers write them. */
import { beforeAll, describe, expect, it } from 'vitest';

import { exportOnnx } from '../../ts/export/onnx.js';
import { ONNX_LAYER_TYPES } from '../../ts/export/onnx/layers.js';
import * as nn from '../../ts/nn/index.js';
import { LAYER_CASES } from '../support/layer-cases.js';
import { graphOf, ZOO_CASES } from '../support/model-cases.js';
import { useNativeBackend } from '../support/native-backend.js';
import { scramble } from '../support/scramble.js';

beforeAll(() => useNativeBackend());

/** Exports a model, which is checked on batches of 5 and of 1 and, where lengths are free, on another length. */
async function largestErrorOf(model: nn.Model): Promise<number> {
  try {
    const { verification } = await exportOnnx(model);
    if (!verification.verified) throw new Error(verification.reason);
    expect(verification.rows).toBeGreaterThanOrEqual(6);
    return verification.largestError;
  } finally {
    model.dispose();
  }
}

// Both sides compute in float32, in another order of sums.
const TOLERANCE = 1e-5;

describe('each layer in onnxruntime', () => {
  it.each(LAYER_CASES)('$name gives the same outputs', async (entry) => {
    const model = graphOf(entry.make(nn), entry);
    await scramble(model);
    expect(await largestErrorOf(model)).toBeLessThan(TOLERANCE);
  });

  it('is every layer there is', () => {
    const containers = ['sequential', 'graph', 'residual', 'checkpoint', 'time_distributed'];
    expect([...ONNX_LAYER_TYPES, ...containers].sort()).toEqual([...nn.layerTypes()].sort());
  });
});

describe('each architecture in onnxruntime', () => {
  it.each(ZOO_CASES)('%s gives the same outputs', async (_name, description) => {
    const model = nn.createModel(description);
    model.build([...description.inputShape]);
    expect(await largestErrorOf(model)).toBeLessThan(TOLERANCE);
  });
});
