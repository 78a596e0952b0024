/** Our models in stock tfjs-layers on the stock backend: what is exported must give the same outputs there. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as layers from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it, vi } from 'vitest';

import { buildTfjs, exportTfjs, type TfjsModel } from '../../ts/export/tfjs/model.js';
import { TFJS_LAYER_TYPES, TFJS_LIMITS, TFJS_REASONS } from '../../ts/export/tfjs/layers.js';
import * as nn from '../../ts/nn/index.js';
import { productOf, randomSource, randomValues } from '../support/describe-model.js';
import { LAYER_CASES, type LayerCase } from '../support/layer-cases.js';
import { graphOf, ZOO_CASES } from '../support/model-cases.js';
import { useNativeBackend } from '../support/native-backend.js';
import { scramble } from '../support/scramble.js';
import { runOn } from '../support/stock-comparison.js';

vi.mock('node:fs/promises', async (original) => {
  const own = await original<typeof fs>();
  return { ...own, rename: vi.fn(own.rename) };
});

beforeAll(() => useNativeBackend());

async function loadStock({ json, weights }: TfjsModel): Promise<layers.LayersModel> {
  const parsed = JSON.parse(JSON.stringify(json)) as tf.io.ModelJSON;
  return layers.loadLayersModel({
    load: () =>
      Promise.resolve({
        modelTopology: parsed.modelTopology,
        weightSpecs: parsed.weightsManifest.flatMap((group) => group.weights),
        weightData: new Uint8Array(weights).buffer,
      }),
  });
}

const ROWS = 3;

function inputsFor(shapes: readonly (readonly number[])[], dtypes: LayerCase['dtypes']): tf.Tensor[] {
  return shapes.map((shape, index) => {
    const dtype = dtypes?.[index] ?? 'float32';
    const values = randomValues(randomSource(index + 3), ROWS * productOf(shape), 2);
    return dtype === 'int32'
      ? tf.tensor(
          Int32Array.from(values, (value) => Math.abs(Math.round(value * 2)) % 5),
          [ROWS, ...shape],
          'int32',
        )
      : tf.tensor(values, [ROWS, ...shape]);
  });
}

/**
 * Largest difference between our outputs and those of the exported model in stock tfjs-layers, as a share of outputs above 1: a fresh
 * ResNet-50 gives outputs up to 87, whose neighbours in float32 are 8e-6 away. Disposes the model.
 */
async function differenceOf(model: nn.Model, inputs: readonly tf.Tensor[], isScrambled = true): Promise<number> {
  if (isScrambled) await scramble(model);
  const ours = await Promise.all(
    model.apply(inputs).map(async (output) => ({ shape: output.shape, data: await output.data() })),
  );
  const exported = await buildTfjs(model);
  // Two variables of one name cannot live in one engine.
  model.dispose();
  return runOn('cpu', async () => {
    const stock = await loadStock(exported);
    const theirs = [stock.predict([...inputs])].flat();
    expect(theirs.map((output) => output.shape)).toEqual(ours.map(({ shape }) => shape));
    let largest = 0;
    for (const [index, output] of theirs.entries()) {
      const data = await output.data();
      ours[index]!.data.forEach((value, i) => {
        largest = Math.max(largest, Math.abs(value - data[i]!) / Math.max(1, Math.abs(data[i]!)));
      });
    }
    stock.dispose();
    return largest;
  });
}

// float32 on both sides; sums and products are taken in another order.
const TOLERANCE = 2e-5;

