/** Layers, models, losses. */
export { Activation, type ActivationOptions } from './activation.js';
export { activate, ACTIVATIONS, type ActivationName } from './activations.js';
export { Checkpoint, type CheckpointOptions } from './checkpoint.js';
export { Conv2D, type Conv2DOptions } from './conv2d.js';
export * from './attention.js';
export { Conv1D, Conv3D, type ConvOptions } from './conv.js';
export * from './conv-depthwise.js';
export * from './conv-transposed.js';
export * from './embedding.js';
export { connect, Graph, GraphNode, input, type GraphOptions } from './graph.js';
export { KeyValueCache } from './key-value-cache.js';
export * from './merge.js';
export * from './noise.js';
export * from './normalization.js';
export type { Constraint, ParameterOptions, Regularizer } from './parameter-options.js';
export * from './pairwise-losses.js';
export * from './padding.js';
export * from './pooling.js';
export * from './prelu.js';
export * from './recurrent.js';
export * from './resampling.js';
export * from './reshaping.js';
export * from './scaling.js';
export * from './time-distributed.js';
export * from './transformer.js';
export { Dense, type DenseOptions } from './dense.js';
export type { LayerDescription, ModelDescription, WeightDescription } from './description.js';
export { Dropout, type DropoutOptions } from './dropout.js';
export { Flatten } from './flatten.js';
export {
  INITIALIZERS,
  initialValues,
  type Initializer,
  type InitializerName,
  type InitializerSettings,
} from './initializers.js';
export {
  Layer,
  UnaryLayer,
  type BuildOptions,
  type CallOptions,
  type LayerDType,
  type LayerJSON,
  type LayerOptions,
  type Parameter,
} from './layer.js';
export { type LoadReport } from './layer-weights.js';
export { ctcLoss, type CtcOptions } from './ctc.js';
export { crossEntropy, crossEntropyLoss, focalLoss, meanSquaredError, type CrossEntropyOptions, type Loss } from './losses.js';
export { AveragePooling2D, MaxPooling2D, type Pooling2DOptions } from './pooling2d.js';
export { layerFromJSON, layerTypes, registerLayer, type LayerFactory } from './registry.js';
export { modelFromJSON, type Model } from './model.js';
export type { ModelJSON } from './model-json.js';
export { Sequential, type SequentialOptions } from './sequential.js';
export type { Shape } from './shape.js';
export type { Padding, Pair } from './window.js';
export * from './zoo/index.js';
