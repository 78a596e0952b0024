import { beforeAll, describe, it } from 'vitest';
import { useNativeBackend } from '../support/native-backend.js';
import { expectSameSteps } from '../support/same-steps.js';
import { lenet } from '../support/training-steps.js';

beforeAll(() => useNativeBackend());

describe('1,000 replayed steps equal 1,000 eager steps on 1 and 2 threads', () => {
  const full = lenet(28, [32, 64, 128], 32);
  it(full.name, () => expectSameSteps(full, 1000), 20 * 60_000);
});
