/** A hundred steps of every model of the zoo, compiled and eager; what is compared stands in tests/plan/training.test.ts. */
import { beforeAll, describe, it } from 'vitest';
import { expectSameTraining } from '../support/compiled-training.js';
import { useNativeBackend } from '../support/native-backend.js';
import { ZOO_MODELS } from '../support/zoo-models.js';

beforeAll(() => useNativeBackend());

describe.each(['float32', 'bf16'] as const)('a hundred compiled steps in %s have the bits of eager ones:', (precision) => {
  it.each(ZOO_MODELS)('$architecture', (description) => expectSameTraining(description, { precision }, 50, [1, 2, 3]));
});
