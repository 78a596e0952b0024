/** Small TensorFlow graphs as tfjs-converter reads them: JSON topology and weights, written by hand. */
import * as tf from '@tensorflow/tfjs-core';
import { numbers } from './stock-comparison.js';

type DType = 'DT_FLOAT' | 'DT_INT32' | 'DT_STRING' | 'DT_BOOL' | 'DT_RESOURCE' | 'DT_VARIANT';
/** An attribute as GraphDef's JSON form has it: integers as text, strings in base64. */
type Attribute = Readonly<Record<string, unknown>>;
type Attributes = Readonly<Record<string, Attribute>>;

interface NodeDef {
  readonly name: string;
  readonly op: string;
  readonly input: readonly string[];
  readonly attr: Attributes;
}

const type = (dtype: DType): Attribute => ({ type: dtype });
const integer = (value: number): Attribute => ({ i: String(value) });
const integers = (...values: number[]): Attribute => ({ list: { i: values.map(String) } });
const float = (value: number): Attribute => ({ f: value });
const flag = (value: boolean): Attribute => ({ b: value });
const base64 = (value: string): string => Buffer.from(value).toString('base64');
const text = (value: string): Attribute => ({ s: base64(value) });
const texts = (...values: string[]): Attribute => ({ list: { s: values.map(base64) } });
const func = (name: string): Attribute => ({ func: { name } });
const FLOAT: Attributes = { T: type('DT_FLOAT') };

type Values = Float32Array | readonly number[] | readonly string[];

class Graph {
  readonly nodes: NodeDef[] = [];
  readonly functions: object[] = [];
  readonly #specs: tf.io.WeightsManifestEntry[] = [];
  readonly #data: Uint8Array[] = [];

  /** @returns the name, for use as an input */
  node(name: string, op: string, input: readonly string[] = [], attr: Attributes = {}): string {
    this.nodes.push({ name, op, input, attr });
    return name;
  }

  input(name: string, shape: readonly number[], dtype: DType = 'DT_FLOAT'): string {
    const dim = shape.map((size) => ({ size: String(size) }));
    return this.node(name, 'Placeholder', [], { dtype: type(dtype), shape: { shape: { dim } } });
  }

  /** A Const node; its value is kept among the weights, as the converter writes it. */
  constant(name: string, values: Values, shape: readonly number[], dtype: DType = 'DT_FLOAT'): string {
    this.nodes.push(this.constantNode(name, values, shape, dtype));
    return name;
  }

  /** The same for the body of a function, whose nodes are kept elsewhere. */
  constantNode(name: string, values: Values, shape: readonly number[], dtype: DType = 'DT_FLOAT'): NodeDef {
    const weightType = dtype === 'DT_FLOAT' ? 'float32' : dtype === 'DT_INT32' ? 'int32' : 'string';
    this.#specs.push({ name, shape: [...shape], dtype: weightType });
    this.#data.push(encode(values, weightType));
    return { name, op: 'Const', input: [], attr: { dtype: type(dtype) } };
  }

  /** A library function of one-letter argument types; `results` maps output names to nodes. */
  function(
    name: string,
    args: Readonly<Record<string, DType>>,
    nodeDef: NodeDef[],
    results: Record<string, [string, DType]>,
  ): void {
    const argument = ([key, dtype]: [string, DType]): object => ({ name: key, type: dtype });
    const outputs = Object.entries(results);
    this.functions.push({
      signature: {
        name,
        inputArg: Object.entries(args).map(argument),
        outputArg: outputs.map(([key, [, dtype]]) => argument([key, dtype])),
      },
      nodeDef,
      ret: Object.fromEntries(outputs.map(([key, [source]]) => [key, source])),
    });
  }

