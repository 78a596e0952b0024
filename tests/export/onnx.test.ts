import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fromBinary } from '@bufbuild/protobuf';
import * as ort from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildOnnx, exportOnnx } from '../../ts/export/onnx.js';
import { ModelProtoSchema, type ModelProto } from '../../ts/export/proto/onnx_pb.js';
import { verifyOnnx } from '../../ts/export/verify-onnx.js';
import type { ModelDescription } from '../../ts/nn/description.js';
import { describeModel, productOf, randomSource, randomValues, type LayerSketch } from '../support/describe-model.js';
import { runReference } from '../support/reference-layers.js';

ort.env.wasm.numThreads = 1;

// float32 against double precision: at most a few hundred products are summed, each rounded by 6e-8 of its size.
const TOLERANCE = 1e-5;

const VECTOR = [5];
const IMAGE = [7, 6, 3];

const ACTIVATIONS = ['linear', 'relu', 'relu6', 'elu', 'selu', 'leaky_relu', 'sigmoid', 'tanh', 'softmax', 'softplus', 'gelu'];

function conv(outputShape: number[], kernelShape: number[], config: Record<string, unknown>): LayerSketch {
  return {
    type: 'conv2d',
    config: { kernelSize: kernelShape.slice(0, 2), ...config },
    weightShapes: { kernel: kernelShape, bias: [kernelShape[3]!] },
    outputShape,
  };
}

function dense(inputs: number, units: number, config: Record<string, unknown> = {}): LayerSketch {
  return { type: 'dense', config, weightShapes: { kernel: [inputs, units], bias: [units] }, outputShape: [units] };
}