/** Cases that tfjs-layers cannot express, with the reason that is given. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'lstm, reverse': /stand in another order/,
  'lstm with mask and states': /a mask or first states/,
  'lstm with mask and first states, reverse': /a mask or first states/,
  'gru with a first state': /no GRU whose reset gate acts after/,
  'global_avg_pool1d with mask': /a mask or first states/,
  'graph with a tied table': /\(padding_mask\).*a mask is no value there/,
  'graph with a mask of numbers': /\(masking\).*a mask is no value there/,
  avg_pool3d: /padding 'same' gives other means/,
  gru: /no GRU whose reset gate acts after/,
  'bidirectional, summed': /no GRU whose reset gate acts after/,
  'up_sampling2d, bilinear': /between pixel centres has no counterpart/,
  'activation exponential': /activation 'exponential' has no counterpart/,
};

const CASES: readonly {
  name: string;
  make: () => nn.Layer;
  inputs: readonly (readonly number[])[];
  dtypes?: NonNullable<LayerCase['dtypes']>;
}[] = [
  {
    name: 'avg_pool3d, valid',
    make: () => new nn.AveragePooling3D({ poolSize: [2, 1, 3], strides: [1, 2, 1] }),
    inputs: [[3, 3, 5, 2]],
  },
  {
    name: 'max_pool3d, same',
    make: () => new nn.MaxPooling3D({ poolSize: 3, strides: 2, padding: 'same' }),
    inputs: [[3, 4, 5, 2]],
  },
  { name: 'dense, leaky_relu', make: () => new nn.Dense({ units: 3, activation: 'leaky_relu' }), inputs: [[4]] },
  {
    name: 'bidirectional gru, reset before',
    make: () => new nn.Bidirectional({ layer: new nn.GRU({ units: 2, resetAfter: false }), merge: 'average' }),
    inputs: [[3, 2]],
  },
  {
    name: 'separable_conv2d, dilated',
    make: () => new nn.SeparableConv2D({ filters: 2, kernelSize: [2, 3], dilations: [2, 1], padding: 'same' }),
    inputs: [[5, 4, 2]],
  },
  { name: 'lstm, reverse, last', make: () => new nn.LSTM({ units: 3, reverse: true }), inputs: [[4, 2]] },
  { name: 'gru with state', make: () => new nn.GRU({ units: 3, resetAfter: false, returnState: true }), inputs: [[4, 2]] },
  {
    name: 'time_distributed, nested, of a chain with a way round',
    make: () =>
      new nn.TimeDistributed({
        layer: new nn.TimeDistributed({
          layer: new nn.Sequential({
            layers: [
              new nn.Residual({ branch: new nn.Dense({ units: 4, activation: 'hard_swish' }), activation: 'tanh' }),
              new nn.LayerNorm(),
            ],
          }),
        }),
      }),
    inputs: [[2, 3, 4]],
  },
  { name: 'rms_norm, plain', make: () => new nn.RMSNorm({ useScale: false }), inputs: [[4]] },
  { name: 'prelu of a vector', make: () => new nn.PReLU(), inputs: [[5]] },
  {
    name: 'conv1d_transposed, same',
    make: () => new nn.Conv1DTransposed({ filters: 2, kernelSize: 2, strides: 3, padding: 'same', activation: 'leaky_relu' }),
    inputs: [[4, 3]],
  },
  ...LAYER_CASES.map(({ make, ...entry }) => ({
    ...entry,
    make: () => make(nn),
  })),
];

describe('each layer in stock tfjs-layers', () => {
  for (const entry of CASES) {
    const layer = entry.make();
    const isKnown = ['sequential', 'graph', 'residual', 'checkpoint', 'time_distributed', ...TFJS_LAYER_TYPES].includes(
      layer.type,
    );
    const reason = REFUSED[entry.name];
    if (isKnown && reason === undefined) {
      it(`${entry.name} gives the same outputs`, async () => {
        const model = graphOf(layer, entry);
        expect(await differenceOf(model, inputsFor(entry.inputs, entry.dtypes))).toBeLessThan(TOLERANCE);
      });
    } else {
      it(`${entry.name} is refused by name`, async () => {
        const model = graphOf(layer, entry);
        await expect(buildTfjs(model)).rejects.toMatchObject({
          code: 'E_EXPORT',
          message: expect.stringMatching(
            reason ?? new RegExp(`\\(${layer.type}\\): this layer type has no counterpart.*: ${TFJS_REASONS[layer.type]}`),
          ) as string,
        });
        model.dispose();
      });
    }
  }

  it('says in the documentation what is refused', () => {
    const inside = ['sequential', 'graph', 'dense'];
    const refused = CASES.filter(({ name }) => REFUSED[name] !== undefined).map(({ make }) => make().type);
    const documented = [...Object.keys(TFJS_LIMITS), ...Object.keys(TFJS_REASONS), ...inside];
    expect(refused.filter((type) => !documented.includes(type))).toEqual([]);
  });

  it('refuses only what is listed', () => {
    const names = CASES.map(({ name }) => name);
    expect(Object.keys(REFUSED).filter((name) => !names.includes(name))).toEqual([]);
  });
});

/** Architectures that tfjs-layers cannot express, with the layer that is named. */
const REFUSED_ZOO = /^(bilstm-classifier|transformer-encoder|gpt)/;

