// The trainer adds penalties to the loss and holds constraints after each step.
import { beforeAll, expect, it } from 'vitest';
import { Dense, meanSquaredError, Sequential } from '../../ts/nn/index.js';
import { SGD } from '../../ts/optim/index.js';
import { Trainer } from '../../ts/train/index.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

it('fit obeys regularizers and constraints of layers', async () => {
  const model = new Sequential({
    layers: [
      new Dense({
        units: 1,
        kernelInitializer: 'ones',
        kernelRegularizer: { l2: 0.5 },
        biasInitializer: 'ones',
        biasConstraint: { type: 'non_negative' },
      }),
    ],
  });
  model.build([1]);
  const trainer = new Trainer({ model, loss: meanSquaredError, optimizer: new SGD({ learningRate: 0.5 }) });
  // A feature of 0: the error pulls the bias to -7, the penalty alone moves the kernel.
  const data = { size: 1, featureShape: [1], features: Float32Array.of(0), targets: Float32Array.of(-7), targetShape: [] };
  const history = await trainer.fit(data, { epochs: 1, batchSize: 1 });
  expect(history.epochs[0]!.trainLoss).toBe(64.5);
  const weights = await model.getWeights();
  // 1 - 0.5 * (2 * 0.5 * 1), and max(0, 1 - 0.5 * 2 * 8).
  expect([...weights['dense/kernel']!.data, ...weights['dense/bias']!.data]).toEqual([0.5, 0]);
  trainer.dispose();
  model.dispose();
});
