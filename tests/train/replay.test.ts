import { beforeAll, describe, it } from 'vitest';
import { useNativeBackend } from '../support/native-backend.js';
import { expectSameSteps } from '../support/same-steps.js';
import { lenet, MLP } from '../support/training-steps.js';

beforeAll(() => useNativeBackend());

describe('1,000 replayed steps equal 1,000 eager steps on 1 and 2 threads', () => {
  it(MLP.name, () => expectSameSteps(MLP, 1000), 60_000);
  // A small one: the full size is in tests/long.
  const small = lenet(12, [4, 6, 16], 8);
  it(small.name, () => expectSameSteps(small, 1000), 60_000);
});
