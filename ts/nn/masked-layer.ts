import type * as tf from '@tensorflow/tfjs-core';
import { UnaryLayer, type CallOptions, type LayerDType } from './layer.js';
import { formatBatchShape, type Shape } from './shape.js';

/** A layer over sequences [N, T, C] that also takes a bool mask [N, T] as second input: true where a place counts. */
export abstract class MaskedLayer extends UnaryLayer {
  protected abstract transformMasked(x: tf.Tensor, mask: tf.Tensor | undefined, options: CallOptions): readonly tf.Tensor[];

  /** Shapes of the outputs for the shape of x. */
  protected outputShapesFor(inputShape: Shape): readonly Shape[] {
    return [this.computeOutputShape(inputShape)];
  }

  override inputDTypeAt(index: number): LayerDType {
    return index === 1 ? 'bool' : this.inputDType;
  }

  override isFlexible(axis: number, _rank: number): boolean {
    return axis === 0;
  }

  /** Checks [N, T, C]. @throws E_SHAPE */
  protected checkSequence(inputShape: Shape): [number, number] {
    if (inputShape.length !== 2) throw this.shapeError('wrong input shape', '[N, T, C]', formatBatchShape(inputShape));
    return inputShape as [number, number];
  }

  protected override computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    const [x, mask] = inputShapes;
    if (x === undefined || inputShapes.length > 2)
      throw this.shapeError('wrong number of inputs', '1 or 2', String(inputShapes.length));
    const shapes = this.outputShapesFor(x);
    if (mask !== undefined && (mask.length !== 1 || mask[0] !== x[0]))
      throw this.shapeError('wrong shape of the mask', `[N, ${x[0]}]`, formatBatchShape(mask));
    return shapes;
  }

  protected override forward(inputs: readonly tf.Tensor[], options: CallOptions): readonly tf.Tensor[] {
    return this.transformMasked(inputs[0] as tf.Tensor, inputs[1], options);
  }

  protected override transform(x: tf.Tensor, options: CallOptions): tf.Tensor {
    return this.transformMasked(x, undefined, options)[0] as tf.Tensor;
  }
}
