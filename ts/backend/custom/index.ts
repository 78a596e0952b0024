/** Ops tfjs-core lacks, with their gradients. */
export { averagePool2D, type AveragePool2DOptions } from './average-pool2d.js';
export { conv2dDilated, type Conv2DDilatedOptions } from './conv2d-dilated.js';
export { DeviceScalars } from './device-scalars.js';
export { dropout } from './dropout.js';
export * from './optimizer-steps.js';
export { overwriteVariable, restoreVariable } from './overwrite.js';
export { HostRandom } from './philox.js';
export {
  randomNormal,
  randomUniform,
  RandomState,
  type RandomNormalOptions,
  type RandomStateData,
  type RandomUniformOptions,
} from './random.js';
export { softmaxCrossEntropy } from './softmax-cross-entropy.js';
