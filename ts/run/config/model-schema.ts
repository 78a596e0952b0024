/** The section model of a configuration. */
import { z } from 'zod';
import { count, flag, isExpression, oneOf, patterns, refuse, text } from './schema-parts.js';

export const ACTIVATION_CHOICES = [
  'linear',
  'relu',
  'relu6',
  'elu',
  'selu',
  'leaky_relu',
  'sigmoid',
  'tanh',
  'softplus',
  'gelu',
] as const;

/** Keys of the model section that each architecture takes. */
export const MODEL_OPTIONS = {
  mlp: ['hidden_units', 'activation', 'dropout', 'batch_norm'],
  dnn: ['hidden_units', 'activation', 'dropout', 'batch_norm'],
  cnn: ['filters', 'kernel_size', 'hidden_units', 'activation', 'dropout', 'batch_norm', 'head'],
  lenet: ['filters', 'hidden_units', 'activation', 'dropout', 'pooling'],
  resnet18: ['stem', 'width'],
  resnet34: ['stem', 'width'],
  resnet50: ['stem', 'width'],
  'bilstm-classifier': ['embedding_size', 'units', 'num_layers', 'cell', 'dropout'],
  'transformer-encoder': [
    'num_layers',
    'size',
    'heads',
    'hidden',
    'activation',
    'dropout',
    'positions',
    'norm',
    'norm_first',
    'pooling',
  ],
  gpt: ['num_layers', 'size', 'heads', 'hidden', 'activation', 'dropout', 'positions', 'norm', 'tied'],
  layers: ['layers'],
} as const;
export type Architecture = keyof typeof MODEL_OPTIONS;

const layer = z
  .strictObject({
    type: text().describe('the name of a layer type, such as dense'),
    name: text().optional().describe('a text without a slash'),
    config: z.record(z.string(), z.unknown()).default({}).describe('a section with the options of the layer'),
  })
  .describe('a layer with type, name and config');

const rename = z.strictObject({
  from: text()
    .refine((expression) => isExpression(expression))
    .describe('a regular expression'),
  to: z.string().describe('a text'),
});

const architectures = Object.keys(MODEL_OPTIONS) as [Architecture, ...Architecture[]];
const sizes = (what: string): z.ZodOptional<z.ZodArray<z.ZodInt>> =>
  z.array(z.int().min(1)).optional().describe(`a list of ${what}, each an integer >= 1; [] for none`);
export const model = z
  .strictObject({
    architecture: z
      .enum(architectures)
      .default('mlp')
      .describe(`one of ${architectures.join(', ')}`),
    hidden_units: sizes('layer sizes'),
    filters: sizes('numbers of channels'),
    kernel_size: count(),
    activation: z
      .enum(ACTIVATION_CHOICES)
      .optional()
      .describe(`one of ${ACTIVATION_CHOICES.join(', ')}`),
    dropout: z.number().min(0).lt(1).optional().describe('a rate >= 0 and below 1'),
    batch_norm: z.boolean().optional().describe('true or false'),
    head: oneOf('average', 'flatten'),
    pooling: oneOf('average', 'max', 'mean', 'first'),
    stem: oneOf('large', 'small'),
    width: count(),
    embedding_size: count(),
    units: count(),
    num_layers: count(),
    cell: oneOf('lstm', 'gru'),
    size: count(),
    heads: count(),
    hidden: count(),
    positions: oneOf('learned', 'sinusoidal', 'rotary'),
    norm: oneOf('layer', 'rms'),
    norm_first: z.boolean().optional().describe('true or false'),
    tied: z.boolean().optional().describe('true or false'),
    layers: z.array(layer).min(1).optional().describe('a list of layers, the last one giving one value per class'),
    pretrained: z
      .union([
        z.literal(false),
        text(),
        z.strictObject({
          path: text().describe('the path of a safetensors or ONNX file'),
          rename: z.array(rename).default([]).describe('a list of sections with from (an expression) and to'),
          strict: flag(false),
        }),
      ])
      .default(false)
      .describe('false, the path of a safetensors or ONNX file, or a section with path, rename and strict'),
    freeze: patterns().optional().describe('a list of paths of layers, or of expressions between slashes'),
    num_classes: z
      .union([z.int().min(2), z.literal('auto')])
      .default('auto')
      .describe('an integer >= 2, or auto'),
  })
  .superRefine((section, context) => {
    const { architecture } = section;
    const own: readonly string[] = MODEL_OPTIONS[architecture];
    const options = new Set(Object.values(MODEL_OPTIONS).flat());
    for (const key of options) {
      if (section[key] === undefined || own.includes(key)) continue;
      const takers = architectures.filter((name) => (MODEL_OPTIONS[name] as readonly string[]).includes(key));
      refuse(context, {
        path: [key],
        expected: `it only with architecture ${takers.join(' or ')}`,
        found: `it with architecture ${architecture}`,
      });
    }
    if (architecture === 'layers' && section.layers === undefined)
      refuse(context, { path: ['layers'], expected: 'a list of layers for architecture layers', found: 'nothing' });
    if (architecture === 'lenet' && section.pooling !== undefined && section.pooling !== 'average' && section.pooling !== 'max')
      refuse(context, { path: ['pooling'], expected: 'average or max for lenet', found: section.pooling });
    if (architecture === 'transformer-encoder' && (section.pooling === 'average' || section.pooling === 'max'))
      refuse(context, { path: ['pooling'], expected: 'mean or first for transformer-encoder', found: section.pooling });
  })
  .transform((section) =>
    section.architecture === 'mlp'
      ? {
          ...section,
          hidden_units: section.hidden_units ?? [32],
          activation: section.activation ?? ('relu' as const),
          dropout: section.dropout ?? 0,
        }
      : section,
  )
  .prefault({})
  .describe('a section with architecture, its options, layers, pretrained, freeze and num_classes');