const CASES: [string, number[], LayerSketch[]][] = [
  ['dense', VECTOR, [dense(5, 4)]],
  ['dense without bias', VECTOR, [{ type: 'dense', weightShapes: { kernel: [5, 4] }, outputShape: [4] }]],
  ['dense over the last axis', [3, 5], [{ type: 'dense', weightShapes: { kernel: [5, 2], bias: [2] }, outputShape: [3, 2] }]],
  [
    'dense over the channels of an image',
    IMAGE,
    [
      conv([7, 6, 4], [3, 3, 3, 4], { padding: 'same' }),
      { type: 'dense', weightShapes: { kernel: [4, 2] }, outputShape: [7, 6, 2] },
    ],
  ],
  ['conv2d valid', IMAGE, [conv([5, 5, 4], [3, 2, 3, 4], { padding: 'valid', activation: 'relu' })]],
  ['conv2d same, even kernel: odd padding at bottom and right', IMAGE, [conv([7, 6, 4], [2, 4, 3, 4], { padding: 'same' })]],
  [
    'conv2d same with strides: one row more at the bottom',
    [8, 6, 3],
    [conv([4, 3, 2], [3, 3, 3, 2], { padding: 'same', strides: [2, 2] })],
  ],
  ['conv2d valid with unequal strides', IMAGE, [conv([3, 2, 2], [3, 2, 3, 2], { padding: 'valid', strides: [2, 3] })]],
  ['conv2d same, dilated', IMAGE, [conv([7, 6, 2], [3, 2, 3, 2], { padding: 'same', dilations: [2, 3] })]],
  ['conv2d one number for both axes', IMAGE, [conv([3, 2, 2], [3, 3, 3, 2], { kernelSize: 3, strides: 2 })]],
  [
    'conv2d without bias',
    IMAGE,
    [{ type: 'conv2d', config: { kernelSize: [1, 1] }, weightShapes: { kernel: [1, 1, 3, 2] }, outputShape: [7, 6, 2] }],
  ],
  ['max_pool2d valid', IMAGE, [{ type: 'max_pool2d', config: { poolSize: [2, 2], padding: 'valid' }, outputShape: [3, 3, 3] }]],
  [
    'max_pool2d same, overlapping',
    IMAGE,
    [{ type: 'max_pool2d', config: { poolSize: [3, 2], strides: [2, 1], padding: 'same' }, outputShape: [4, 6, 3] }],
  ],
  [
    'avg_pool2d valid',
    IMAGE,
    [{ type: 'avg_pool2d', config: { poolSize: [2, 3], strides: [1, 2], padding: 'valid' }, outputShape: [6, 2, 3] }],
  ],
  [
    'avg_pool2d same: padding does not count',
    IMAGE,
    [{ type: 'avg_pool2d', config: { poolSize: [3, 4], strides: [2, 2], padding: 'same' }, outputShape: [4, 3, 3] }],
  ],
  ['flatten of an image', IMAGE, [{ type: 'flatten', outputShape: [126] }]],
  [
    'flatten behind a convolution, channels last',
    IMAGE,
    [conv([5, 4, 2], [3, 3, 3, 2], {}), { type: 'flatten', outputShape: [40] }, dense(40, 3)],
  ],
  ['dropout', VECTOR, [{ type: 'dropout', config: { rate: 0.5 }, outputShape: VECTOR }]],
  [
    'a small LeNet',
    [12, 12, 1],
    [
      conv([12, 12, 4], [5, 5, 1, 4], { padding: 'same', activation: 'relu' }),
      { type: 'max_pool2d', config: { poolSize: [2, 2] }, outputShape: [6, 6, 4] },
      conv([2, 2, 6], [5, 5, 4, 6], { activation: 'tanh' }),
      { type: 'avg_pool2d', config: { poolSize: [2, 2] }, outputShape: [1, 1, 6] },
      { type: 'flatten', outputShape: [6] },
      { type: 'dropout', config: { rate: 0.25 }, outputShape: [6] },
      dense(6, 5, { activation: 'gelu' }),
      dense(5, 3, { activation: 'softmax' }),
    ],
  ],
  ...ACTIVATIONS.map((activation): [string, number[], LayerSketch[]] => [
    `activation ${activation}`,
    VECTOR,
    [{ type: 'activation', config: { activation }, outputShape: VECTOR }],
  ]),
  [
    'activation elu with alpha',
    VECTOR,
    [{ type: 'activation', config: { activation: 'elu', alpha: 0.3 }, outputShape: VECTOR }],
  ],
  [
    'activation leaky_relu with alpha',
    VECTOR,
    [{ type: 'activation', config: { activation: 'leaky_relu', alpha: 0.05 }, outputShape: VECTOR }],
  ],
  ['softmax over the channels of a convolution', IMAGE, [conv([5, 4, 3], [3, 3, 3, 3], { activation: 'softmax' })]],
  ['softmax as a layer on an image', IMAGE, [{ type: 'activation', config: { activation: 'softmax' }, outputShape: IMAGE }]],
  ['an image through and out: channels last on both sides', IMAGE, [conv([7, 6, 2], [1, 1, 3, 2], {})]],
];

async function runOnnx(bytes: Uint8Array, features: Float32Array, dims: number[]): Promise<ort.Tensor> {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] });
  const outputs = await session.run({ [session.inputNames[0]!]: new ort.Tensor('float32', features, dims) });
  const output = outputs[session.outputNames[0]!]!;
  await session.release();
  return output;
}

function decode(bytes: Uint8Array): ModelProto {
  return fromBinary(ModelProtoSchema, bytes);
}

function opTypes(model: ModelDescription): string[] {
  return decode(buildOnnx(model)).graph!.node.map((node) => node.opType);
}

