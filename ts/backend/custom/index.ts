/** Ops tfjs-core lacks, with their gradients. */
export { channelPrelu, FUSED_ACTIVATIONS, gelu, mish, silu, type FusedActivation } from './activations.js';
export { attention, type AttentionDropout, type AttentionOptions } from './attention.js';
export { autocast, halfProducts, PRECISIONS, storageDType, type HalfProducts, type Precision } from './autocast.js';
export { averagePool2D, type AveragePool2DOptions } from './average-pool2d.js';
export { binaryCrossEntropy, type BinaryCrossEntropyOptions } from './binary-cross-entropy.js';
export { conv2dDilated, type Conv2DDilatedOptions } from './conv2d-dilated.js';
export { DeviceScalars } from './device-scalars.js';
export { dropout } from './dropout.js';
export { embedding, type EmbeddingOptions } from './embedding.js';
export {
  batchNormFixed,
  batchNormTrain,
  groupNorm,
  instanceNorm,
  type BatchNormOptions,
  type BatchNormTrainOptions,
  type ChannelNormOptions,
} from './group-norm.js';
export {
  layerNorm,
  residualLayerNorm,
  residualRmsNorm,
  rmsNorm,
  type ResidualNorm,
  type RowNormOptions,
} from './layer-norm.js';
export { linear, type LinearOptions } from './linear.js';
export {
  clipByGlobalNorm,
  clipByValue,
  clipEachByNorm,
  globalNorm,
  scaleTensors,
  type DeviceNumber,
  type GlobalNorm,
} from './multi-tensor.js';
export { accumulate, ACCUMULATE_SCALARS, moveTowards, type AccumulateScalar, type MoveScalar } from './move-towards.js';
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
export {
  gru,
  lstm,
  rnn,
  type GruOptions,
  type LstmOptions,
  type LstmResult,
  type RecurrentWeights,
  type RnnOptions,
  type SequenceOptions,
  type SequenceResult,
} from './recurrent.js';
export { softmaxCrossEntropy, type SoftmaxCrossEntropyOptions } from './softmax-cross-entropy.js';
export { RULE_SCALARS, ruleStep, type RuleGroup, type RuleName, type RuleScalar } from './update-rules.js';
