import type { Shape } from './shape.js';
import { formatBatchShape } from './shape.js';
import { ConfiguredLayer } from './simple-layer.js';
import { INPUT_FORMS } from './sliding.js';

/** Layers over [N, ..., C] of a fixed number of places' axes. */
export abstract class Placed extends ConfiguredLayer {
  protected checkRank(inputShape: Shape, rank: number): void {
    if (inputShape.length !== rank + 1)
      throw this.shapeError('wrong input shape', INPUT_FORMS[rank] as string, formatBatchShape(inputShape));
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis < rank - 1;
  }
}