  artifacts(more: Partial<tf.io.ModelArtifacts> = {}): tf.io.ModelArtifacts {
    const topology = { node: this.nodes, library: { function: this.functions }, versions: { producer: 1087, minConsumer: 12 } };
    return {
      // What is written to disk is text, so the graph must survive that too.
      modelTopology: JSON.parse(JSON.stringify(topology)) as object,
      format: 'graph-model',
      weightSpecs: this.#specs,
      weightData: Uint8Array.from(Buffer.concat(this.#data)).buffer,
      ...more,
    };
  }
}

/** Bytes of a weight in tfjs's binary form; strings carry a length of four bytes each. */
function encode(values: Values, dtype: 'float32' | 'int32' | 'string'): Uint8Array {
  if (dtype === 'string') {
    const parts = [...(values as readonly string[])].flatMap((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(Buffer.byteLength(value));
      return [length, Buffer.from(value)];
    });
    return Buffer.concat(parts);
  }
  const list = values as ArrayLike<number>;
  const array = dtype === 'float32' ? Float32Array.from(list) : Int32Array.from(list);
  return new Uint8Array(array.buffer);
}

export interface GraphCase {
  readonly name: string;
  readonly artifacts: () => tf.io.ModelArtifacts;
  /** Made anew for each backend. */
  readonly inputs: () => tf.NamedTensorMap;
  readonly outputs: readonly string[];
  /** Whether it holds control flow or ops of data-dependent shape, which only executeAsync runs. */
  readonly isAsync?: true;
}

function image(shape: [number, number, number, number]): tf.Tensor {
  return tf.tensor4d(numbers(tf.util.sizeFromShape(shape), 3), shape);
}

function mlp(): tf.io.ModelArtifacts {
  const g = new Graph();
  g.input('x', [-1, 5]);
  g.constant('w1', numbers(40, 1), [5, 8]);
  g.constant('b1', numbers(8, 2), [8]);
  g.node('product', 'MatMul', ['x', 'w1'], { ...FLOAT, transpose_a: flag(false), transpose_b: flag(false) });
  g.node('biased', 'BiasAdd', ['product', 'b1'], { ...FLOAT, data_format: text('NHWC') });
  g.node('hidden', 'Relu', ['biased'], FLOAT);
  g.constant('w2', numbers(24, 3), [8, 3]);
  g.constant('b2', numbers(3, 4), [3]);
  g.node('fused', '_FusedMatMul', ['hidden', 'w2', 'b2'], {
    ...FLOAT,
    transpose_a: flag(false),
    transpose_b: flag(false),
    fused_ops: texts('BiasAdd', 'Elu'),
    num_args: integer(1),
    epsilon: float(0),
  });
  g.node('probabilities', 'Softmax', ['fused'], FLOAT);
  g.constant('axis', [1], [], 'DT_INT32');
  g.node('class', 'ArgMax', ['probabilities', 'axis'], { ...FLOAT, output_type: type('DT_INT32') });
  return g.artifacts();
}

function convolutions(): tf.io.ModelArtifacts {
  const g = new Graph();
  const window = (stride: number, padding: string): Attributes => ({
    ...FLOAT,
    strides: integers(1, stride, stride, 1),
    dilations: integers(1, 1, 1, 1),
    padding: text(padding),
    data_format: text('NHWC'),
  });
  g.input('x', [-1, 9, 8, 3]);
  g.constant('filter', numbers(3 * 3 * 3 * 4, 1), [3, 3, 3, 4]);
  g.node('conv', 'Conv2D', ['x', 'filter'], window(1, 'SAME'));
  const statistics = ['gain', 'offset', 'mean', 'variance'].map(
    (name, index) =>
    g.constant(name, numbers(4, 5 + index).map((v) => (name === 'variance' ? 1 + v / 2 : v)), [4]), // prettier-ignore
  );
  g.node('norm', 'FusedBatchNormV3', ['conv', ...statistics], {
    ...FLOAT,
    epsilon: float(0.001),
    is_training: flag(false),
    data_format: text('NHWC'),
  });
  g.node('relu', 'Relu6', ['norm'], FLOAT);
  g.node('pool', 'MaxPool', ['relu'], { ...window(2, 'VALID'), ksize: integers(1, 2, 2, 1) });
  g.constant('depthwiseFilter', numbers(3 * 3 * 4 * 2, 9), [3, 3, 4, 2]);
  g.constant('depthwiseBias', numbers(8, 10), [8]);
  g.node('depthwise', 'FusedDepthwiseConv2dNative', ['pool', 'depthwiseFilter', 'depthwiseBias'], {
    ...window(1, 'SAME'),
    fused_ops: texts('BiasAdd', 'Relu6'),
    num_args: integer(1),
  });
  g.constant('pointwise', numbers(8 * 5, 11), [1, 1, 8, 5]);
  g.constant('pointwiseBias', numbers(5, 12), [5]);
  g.node('fusedConv', '_FusedConv2D', ['depthwise', 'pointwise', 'pointwiseBias'], {
    ...window(1, 'VALID'),
    fused_ops: texts('BiasAdd', 'Relu'),
    num_args: integer(1),
    epsilon: float(0),
  });
  g.node('average', 'AvgPool', ['fusedConv'], { ...window(1, 'VALID'), ksize: integers(1, 2, 2, 1) });
  g.constant('spatial', [1, 2], [2], 'DT_INT32');
  g.node('features', 'Mean', ['average', 'spatial'], { ...FLOAT, Tidx: type('DT_INT32'), keep_dims: flag(false) });
  g.constant('newSize', [5, 7], [2], 'DT_INT32');
  g.node('resized', 'ResizeBilinear', ['fusedConv', 'newSize'], { align_corners: flag(false), half_pixel_centers: flag(true) });
  return g.artifacts();
}

/** If x's sum is positive, 2 x, else x - 1; then doubles until the sum of squares exceeds 100. */
function functionalControlFlow(): tf.io.ModelArtifacts {
  const g = new Graph();
  g.input('x', [-1]);
  g.constant('zero', [0], []);
  g.constant('all', [0], [1], 'DT_INT32');
  g.node('sum', 'Sum', ['x', 'all'], { ...FLOAT, keep_dims: flag(false) });
  g.node('isPositive', 'Greater', ['sum', 'zero'], FLOAT);
  const one: Record<string, [string, DType]> = { out: ['result:0', 'DT_FLOAT'] };
  g.function('twice', { v: 'DT_FLOAT' }, [{ name: 'result', op: 'AddV2', input: ['v', 'v'], attr: FLOAT }], one);
  g.function(
    'lessOne',
    { v: 'DT_FLOAT' },
    [g.constantNode('one', [1], []), { name: 'result', op: 'Sub', input: ['v', 'one:output:0'], attr: FLOAT }],
    one,
  );
  g.node('chosen', 'StatelessIf', ['isPositive', 'x'], { then_branch: func('twice'), else_branch: func('lessOne') });
  g.function(
    'isSmall',
    { v: 'DT_FLOAT', n: 'DT_INT32' },
    [
      g.constantNode('everything', [0], [1], 'DT_INT32'),
      g.constantNode('limit', [100], []),
      { name: 'square', op: 'Mul', input: ['v', 'v'], attr: FLOAT },
      { name: 'squares', op: 'Sum', input: ['square:z:0', 'everything:output:0'], attr: { ...FLOAT, keep_dims: flag(false) } },
      { name: 'result', op: 'Less', input: ['squares:output:0', 'limit:output:0'], attr: FLOAT },
    ],
    { out: ['result:z:0', 'DT_BOOL'] },
  );
  g.function(
    'grow',
    { v: 'DT_FLOAT', n: 'DT_INT32' },
    [
      g.constantNode('step', [1], [], 'DT_INT32'),
      { name: 'doubled', op: 'AddV2', input: ['v', 'v'], attr: FLOAT },
      { name: 'counted', op: 'AddV2', input: ['n', 'step:output:0'], attr: { T: type('DT_INT32') } },
    ],
    { v: ['doubled:z:0', 'DT_FLOAT'], n: ['counted:z:0', 'DT_INT32'] },
  );
  g.constant('start', [0], [], 'DT_INT32');
  g.node('loop', 'StatelessWhile', ['chosen', 'start'], { cond: func('isSmall'), body: func('grow') });
  g.node('grown', 'Identity', ['loop'], FLOAT);
  g.node('rounds', 'Identity', ['loop:1'], { T: type('DT_INT32') });
  return g.artifacts();
}

/** Control flow of TensorFlow 1: adds 1 to a number ten times; a Switch sends it through one of two branches. */
function dataflowControlFlow(): tf.io.ModelArtifacts {
  const g = new Graph();
  const frame: Attributes = { ...FLOAT, frame_name: text('while'), is_constant: flag(false) };
  g.input('x', []);
  g.constant('one', [1], []);
  g.constant('ten', [10], []);
  g.node('enter', 'Enter', ['x'], frame);
  g.node('enterOne', 'Enter', ['one'], { ...frame, is_constant: flag(true) });
  g.node('enterTen', 'Enter', ['ten'], { ...frame, is_constant: flag(true) });
  g.node('merge', 'Merge', ['enter', 'next'], FLOAT);
  g.node('less', 'Less', ['merge', 'enterTen'], FLOAT);
  g.node('condition', 'LoopCond', ['less']);
  g.node('switch', 'Switch', ['merge', 'condition'], FLOAT);
  g.node('body', 'Identity', ['switch:1'], FLOAT);
  g.node('added', 'AddV2', ['body', 'enterOne'], FLOAT);
  g.node('next', 'NextIteration', ['added'], FLOAT);
  g.node('exit', 'Exit', ['switch'], FLOAT);
  g.node('isBig', 'Greater', ['x', 'one'], FLOAT);
  g.node('branch', 'Switch', ['exit', 'isBig'], FLOAT);
  g.node('negated', 'Neg', ['branch'], FLOAT);
  g.node('squared', 'Square', ['branch:1'], FLOAT);
  g.node('joined', 'Merge', ['negated', 'squared'], FLOAT);
  return g.artifacts();
}

function detection(): tf.io.ModelArtifacts {
  const g = new Graph();
  g.input('boxes', [-1, 4]);
  g.input('scores', [-1]);
  g.constant('count', [4], [], 'DT_INT32');
  g.constant('overlap', [0.4], []);
  g.constant('least', [0.1], []);
  g.constant('sigma', [0.5], []);
  g.constant('axis', [0], [], 'DT_INT32');
  g.node('kept', 'NonMaxSuppressionV5', ['boxes', 'scores', 'count', 'overlap', 'least', 'sigma'], FLOAT);
  g.node('keptScores', 'Identity', ['kept:1'], FLOAT);
  g.node('keptBoxes', 'GatherV2', ['boxes', 'kept', 'axis'], { Tparams: type('DT_FLOAT'), Tindices: type('DT_INT32') });
  g.node('hard', 'NonMaxSuppressionV3', ['boxes', 'scores', 'count', 'overlap', 'least'], FLOAT);
  g.node('padded', 'NonMaxSuppressionV4', ['boxes', 'scores', 'count', 'overlap', 'least'], {
    ...FLOAT,
    pad_to_max_output_size: flag(true),
  });
  g.node('isGood', 'Greater', ['scores', 'least'], FLOAT);
  g.node('where', 'Where', ['isGood'], { T: type('DT_BOOL') });
  g.constant('k', [3], [], 'DT_INT32');
  g.node('best', 'TopKV2', ['scores', 'k'], { ...FLOAT, sorted: flag(true) });
  g.node('bestIndices', 'Identity', ['best:1'], { T: type('DT_INT32') });
  return g.artifacts();
}

function tensorLists(): tf.io.ModelArtifacts {
  const g = new Graph();
  const element: Attributes = { element_dtype: type('DT_FLOAT') };
  g.input('x', [4, 3]);
  g.constant('elementShape', [3], [1], 'DT_INT32');
  g.constant('two', [2], [], 'DT_INT32');
  g.constant('zero', [0], [], 'DT_INT32');
  g.constant('one', [1], [], 'DT_INT32');
  g.node('split', 'TensorListFromTensor', ['x', 'elementShape'], element);
  g.node('third', 'TensorListGetItem', ['split', 'two', 'elementShape'], element);
  g.node('first', 'TensorListGetItem', ['split', 'zero', 'elementShape'], element);
  g.node('reserved', 'TensorListReserve', ['elementShape', 'two'], element);
  g.node('withFirst', 'TensorListSetItem', ['reserved', 'zero', 'third'], element);
  g.node('withBoth', 'TensorListSetItem', ['withFirst', 'one', 'first'], element);
  g.node('stacked', 'TensorListStack', ['withBoth', 'elementShape'], { ...element, num_elements: integer(2) });
  g.constant('picks', [3, 1], [2], 'DT_INT32');
  g.node('gathered', 'TensorListGather', ['split', 'picks', 'elementShape'], element);
  g.node('length', 'TensorListLength', ['split']);
  return g.artifacts();
}

function strings(): tf.io.ModelArtifacts {
  const g = new Graph();
  g.input('text', [-1], 'DT_STRING');
  g.constant('space', [' '], [], 'DT_STRING');
  g.node('clean', 'StaticRegexReplace', ['text'], { pattern: text('[,.!]'), rewrite: text(' '), replace_global: flag(true) });
  g.node('split', 'StringSplit', ['clean', 'space'], { skip_empty: flag(true) });
  g.node('words', 'Identity', ['split:1'], { T: type('DT_STRING') });
  g.node('where', 'Identity', ['split'], { T: type('DT_INT32') });
  g.node('bucket', 'StringToHashBucketFast', ['split:1'], { num_buckets: integer(11) });
  g.constant('splits', [0, 4, 6], [3], 'DT_INT32');
  g.node('ngrams', 'StringNGrams', ['split:1', 'splits'], {
    separator: text('_'),
    ngram_widths: integers(1, 2),
    left_pad: text('<'),
    right_pad: text('>'),
    pad_width: integer(1),
    preserve_short_sequences: flag(false),
  });
  return g.artifacts();
}

/** A vocabulary: words to numbers, with -1 for unknown words; filled by the model's initializer. */
function hashTable(): tf.io.ModelArtifacts {
  const g = new Graph();
  const table: Attributes = { shared_name: text('vocabulary'), key_dtype: type('DT_STRING'), value_dtype: type('DT_FLOAT') };
  const types: Attributes = { Tin: type('DT_STRING'), Tout: type('DT_FLOAT') };
  g.input('word', [-1], 'DT_STRING');
  g.constant('unknown', [-1], []);
  g.node('table', 'HashTableV2', [], table);
  g.node('found', 'LookupTableFindV2', ['table', 'word', 'unknown'], types);
  g.node('size', 'LookupTableSizeV2', ['table']);
  const initializer = new Graph();
  initializer.node('table', 'HashTableV2', [], table);
  initializer.nodes.push(g.constantNode('keys', ['red', 'green', 'blue'], [3], 'DT_STRING'));
  initializer.nodes.push(g.constantNode('values', [10, 20, 30], [3]));
  initializer.node('import', 'LookupTableImportV2', ['table', 'keys', 'values'], types);
  return g.artifacts({
    modelInitializer: { node: initializer.nodes, versions: { producer: 1087 } },
    initializerSignature: { outputs: { import: { name: 'import', dtype: 'DT_RESOURCE' } } },
  });
}

const words = (...list: string[]): tf.Tensor => tf.tensor1d(list, 'string');

export const GRAPHS: readonly GraphCase[] = [
  {
    name: 'multi-layer perceptron',
    artifacts: mlp,
    inputs: () => ({ x: tf.tensor2d(numbers(30, 7), [6, 5]) }),
    outputs: ['probabilities', 'class', 'hidden'],
  },
  {
    name: 'convolutional net with normalization and fused convolutions',
    artifacts: convolutions,
    inputs: () => ({ x: image([2, 9, 8, 3]) }),
    outputs: ['features', 'resized'],
  },
  ...[1, -1].map((sign) => ({
    name: `If and While, sum ${sign > 0 ? 'above' : 'below'} zero`,
    artifacts: functionalControlFlow,
    inputs: () => ({ x: tf.tensor1d([0.5 * sign, 1.5 * sign, 0.25]) }),
    outputs: ['grown', 'rounds'],
    isAsync: true as const,
  })),
  ...[3.5, 0.5].map((x) => ({
    name: `control flow of TensorFlow 1 from ${String(x)}`,
    artifacts: dataflowControlFlow,
    inputs: () => ({ x: tf.scalar(x) }),
    outputs: ['exit', 'joined'],
    isAsync: true as const,
  })),
  {
    name: 'detection: non-max suppression, where, top-k',
    artifacts: detection,
    inputs: () => ({
      boxes: tf.tensor2d([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 0.6, 1, 1.6], [2, 2, 3, 3], [2, 2.05, 3, 3.05], [5, 5, 6, 6]]), // prettier-ignore
      scores: tf.tensor1d([0.9, 0.75, 0.6, 0.95, 0.5, 0.05]),
    }),
    outputs: ['kept', 'keptScores', 'keptBoxes', 'hard', 'padded', 'where', 'best', 'bestIndices'],
    isAsync: true,
  },
  {
    name: 'tensor lists',
    artifacts: tensorLists,
    inputs: () => ({ x: tf.tensor2d(numbers(12, 8), [4, 3]) }),
    outputs: ['stacked', 'gathered', 'length'],
    isAsync: true,
  },
  {
    name: 'strings',
    artifacts: strings,
    inputs: () => ({ text: words('The quick, brown fox!', 'jumps. over') }),
    outputs: ['words', 'where', 'bucket', 'ngrams'],
  },
  {
    name: 'hash table with an initializer',
    artifacts: hashTable,
    inputs: () => ({ word: words('blue', 'pink', 'red') }),
    outputs: ['found', 'size'],
    isAsync: true,
  },
];