describe('exported layers against a double-precision reference', () => {
  for (const [name, inputShape, sketches] of CASES) {
    it(name, async () => {
      const model = describeModel(inputShape, sketches, 7);
      const bytes = buildOnnx(model);
      for (const rows of [1, 7]) {
        // Activations get values past the upper end of relu6 and into the flat ends of the others.
        const features = randomValues(randomSource(rows), rows * productOf(inputShape), name.startsWith('activation') ? 8 : 2);
        const output = await runOnnx(bytes, features, [rows, ...inputShape]);
        const expected = runReference(model, features, rows);
        expect(output.dims).toEqual([rows, ...model.outputShape]);
        expect(output.data.length).toBe(expected.length);
        const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
        expected.forEach((value, i) => {
          expect(Math.abs((output.data[i] as number) - value), `element ${i}`).toBeLessThanOrEqual(TOLERANCE * scale);
        });
      }
    });
  }
});

describe('the exported file', () => {
  const model = describeModel(VECTOR, [dense(5, 4, { activation: 'relu' }), dense(4, 2)]);

  it('declares opset 17, IR version 8, float32 tensors with a free batch dimension', () => {
    const proto = decode(buildOnnx(model, { modelName: 'birds', inputName: 'features', outputName: 'scores' }));
    expect(proto.irVersion).toBe(8n);
    expect(proto.opsetImport.map((entry) => [entry.domain, entry.version])).toEqual([['', 17n]]);
    expect(proto.producerName).toBe('tensorkiln');
    expect(proto.producerVersion).toMatch(/^\d+\.\d+\.\d+/);
    expect(proto.graph?.name).toBe('birds');
    const describeValue = (value: (typeof proto.graph & object)['input'][number]): unknown => {
      const type = value.type!.value;
      if (type.case !== 'tensorType') throw new Error('no tensor');
      return [value.name, type.value.elemType, type.value.shape!.dim.map((dim) => dim.value.value)];
    };
    expect(proto.graph!.input.map(describeValue)).toEqual([['features', 1, ['N', 5n]]]);
    expect(proto.graph!.output.map(describeValue)).toEqual([['scores', 1, ['N', 2n]]]);
  });

  it('keeps classes and metadata', () => {
    const proto = decode(buildOnnx(model, { classes: ['Adélie', 'Gentoo'], metadata: { seed: '3' } }));
    expect(Object.fromEntries(proto.metadataProps.map((entry) => [entry.key, entry.value]))).toEqual({
      seed: '3',
      classes: '["Adélie","Gentoo"]',
    });
  });

  it('stores weights little-endian and row-major', () => {
    const kernel = decode(buildOnnx(model)).graph!.initializer.find((tensor) => tensor.name === 'dense_0/kernel')!;
    const view = new DataView(kernel.rawData.buffer, kernel.rawData.byteOffset, kernel.rawData.byteLength);
    const values = Array.from({ length: 20 }, (_, i) => view.getFloat32(4 * i, true));
    expect(kernel.dims).toEqual([5n, 4n]);
    expect(values).toEqual([...model.layers[0]!.weights['kernel']!.data]);
  });

  it('reads a weight that is a view into a larger array', async () => {
    const whole = Float32Array.of(9, 9, 1, 2, 9);
    const layer = {
      type: 'dense',
      name: 'd',
      config: {},
      inputShape: [1],
      outputShape: [2],
      weights: { kernel: { shape: [1, 2], data: whole.subarray(2, 4) } },
    };
    const output = await runOnnx(buildOnnx({ inputShape: [1], outputShape: [2], layers: [layer] }), Float32Array.of(3), [1, 1]);
    expect([...(output.data as Float32Array)]).toEqual([3, 6]);
  });

  it('leaves dropout out and transposes once at each border of a chain of image layers', () => {
    const chain = describeModel(IMAGE, [
      conv([7, 6, 4], [3, 3, 3, 4], { padding: 'same', activation: 'relu' }),
      { type: 'max_pool2d', config: { poolSize: [2, 2] }, outputShape: [3, 3, 4] },
      { type: 'dropout', config: { rate: 0.5 }, outputShape: [3, 3, 4] },
      { type: 'activation', config: { activation: 'tanh' }, outputShape: [3, 3, 4] },
      { type: 'flatten', outputShape: [36] },
    ]);
    expect(opTypes(chain)).toEqual(['Transpose', 'Conv', 'Relu', 'MaxPool', 'Tanh', 'Transpose', 'Flatten']);
  });

  it('appends a softmax when asked', async () => {
    const features = randomValues(randomSource(3), 10);
    const output = await runOnnx(buildOnnx(model, { outputActivation: 'softmax' }), features, [2, 5]);
    const logits = runReference(model, features, 2);
    const [a, b] = [Math.exp(logits[2]!), Math.exp(logits[3]!)];
    expect(output.data[2]).toBeCloseTo(a / (a + b), 6);
    expect(output.data[3]).toBeCloseTo(b / (a + b), 6);
  });

  it('keeps names apart when layers share a name or take that of the input', async () => {
    const layers = model.layers.map((layer) => ({ ...layer, name: 'input' }));
    const features = randomValues(randomSource(4), 5);
    const output = await runOnnx(buildOnnx({ ...model, layers }), features, [1, 5]);
    expect(output.data[1]).toBeCloseTo(runReference(model, features, 1)[1]!, 5);
  });
});

