/** Layers inside a block that are frozen one by one: what is trained, and that the JSON form keeps it. */
import { beforeAll, describe, expect, it } from 'vitest';
import * as nn from '../../ts/nn/index.js';
import { architectureSchema } from '../../ts/nn/architecture-schema.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const copyOf = (model: nn.Model): nn.Model => nn.modelFromJSON(JSON.parse(JSON.stringify(model)));

function encoder(): nn.Sequential {
  return new nn.Sequential({ layers: [new nn.TransformerEncoder({ heads: 2, hidden: 5, name: 'block' })] });
}

const frozenOf = (model: nn.Model): string[] => model.parameters().flatMap(({ name, trainable }) => (trainable ? [] : [name]));

describe('single frozen parts of a block', () => {
  it.each([
    ['built before', true],
    ['built after', false],
  ])('stay frozen through JSON, the model being %s freezing', (_when, isBuiltFirst) => {
    const model = encoder();
    if (isBuiltFirst) model.build([3, 4]);
    // `attention/query` and `output` are only made at build.
    model.layers[0]!.freezeParts(['attention/query', 'output', 'attention_norm']);
    if (!isBuiltFirst) model.build([3, 4]);
    const expected = [
      'block/attention/query/kernel',
      'block/attention/query/bias',
      'block/attention_norm/scale',
      'block/attention_norm/offset',
      'block/output/kernel',
      'block/output/bias',
    ];
    expect(frozenOf(model).sort()).toEqual([...expected].sort());
    const json = model.toJSON();
    expect(architectureSchema.safeParse(JSON.parse(JSON.stringify(json))).error).toBeUndefined();
    const copy = copyOf(model);
    expect(frozenOf(copy)).toEqual(frozenOf(model));
    expect(copy.toJSON()).toEqual(json);
    model.dispose();
    copy.dispose();
  });

  it('keep the one frozen direction of a bidirectional layer apart from the other', () => {
    const model = new nn.Sequential({ layers: [new nn.Bidirectional({ layer: new nn.GRU({ units: 2 }), name: 'both' })] });
    model.build([3, 2]);
    (model.layers[0] as nn.Bidirectional).sublayers[0]!.trainable = false;
    const copy = copyOf(model);
    expect(frozenOf(copy)).toEqual(['both/forward/kernel', 'both/forward/recurrent', 'both/forward/bias']);
    model.dispose();
    copy.dispose();
  });

  it('are thawed with the whole', () => {
    const model = encoder();
    model.layers[0]!.freezeParts(['output']);
    model.trainable = true;
    model.build([3, 4]);
    expect(frozenOf(model)).toEqual([]);
    expect(model.toJSON()).not.toHaveProperty('config.layers.0.frozen');
    model.dispose();
  });

  it('must exist', () => {
    const model = encoder();
    model.layers[0]!.freezeParts(['attention/queries']);
    expect(() => {
      model.build([3, 4]);
    }).toThrow(
      expect.objectContaining({
        code: 'E_CONFIG',
        message: expect.stringMatching(/'block\/attention'.*no layer 'queries' inside it.*query, key/) as string,
      }),
    );
    const json = { ...encoder().layers[0]!.toJSON(), frozen: 'output' };
    expect(() => nn.layerFromJSON(json)).toThrow(/wrong frozen: expected a list of paths/);
    model.dispose();
  });
});

describe('usesBatchStatistics', () => {
  it('is false for a frozen batch norm, which uses the running statistics alone', () => {
    const norm = new nn.BatchNorm();
    const model = new nn.Sequential({ layers: [new nn.Dense({ units: 2 }), norm] });
    expect(model.usesBatchStatistics).toBe(true);
    norm.trainable = false;
    expect(model.usesBatchStatistics).toBe(false);
    expect(new nn.BatchNorm({ trainable: false }).usesBatchStatistics).toBe(false);
  });
});
