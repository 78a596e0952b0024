// gpu:steps: whole training steps beside PyTorch eager and torch.compile, where the machine has PyTorch. Runs inside the archive that
// `npm run gpu:bundle` makes.
//   ./gpu-steps [--results FILE] [--dry] [part of a case's name]
// Every case is one line of JSON, written as it finishes; a run that was cut off goes on where it stopped.
import * as tf from '@tensorflow/tfjs-core';
import '../../dist/backend/register.js';
import { Conv2D, Dense, Flatten, MaxPooling2D, Sequential, crossEntropy } from '../../dist/nn/index.js';
import { Adam } from '../../dist/optim/index.js';
import { makeSteps } from '../../dist/train/steps.js';
import { toTrainable } from '../../dist/train/trainable.js';
import { compareLegs, readOptions, runCases, timeCalls, waitForDevice } from './measure.mjs';

// Bundled as CommonJS, which has it.
/* global __dirname */
const options = readOptions('gpu-steps', __dirname);

/** Models that python's script builds under the same names. */
function cases() {
  const scale = options.isDry ? 16 : 1;
  const dense = (units, activation) => new Dense({ units: Math.max(2, units / scale), activation });
  const mlp = () => [dense(512, 'relu'), dense(256, 'relu'), new Dense({ units: 10 })];
  const cnn = () => [
    new Conv2D({ filters: 32 / scale, kernelSize: 3, padding: 'same', activation: 'relu' }),
    new MaxPooling2D(),
    new Conv2D({ filters: 64 / scale, kernelSize: 3, padding: 'same', activation: 'relu' }),
    new MaxPooling2D(),
    new Flatten(),
    dense(128, 'relu'),
    new Dense({ units: 10 }),
  ];
  return [
    { name: 'step MLP 784-512-256-10', layers: mlp, shape: [options.isDry ? 20 : 784], rows: options.isDry ? 4 : 128 },
    { name: 'step CNN 28x28', layers: cnn, shape: options.isDry ? [8, 8, 1] : [28, 28, 1], rows: options.isDry ? 2 : 128 },
  ];
}

async function measure({ name, layers, shape, rows }, torch) {
  const model = new Sequential({ seed: 1, layers: layers() });
  const optimizer = new Adam({ learningRate: 1e-4 });
  model.build(shape);
  optimizer.bind(model.trainableVariables());
  const steps = makeSteps(
    { model: toTrainable(model), losses: [crossEntropy], lossWeights: [1], metrics: [], optimizer },
    true,
  );
  const x = tf.randomNormal([rows, ...shape], 0, 1, 'float32', 7);
  const y = tf.zeros([rows], 'int32');
  // Recorded and proven by the first calls.
  for (let i = 0; i < 3; ++i) tf.dispose(steps.train(x, y));
  const row = await compareLegs(
    () => timeCalls(() => tf.dispose(steps.train(x, y)), waitForDevice, options.isDry),
    torch,
    name,
    ['eager', 'compiled'],
    options.isDry,
  );
  steps.train.dispose();
  optimizer.dispose();
  model.dispose();
  tf.dispose([x, y]);
  return { name, rows, ...row };
}

runCases(options, cases(), measure).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