describe('buildOnnx refuses', () => {
  const refusals: [string, () => ModelDescription, RegExp][] = [
    [
      'an unknown layer type',
      () => describeModel(VECTOR, [{ type: 'my_gate', outputShape: [5] }]),
      /'my_gate_0' \(my_gate\): this layer type cannot be expressed/,
    ],
    ['a type named like an object member', () => describeModel(VECTOR, [{ type: 'toString', outputShape: [5] }]), /toString/],
    [
      'an unknown activation',
      () => describeModel(VECTOR, [dense(5, 2, { activation: 'cube' })]),
      /'dense_0' .*activation "cube" cannot be expressed/,
    ],
    [
      'an unknown padding',
      () => describeModel(IMAGE, [conv([5, 4, 2], [3, 3, 3, 2], { padding: 'full' })]),
      /padding must be 'same' or 'valid', got "full"/,
    ],
    [
      'a stride of zero',
      () => describeModel(IMAGE, [conv([5, 4, 2], [3, 3, 3, 2], { strides: [0, 1] })]),
      /strides must be a positive integer/,
    ],
    [
      'a missing kernel size',
      () => describeModel(IMAGE, [conv([5, 4, 2], [3, 3, 3, 2], { kernelSize: undefined })]),
      /kernelSize must be/,
    ],
    [
      'a missing weight',
      () => describeModel(VECTOR, [{ type: 'dense', outputShape: [2] }]),
      /weight 'kernel' is missing: expected shape \[5,2\]/,
    ],
    [
      'a weight of the wrong shape',
      () => describeModel(VECTOR, [{ ...dense(4, 2), outputShape: [2] }]),
      /weight 'kernel' has the wrong size: expected \[5,2\], got \[4,2\]/,
    ],
    [
      'an output shape that the options do not give',
      () => describeModel(IMAGE, [conv([7, 6, 2], [3, 3, 3, 2], {})]),
      /give output shape \[5,4,2\], its description says \[7,6,2\]/,
    ],
    ['a convolution of rows', () => describeModel(VECTOR, [conv([5, 4, 2], [3, 3, 3, 2], {})]), /needs an image/],
    [
      'a window larger than the image',
      () => describeModel([2, 2, 1], [conv([1, 1, 1], [3, 3, 1, 1], {})]),
      /larger than the image/,
    ],
    [
      'layers that do not meet',
      () => {
        const model = describeModel(VECTOR, [dense(5, 2)]);
        return { ...model, inputShape: [6] };
      },
      /does not follow from what comes before it, \[6\]/,
    ],
    [
      'an alpha that is no number',
      () => describeModel(VECTOR, [dense(5, 2, { activation: 'elu', alpha: 'x' })]),
      /alpha must be a finite number/,
    ],
    [
      'a model output that the layers do not give',
      () => ({ ...describeModel(VECTOR, [dense(5, 2)]), outputShape: [3] }),
      /layers give output shape \[2\], the model says \[3\]/,
    ],
  ];
  for (const [name, make, message] of refusals) {
    it(name, () => {
      const call = (): unknown => buildOnnx(make());
      expect(call).toThrow(message);
      expect(call).toThrow(expect.objectContaining({ code: 'E_EXPORT' }));
    });
  }

  it('wrong options', () => {
    const model = describeModel(VECTOR, [dense(5, 2)]);
    expect(() => buildOnnx(model, { classes: ['a'] })).toThrow(/expected 2 for shape \[2\], got 1/);
    expect(() => buildOnnx(model, { inputName: 'x', outputName: 'x' })).toThrow(/input and output need different ones/);
    expect(() => buildOnnx(model, { modelName: '' })).toThrow(/must not be empty/);
  });
});

