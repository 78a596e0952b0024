/** Which axes of a model's inputs and outputs may have any length: sequences, where no layer on their way depends on it. */
import { isSameShape, shapeOf, type GraphInput, type ModelGraph, type ValueSource } from './model-graph.js';

/** Shapes with a name in place of a size that is free. */
export interface FreeShapes {
  /** By the name of the input. */
  readonly inputs: ReadonlyMap<string, readonly (number | string)[]>;
  readonly outputs: readonly (readonly (number | string)[])[];
  /** By name: the length the model was built for, and another one that it takes. */
  readonly lengths: ReadonlyMap<string, { readonly own: number; readonly other: number }>;
}

type Shape = readonly number[];

/**
 * Inputs that are sequences are [T] of tokens or of a mask, and [T, C]. Those of one length share a name: T, T_1, ...
 *
 * Found out by asking every layer what it would make of another length; a model that is plain data has fixed lengths.
 */
export function freeShapes(graph: ModelGraph): FreeShapes {
  const lengths = new Set(graph.inputs.filter(isSequence).map(({ shape }) => shape[0] as number));
  const inputs = new Map<string, (number | string)[]>(graph.inputs.map(({ name, shape }) => [name, [...shape]]));
  const outputs = graph.outputs.map((output): (number | string)[] => [...shapeOf(graph, output)]);
  const found = new Map<string, { own: number; other: number }>();
  for (const own of lengths) {
    // One less where the model has an upper limit, one more where a window needs its places.
    const other = [own - 1, own + 1].find((size) => size > 0 && runWith(graph, own, size) !== undefined);
    if (other === undefined) continue;
    const symbol = found.size === 0 ? 'T' : `T_${found.size}`;
    found.set(symbol, { own, other });
    for (const input of graph.inputs) {
      if (isSequence(input) && input.shape[0] === own) (inputs.get(input.name) as (number | string)[])[0] = symbol;
    }
    (runWith(graph, own, other) as readonly Shape[]).forEach((shape, index) => {
      const named = outputs[index] as (number | string)[];
      shape.forEach((size, axis) => {
        // A length that only follows from the input's has a name of its own.
        if (size !== named[axis]) named[axis] = size === other && named[axis] === own ? symbol : `${symbol}_out`;
      });
    });
  }
  return { inputs, outputs, lengths: found };
}

export function isSequence({ shape, dtype }: GraphInput): boolean {
  return shape.length === 2 ? dtype === 'float32' : shape.length === 1 && dtype !== 'float32';
}

/** Shapes of the outputs when sequences of one length have another; undefined when a layer does not allow that. */
function runWith(graph: ModelGraph, length: number, other: number): readonly Shape[] | undefined {
  const values: (readonly Shape[])[] = [];
  const read = (source: ValueSource): Shape => {
    if (!('input' in source)) return values[source.call]?.[source.output] ?? [];
    const input = graph.inputs.find(({ name }) => name === source.input) as GraphInput;
    return isSequence(input) && input.shape[0] === length ? [other, ...input.shape.slice(1)] : input.shape;
  };
  for (const call of graph.calls) {
    const shapes = call.inputs.map(read);
    if (shapes.every((shape, index) => isSameShape(shape, call.inputShapes[index] ?? []))) {
      values.push(call.outputShapes);
      continue;
    }
    const outputs = infer(call, shapes);
    if (outputs === undefined) return undefined;
    values.push(outputs);
  }
  return graph.outputs.map(read);
}

function infer(call: ModelGraph['calls'][number], shapes: readonly Shape[]): readonly Shape[] | undefined {
  const [first = [], second = []] = shapes;
  const row = call.outputShapes[0] ?? [];
  switch (call.type) {
    case 'time_in':
      return isSameShape(first.slice(1), row) ? [row] : undefined;
    case 'time_out':
      return [[second[0] as number, ...first]];
    default:
  }
  const { layer } = call;
  // What ends a residual branch has no layer, and keeps the shape of its inputs.
  if (layer === undefined)
    return ['add', 'activation'].includes(call.type) && shapes.every((shape) => isSameShape(shape, first))
      ? [first]
      : undefined;
  const isAllowed = shapes.every((shape, index) =>
    shape.every((size, axis) => size === call.inputShapes[index]?.[axis] || layer.isFlexible(axis, shape.length)),
  );
  if (!isAllowed) return undefined;
  try {
    return layer.inferOutputShapes(shapes);
  } catch {
    return undefined;
  }
}
