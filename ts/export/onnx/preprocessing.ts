/** What a Preprocessor does to the columns of a table, as nodes of an ONNX graph. */
import { TensorkilnError } from '../../errors.js';
import type { ColumnEncoding, SavedPreprocessor } from '../../data/index.js';
import { TensorProto_DataType } from '../proto/onnx_pb.js';
import type { GraphValue, OnnxGraphBuilder } from './graph-builder.js';

/** A preprocessor that is to stand inside the exported model. */
export interface OnnxPreprocessing {
  readonly preprocessor: SavedPreprocessor;
  /** Texts that stand for a missing cell, as in the table: the empty one is among them or is a category like any other. */
  readonly naValues: readonly string[];
}

/** What images are scaled by, channel by channel: a byte v becomes (v / 255 - mean) / deviation. */
export interface OnnxImageScale {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** Adds the scaling of images behind an input of bytes [N, H, W, C]. */
export function writeImageScale(
  graph: OnnxGraphBuilder,
  input: string,
  shape: readonly number[],
  { mean, deviation }: OnnxImageScale,
): GraphValue {
  const node = 'preprocessing';
  const channels = [mean.length];
  // (v / 255 - mean) / deviation as one factor and one summand.
  const factors = Float32Array.from(deviation, (own) => 1 / (255 * own));
  const summands = Float32Array.from(deviation, (own, channel) => -(mean[channel] as number) / own);
  const numbers = graph.cast(`${node}/to_numbers`, input, TensorProto_DataType.FLOAT);
  const factor = graph.addConstant(`${node}/factor`, { shape: channels, data: factors });
  const summand = graph.addConstant(`${node}/summand`, { shape: channels, data: summands });
  const scaled = graph.addNode(`${node}/scale`, 'Mul', [numbers, factor]);
  return { name: graph.addNode(`${node}/shift`, 'Add', [scaled, summand]), shape, layout: 'rows', dtype: 'float32' };
}

/** An input of the graph: one column of the table, [N, 1]. */
export interface ColumnInput {
  readonly name: string;
  readonly type: 'float' | 'string';
}

/** Domain of the operators for classical machine learning; LabelEncoder maps texts to numbers. */
export const ML_DOMAIN = 'ai.onnx.ml';

type LookupEncoding = Exclude<ColumnEncoding, { kind: 'numeric' | 'hash' | 'date' | 'bag' | 'sequence' }>;

/**
 * The inputs that the columns become.
 *
 * @throws E_EXPORT naming a column whose encoding ONNX cannot express: dates, texts and hashed categories
 */
export function columnInputs({ preprocessor }: OnnxPreprocessing): readonly ColumnInput[] {
  return preprocessor.columns.map(({ name, kind }) => {
    if (kind === 'numeric') return { name, type: 'float' };
    if (kind === 'one_hot' || kind === 'label' || kind === 'target' || kind === 'boolean') return { name, type: 'string' };
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] column "${name}" (${kind}): this encoding cannot be expressed in ONNX: expected numeric, boolean, one_hot, label or ` +
        'target. Export without preprocessing and apply preprocessing.json beside the model.',
    );
  });
}

/** @throws E_EXPORT naming a column whose encoding ONNX cannot express */
export function checkOnnxPreprocessing(preprocessing: OnnxPreprocessing): void {
  columnInputs(preprocessing);
}

/** Adds imputation, encoding, scaling and principal components behind the inputs of the columns. */
export function writePreprocessing(
  graph: OnnxGraphBuilder,
  { preprocessor, naValues }: OnnxPreprocessing,
  width: number,
): GraphValue {
  const parts = preprocessor.columns.map((column) =>
    column.kind === 'numeric' ? writeNumeric(graph, column) : writeLookup(graph, column as LookupEncoding, naValues),
  );
  let name =
    parts.length === 1 ? (parts[0] as string) : graph.addNode('preprocessing/concat', 'Concat', parts, { axis: { int: 1 } });
  if (preprocessor.pca !== undefined) {
    const { mean, components } = preprocessor.pca;
    const centre = graph.addConstant('preprocessing/mean', { shape: [mean.length], data: Float32Array.from(mean) });
    const transposed = Float32Array.from(
      mean.flatMap((_, feature) => components.map((component) => component[feature] as number)),
    );
    const rotation = graph.addConstant('preprocessing/components', {
      shape: [mean.length, components.length],
      data: transposed,
    });
    const centred = graph.addNode('preprocessing/centre', 'Sub', [name, centre]);
    name = graph.addNode('preprocessing/rotate', 'MatMul', [centred, rotation]);
  }
  return { name, shape: [width], layout: 'rows', dtype: 'float32' };
}

/** (fill where missing - shift) / scale. */
function writeNumeric(graph: OnnxGraphBuilder, column: Extract<ColumnEncoding, { kind: 'numeric' }>): string {
  const node = `preprocessing/${column.name}`;
  const isMissing = graph.addNode(`${node}/is_missing`, 'IsNaN', [column.name]);
  const fill = graph.addScalar(`${node}/fill`, column.fill);
  const filled = graph.addNode(`${node}/impute`, 'Where', [isMissing, fill, column.name]);
  const centred = graph.addNode(`${node}/centre`, 'Sub', [filled, graph.addScalar(`${node}/shift`, column.shift)]);
  return graph.addNode(`${node}/scale`, 'Div', [centred, graph.addScalar(`${node}/deviation`, column.scale)]);
}

/** The row of a table that a text leads to; the last row is that of texts which no training row had. */
function writeLookup(graph: OnnxGraphBuilder, column: LookupEncoding, naValues: readonly string[]): string {
  const node = `preprocessing/${column.name}`;
  const { keys, rows, missing } = lookup(column);
  const unknown = rows.length - 1;
  const codes = new Map(keys);
  for (const spelling of naValues.map((text) => text.trim())) if (!codes.has(spelling)) codes.set(spelling, missing);
  const code = graph.addNode(
    `${node}/code`,
    'LabelEncoder',
    [column.name],
    {
      keys_strings: { strings: [...codes.keys()] },
      values_int64s: { ints: [...codes.values()] },
      default_int64: { int: unknown },
    },
    ML_DOMAIN,
  );
  const width = rows[0]?.length ?? 0;
  const table = graph.addConstant(`${node}/table`, { shape: [rows.length, width], data: Float32Array.from(rows.flat()) });
  const found = graph.addNode(`${node}/look_up`, 'Gather', [table, code], { axis: { int: 0 } });
  return graph.addNode(`${node}/flatten`, 'Flatten', [found], { axis: { int: 1 } });
}

function lookup(column: LookupEncoding): {
  readonly keys: readonly (readonly [string, number])[];
  readonly rows: readonly (readonly number[])[];
  readonly missing: number;
} {
  if (column.kind === 'boolean') {
    // A word counts in any case; its usual spellings are listed.
    const spellings = (word: string): string[] => [
      ...new Set([word, word.toLowerCase(), word.toUpperCase(), word.charAt(0).toUpperCase() + word.slice(1).toLowerCase()]),
    ];
    const keys = [
      ...column.falsy.flatMap((word) => spellings(word).map((spelling) => [spelling, 0] as const)),
      ...column.truthy.flatMap((word) => spellings(word).map((spelling) => [spelling, 1] as const)),
    ];
    return { keys, rows: [[0], [1], [column.fill]], missing: 2 };
  }
  const { categories, fill } = column;
  const keys = categories.map((category, index) => [category, index] as const);
  const place = categories.indexOf(fill);
  const missing = place < 0 ? categories.length : place;
  switch (column.kind) {
    case 'one_hot': {
      const rows = categories.map((_, index) => categories.map((__, other) => (index === other ? 1 : 0)));
      return { keys, rows: [...rows, categories.map(() => 0)], missing };
    }
    case 'label':
      return { keys, rows: [...categories.map((_, index) => [index + 1]), [0]], missing };
    case 'target':
      return { keys, rows: [...column.means, column.prior], missing };
  }
}