describe('verification and writing', () => {
  const model = describeModel(VECTOR, [dense(5, 4, { activation: 'relu' }), dense(4, 2)]);
  const features = randomValues(randomSource(5), 7 * 5);
  const outputs = Float32Array.from(runReference(model, features, 7));
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tensorkiln-onnx-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('writes the file once it agrees with the probe', async () => {
    const path = join(folder, 'new', 'model.onnx');
    const { bytes, verification } = await exportOnnx(model, { path, probe: { features, outputs } });
    expect(verification).toMatchObject({ verified: true, rows: 7 });
    expect(verification.verified && verification.largestError).toBeLessThan(1e-5);
    expect(new Uint8Array(readFileSync(path))).toEqual(bytes);
    expect(readdirSync(join(folder, 'new'))).toEqual(['model.onnx']);
  });

  it('leaves the file of before alone when the probe disagrees', async () => {
    const path = join(folder, 'kept.onnx');
    writeFileSync(path, 'before');
    const wrong = outputs.slice();
    wrong[3]! += 1e-3 * Math.abs(wrong[3]!) + 1e-3;
    await expect(exportOnnx(model, { path, probe: { features, outputs: wrong } })).rejects.toMatchObject({
      code: 'E_EXPORT',
      message: expect.stringMatching(/differs from the model in memory: expected at most 0\.0001/),
    });
    expect(readFileSync(path, 'utf8')).toBe('before');
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('counts a NaN on one side as a difference', async () => {
    const wrong = outputs.slice();
    wrong[0] = Number.NaN;
    await expect(verifyOnnx(buildOnnx(model), { features, outputs: wrong }, { inputShape: VECTOR })).rejects.toMatchObject({
      code: 'E_EXPORT',
    });
  });

  it('says so when there was no probe', async () => {
    const { verification } = await exportOnnx(model);
    expect(verification).toEqual({ verified: false, reason: 'no probe rows were given' });
  });

  it('refuses a probe that does not fit and bytes that are no model', async () => {
    const bytes = buildOnnx(model);
    await expect(verifyOnnx(bytes, { features: features.subarray(1), outputs }, { inputShape: VECTOR })).rejects.toMatchObject({
      code: 'E_SHAPE',
    });
    await expect(verifyOnnx(bytes, { features, outputs: outputs.subarray(1) }, { inputShape: VECTOR })).rejects.toMatchObject({
      code: 'E_SHAPE',
    });
    await expect(verifyOnnx(Uint8Array.of(1, 2, 3), { features, outputs }, { inputShape: VECTOR })).rejects.toMatchObject({
      code: 'E_EXPORT',
      message: expect.stringMatching(/onnxruntime-web cannot run the exported model/),
    });
  });

  it('names a path that cannot be written', async () => {
    const path = join(folder, 'file');
    writeFileSync(path, '');
    await expect(exportOnnx(model, { path: join(path, 'model.onnx') })).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringContaining(join(path, 'model.onnx')),
    });
  });
});
