/** A model as plain data: what exporters and files need, without tensors or a backend. */
export interface WeightDescription {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * One layer. `type` is the layer's registered name ('dense', 'conv2d', 'max_pool2d', 'avg_pool2d', 'flatten', 'dropout',
 * 'activation'); `config` holds its constructor options in camelCase; `weights` its parameters by name ('kernel', 'bias').
 * Dense kernels are [in, out]; convolution kernels [kernelHeight, kernelWidth, in, out]; images are [N, H, W, C].
 */
export interface LayerDescription {
  readonly type: string;
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly weights: Readonly<Record<string, WeightDescription>>;
}

/** A chain of layers. Shapes are without the batch dimension. */
export interface ModelDescription {
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly layers: readonly LayerDescription[];
}