describe('each architecture in stock tfjs-layers', () => {
  it.each(ZOO_CASES)('%s', async (name, description) => {
    const model = nn.createModel(description);
    model.build([...description.inputShape]);
    if (REFUSED_ZOO.test(name)) {
      await expect(buildTfjs(model)).rejects.toMatchObject({ code: 'E_EXPORT' });
      model.dispose();
    } else expect(await differenceOf(model, inputsFor([description.inputShape], undefined), false)).toBeLessThan(TOLERANCE);
  });
});

describe('whole models', () => {
  it('carries a graph with shared layers, branches and two outputs over', async () => {
    const image = nn.input([8, 8, 2], { name: 'image' });
    const shared = new nn.Conv2D({ filters: 2, kernelSize: 3, padding: 'same', activation: 'leaky_relu', name: 'shared' });
    const once = nn.connect(shared, image);
    const twice = nn.connect(shared, once);
    const joined = nn.connect(new nn.Concatenate(), once, twice);
    const flat = nn.connect(new nn.Flatten(), nn.connect(new nn.MaxPooling2D(), joined));
    const outputs = [
      nn.connect(new nn.Dense({ units: 3, name: 'first' }), flat),
      nn.connect(new nn.Dense({ units: 1, name: 'second' }), flat),
    ];
    const model = new nn.Graph({ inputs: [image], outputs });
    model.build();
    const { json } = await buildTfjs(model);
    const names = (json as unknown as { weightsManifest: { weights: { name: string }[] }[] }).weightsManifest[0]!.weights.map(
      ({ name }) => name,
    );
    expect(names.filter((name) => name.startsWith('shared'))).toEqual(['shared/kernel', 'shared/bias']);
    expect(await differenceOf(model, inputsFor([[8, 8, 2]], undefined))).toBeLessThan(TOLERANCE);
  });

  it('lets a layer take one value twice', async () => {
    const input = nn.input([3]);
    const hidden = nn.connect(new nn.Dense({ units: 4, activation: 'gelu_tanh' }), input);
    const model = new nn.Graph({ inputs: [input], outputs: [nn.connect(new nn.Multiply(), hidden, hidden, hidden)] });
    model.build();
    expect(await differenceOf(model, inputsFor([[3]], undefined))).toBeLessThan(TOLERANCE);
  });

  it('goes on training in stock tfjs-layers', async () => {
    const model = new nn.Sequential({
      layers: [new nn.Dense({ units: 4, activation: 'tanh' }), new nn.BatchNorm(), new nn.Dense({ units: 1 })],
    });
    model.build([2]);
    const exported = await buildTfjs(model);
    model.dispose();
    const stock = await loadStock(exported);
    stock.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const [x, y] = [tf.randomNormal([32, 2], 0, 1, 'float32', 1), tf.randomNormal([32, 1], 0, 1, 'float32', 2)];
    const { history } = await stock.fit(x, y, { epochs: 8, callbacks: [] });
    expect(history['loss']!.at(-1)).toBeLessThan(history['loss']![0] as number);
  });
});

