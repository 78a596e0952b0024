/**
 * Every model of the zoo trains compiled by default, without a fall-back, with two threads, with the bits of eager training on one:
 * both precisions, changing rates, dropout, batch norms, clipping, an average of the weights, batches of two sizes, in parts as
 * well. A few steps each; a hundred in tests/long.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { ARCHITECTURES } from '../../ts/nn/index.js';
import { expectSameTraining } from '../support/compiled-training.js';
import { BACKEND_NAME, useNativeBackend } from '../support/native-backend.js';
import { ZOO_MODELS } from '../support/zoo-models.js';

beforeAll(() => useNativeBackend());

const EPOCHS = 4; // of two steps; each size of batch is recorded twice
/** Models that normalise over the batch cannot take it in parts. */
const WITH_BATCH_NORM = ['dnn', 'cnn', 'resnet18', 'resnet34', 'resnet50'];

describe.each(['float32', 'bf16'] as const)('compiled training in %s has the bits of eager training:', (precision) => {
  it.for(ZOO_MODELS)('$architecture', async (description, context) => {
    if (BACKEND_NAME !== 'tensorkiln-cpu')
      context.skip('whole models are left to the CPU: emulation runs every thread of a kernel');
    await expectSameTraining(description, { precision }, EPOCHS, [2]);
  });
});

it.for(ZOO_MODELS.filter(({ architecture }) => !WITH_BATCH_NORM.includes(architecture)))(
  'batches of $architecture in parts',
  async (description, context) => {
    if (BACKEND_NAME !== 'tensorkiln-cpu')
      context.skip('whole models are left to the CPU: emulation runs every thread of a kernel');
    await expectSameTraining(description, { precision: 'float32', microBatch: 3 }, EPOCHS, [2]);
  },
);

it('every architecture is tried', () => {
  expect(new Set(ZOO_MODELS.map(({ architecture }) => architecture))).toEqual(new Set(ARCHITECTURES));
});
