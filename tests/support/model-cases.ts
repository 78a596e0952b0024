/** Whole models for exports: a layer of the shared table as a model of its own, and every architecture of the zoo at a small size. */
import * as nn from '../../ts/nn/index.js';
import type { LayerCase } from './layer-cases.js';

/** The layer as a graph of its own. */
export function graphOf(layer: nn.Layer, { inputs, dtypes }: Pick<LayerCase, 'inputs' | 'dtypes'>): nn.Graph {
  const nodes = inputs.map((shape, index) => nn.input(shape, { dtype: dtypes?.[index] ?? 'float32' }));
  const first = nn.connect(layer, ...nodes);
  const probe = new nn.Graph({ inputs: nodes, outputs: [first] });
  probe.build();
  return probe;
}

const image = { inputShape: [12, 13, 2], numClasses: 3 } as const;
const small = { inputShape: [33, 31, 3], numClasses: 3, width: 2, stem: 'large' } as const;
const tokens = { inputShape: [7], vocabulary: 11 } as const;
const numbers = { inputShape: [7, 3] } as const;
const block = { size: 12, heads: 3, hidden: 10 } as const;

export const ZOO_CASES: readonly (readonly [name: string, description: nn.ZooDescription])[] = [
  ['mlp', { architecture: 'mlp', inputShape: [7], numClasses: 3, hiddenUnits: [6, 5] }],
  ['dnn', { architecture: 'dnn', ...image, hiddenUnits: [7, 5] }],
  ['cnn', { architecture: 'cnn', ...image, filters: [4, 5], hiddenUnits: [6] }],
  ['lenet', { architecture: 'lenet', ...image }],
  ['resnet18', { architecture: 'resnet18', ...small }],
  ['resnet34', { architecture: 'resnet34', ...small }],
  ['resnet50', { architecture: 'resnet50', ...small }],
  ['bilstm-classifier', { architecture: 'bilstm-classifier', ...tokens, numClasses: 3, units: 5, layers: 2 }],
  ['bilstm-classifier, gru, numbers', { architecture: 'bilstm-classifier', ...numbers, numClasses: 3, units: 5, cell: 'gru' }],
  ['transformer-encoder', { architecture: 'transformer-encoder', ...tokens, numClasses: 3, ...block }],
  [
    'transformer-encoder, sinusoidal, norms last, first place',
    {
      architecture: 'transformer-encoder',
      ...tokens,
      numClasses: 3,
      ...block,
      positions: 'sinusoidal',
      normFirst: false,
      pooling: 'first',
    },
  ],
  ['transformer-encoder, numbers', { architecture: 'transformer-encoder', ...numbers, numClasses: 3, ...block }],
  ['gpt', { architecture: 'gpt', ...tokens, ...block, layers: 2 }],
  ['gpt, rotary, rms', { architecture: 'gpt', ...tokens, ...block, layers: 2, positions: 'rotary', norm: 'rms', tied: false }],
];
