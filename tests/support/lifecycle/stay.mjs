// Trains a convolutional network asynchronously and prints how long the JavaScript thread stayed in native code at most:
// { longestStayMs, firstStayMs, steps, loss }.
import { crossEntropy, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Sequential } from '../../../dist/nn/index.js';
import { Adam } from '../../../dist/optim/index.js';
import { Trainer } from '../../../dist/train/index.js';
import '../../../dist/index.js';
import { loadNative } from '../../../dist/native/load.js';

const size = 640;
const features = Float32Array.from({ length: size * 28 * 28 }, (_, i) => ((i * 7919) % 251) / 251);
const targets = Int32Array.from({ length: size }, (_, i) => i % 10);
const dataset = { size, featureShape: [28, 28, 1], features, targets, targetShape: [] };
const model = new Sequential({
  layers: [
    new Conv2D({ filters: 32, kernelSize: 5, activation: 'relu' }),
    new MaxPooling2D({ poolSize: 2 }),
    new Conv2D({ filters: 64, kernelSize: 5, activation: 'relu' }),
    new MaxPooling2D({ poolSize: 2 }),
    new Flatten(),
    new Dense({ units: 128, activation: 'relu' }),
    new Dropout({ rate: 0.5 }),
    new Dense({ units: 10 }),
  ],
  seed: 1,
});
const trainer = new Trainer({ model, loss: crossEntropy, optimizer: new Adam() });
const addon = loadNative();
const history = await trainer.fit(dataset, { epochs: 2, batchSize: 64 });
const { longestStayMs, firstStayMs } = addon.counters();
console.log(JSON.stringify({ longestStayMs, firstStayMs, steps: history.steps, loss: history.epochs.at(-1).trainLoss }));