describe('exportTfjs', () => {
  const make = (): nn.Sequential => {
    const model = new nn.Sequential({ layers: [new nn.Dense({ units: 5, activation: 'relu' }), new nn.Dense({ units: 3 })] });
    model.build([4]);
    return model;
  };
  const features = randomValues(randomSource(1), 8 * 4, 1);

  it('writes a folder only when the probe rows agree, and replaces an earlier one whole', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tfjs-'));
    const path = join(folder, 'model');
    const model = make();
    const outputs = tf.tidy(() => tf.softmax(model.call(tf.tensor(features, [8, 4]))).dataSync<'float32'>());
    const options = { path, outputActivation: 'softmax', metadata: { classes: ['a', 'b', 'c'] } } as const;
    await expect(
      exportTfjs(model, { ...options, probe: { features, outputs: outputs.map((value) => value + 0.1) } }),
    ).rejects.toMatchObject({
      code: 'E_EXPORT',
      message: expect.stringContaining('differs from the model in memory') as string,
    });
    expect(readdirSync(folder)).toEqual([]);
    for (let time = 0; time < 2; ++time) {
      expect(await exportTfjs(model, { ...options, probe: { features, outputs } })).toMatchObject({ verified: true, rows: 8 });
      expect(readdirSync(folder)).toEqual(['model']);
      expect(readdirSync(path).sort()).toEqual(['model.json', 'weights.bin']);
    }
    const json = JSON.parse(readFileSync(join(path, 'model.json'), 'utf8')) as { userDefinedMetadata: unknown };
    expect(json.userDefinedMetadata).toEqual({ classes: ['a', 'b', 'c'] });
    model.dispose();
  });

  it('refuses a folder with other files, and a file, before anything is written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tfjs-'));
    const model = make();
    writeFileSync(join(folder, 'thesis.txt'), 'years of work');
    writeFileSync(join(folder, 'weights.bin'), '');
    await expect(exportTfjs(model, { path: folder })).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringMatching(/holds other files \(1, one is "thesis\.txt"\): expected a new folder/) as string,
    });
    const file = join(folder, 'thesis.txt');
    await expect(exportTfjs(model, { path: file })).rejects.toMatchObject({ code: 'E_USAGE' });
    expect(readFileSync(file, 'utf8')).toBe('years of work');
    expect(readdirSync(folder).sort()).toEqual(['thesis.txt', 'weights.bin']);
    mkdirSync(join(folder, 'empty'));
    await exportTfjs(model, { path: join(folder, 'empty') });
    expect(readdirSync(join(folder, 'empty')).sort()).toEqual(['model.json', 'weights.bin']);
    model.dispose();
  });

  it('puts the earlier export back when the new one cannot take its place', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tfjs-'));
    const path = join(folder, 'model');
    const model = make();
    await exportTfjs(model, { path });
    const before = readFileSync(join(path, 'weights.bin'));
    model.dispose();
    const other = make();
    const { rename } = await vi.importActual<typeof fs>('node:fs/promises');
    vi.mocked(fs.rename).mockImplementation((from, to) =>
      to === path && String(from).endsWith('.tmp') ? Promise.reject(new Error('the disk is gone')) : rename(from, to),
    );
    try {
      await expect(exportTfjs(other, { path })).rejects.toMatchObject({ code: 'E_IO' });
    } finally {
      vi.mocked(fs.rename).mockImplementation(rename);
    }
    expect(readdirSync(folder)).toEqual(['model']);
    expect(readFileSync(join(path, 'weights.bin'))).toEqual(before);
    other.dispose();
  });

  it('brings a regression back to the unit of the target', async () => {
    const model = new nn.Sequential({ layers: [new nn.Dense({ units: 1 })] });
    model.build([2]);
    const exported = await buildTfjs(model, { outputScale: { shift: 20, scale: 6 } });
    const x = tf.tensor([[1, 2]]);
    const plain = await model.call(x).data();
    model.dispose();
    const stock = await loadStock(exported);
    const scaled = await (stock.predict(x) as tf.Tensor).data();
    expect(scaled[0]).toBeCloseTo(plain[0]! * 6 + 20, 4);
  });
});
