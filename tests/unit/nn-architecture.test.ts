// The JSON form of models and its published schema: every layer's own form fits, and the schema refuses what layers refuse.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { architectureJsonSchema, architectureSchema, SCHEMA_TYPES } from '../../ts/nn/architecture-schema.js';
import * as nn from '../../ts/nn/index.js';
import { LAYER_CASES } from '../support/layer-cases.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const chain = (layers: readonly unknown[]): Record<string, unknown> => ({
  format: 'tensorkiln-model',
  version: 1,
  type: 'sequential',
  config: { layers },
});

describe('schema of model-architecture.json', () => {
  it('knows every layer type', () => {
    expect([...SCHEMA_TYPES].sort()).toEqual([...nn.layerTypes()].sort());
  });

  it.each(LAYER_CASES)('takes what $name writes', ({ make }) => {
    const json: unknown = JSON.parse(JSON.stringify(make(nn).toJSON()));
    const { type, name, config } = json as nn.LayerJSON;
    expect(architectureSchema.safeParse(chain([{ type, name, config }])).error).toBeUndefined();
  });

  it('takes whole models, chains and graphs', () => {
    const models = [
      nn.createModel({ architecture: 'resnet18', inputShape: [8, 8, 1], numClasses: 2, width: 1 }),
      nn.createModel({ architecture: 'gpt', inputShape: [4], vocabulary: 5, layers: 1, size: 8, heads: 2 }),
    ];
    for (const model of models) {
      const json: unknown = JSON.parse(JSON.stringify({ $schema: './x.json', ...model.toJSON() }));
      expect(architectureSchema.safeParse(json).error).toBeUndefined();
      const copy = nn.modelFromJSON(json);
      expect(copy.toJSON()).toEqual(model.toJSON());
      copy.dispose();
    }
  });

  it.each([
    ['an unknown layer', { type: 'dense3', config: { units: 1 } }],
    ['an unknown option', { type: 'dense', config: { units: 1, unit: 2 } }],
    ['a missing option', { type: 'lstm', config: {} }],
    ['a wrong option', { type: 'dropout', config: { rate: 1 } }],
    ['a nested layer that is wrong', { type: 'residual', config: { branch: { type: 'dense', config: {} } } }],
    ['a name with a slash', { type: 'flatten', name: 'a/b', config: {} }],
  ])('refuses %s, as the layers do', (_, layer) => {
    expect(architectureSchema.safeParse(chain([layer])).success).toBe(false);
    expect(() => nn.modelFromJSON(chain([layer]))).toThrow(expect.objectContaining({ code: 'E_CONFIG' }) as Error);
  });

  it('describes nested layers by one definition', () => {
    const schema = architectureJsonSchema() as { $defs: Record<string, { anyOf: unknown[] }>; anyOf: unknown[] };
    expect(schema.$defs['layer']?.anyOf).toHaveLength(SCHEMA_TYPES.length);
    expect(JSON.stringify(schema.anyOf)).toContain('"$ref":"#/$defs/layer"');
  });
});
