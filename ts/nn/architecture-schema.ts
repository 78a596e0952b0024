/** The published schema of `model-architecture.json`. Layers check their options themselves; this tells editors what there is. */
import { z } from 'zod';
import { ACTIVATIONS } from './activations.js';
import { INITIALIZERS } from './initializers.js';

/** Where the schema file lies in the package. */
export const ARCHITECTURE_SCHEMA_FILE = 'schemas/model-architecture.schema.json';

const count = z.int().min(1);
const flag = z.boolean();
const rate = z.number().min(0).lt(1);
const positive = z.number().gt(0);
const activation = z.enum(ACTIVATIONS).meta({ id: 'activation' });
const padding = z.enum(['valid', 'same']);
const norm = z.enum(['layer', 'rms']);
const shape = z.array(count);

const initializer = z
  .union([
    z.enum(INITIALIZERS),
    z.strictObject({
      type: z.enum(INITIALIZERS),
      scale: positive.optional(),
      mode: z.enum(['fan_in', 'fan_out', 'fan_avg']).optional(),
      distribution: z.enum(['uniform', 'normal', 'truncated_normal']).optional(),
      mean: z.number().optional(),
      stddev: z.number().min(0).optional(),
      min: z.number().optional(),
      max: z.number().optional(),
      gain: z.number().optional(),
      value: z.number().optional(),
    }),
  ])
  .meta({ id: 'initializer' });
const regularizer = z
  .strictObject({
    l1: z.number().min(0).optional(),
    l2: z.number().min(0).optional(),
    orthogonal: z.number().min(0).optional(),
    mode: z.enum(['rows', 'columns']).optional(),
  })
  .meta({ id: 'regularizer' });
const constraint = z
  .strictObject({
    type: z.enum(['non_negative', 'unit_norm', 'max_norm', 'min_max_norm']),
    axis: z.union([z.int(), z.array(z.int())]).optional(),
    min: z.number().min(0).optional(),
    max: z.number().min(0).optional(),
    rate: z.number().min(0).max(1).optional(),
  })
  .meta({ id: 'constraint' });

type Options = Readonly<Record<string, z.ZodType>>;

/** Options of a layer, all but the required ones optional. */
function options(shapes: Options, required: readonly string[] = []): z.ZodType {
  const entries = Object.entries(shapes).map(([key, type]): [string, z.ZodType] => [
    key,
    required.includes(key) ? type : type.optional(),
  ]);
  const all: Options = Object.fromEntries(entries);
  return z.strictObject(all);
}

const roles = (...names: readonly string[]): Options =>
  Object.fromEntries(
    names.flatMap((name): [string, z.ZodType][] => [
      [`${name}Initializer`, initializer],
      [`${name}Regularizer`, regularizer],
      [`${name}Constraint`, constraint],
    ]),
  );

/** One size per axis, or one for all. */
const sizes = (rank: number): z.ZodType => z.union([count, z.array(count).length(rank)]);

const convolution = (rank: number, own: Options, ...more: readonly string[]): z.ZodType =>
  options(
    {
      kernelSize: sizes(rank),
      strides: sizes(rank),
      dilations: sizes(rank),
      padding: rank === 1 ? z.enum(['valid', 'same', 'causal']) : padding,
      activation,
      useBias: flag,
      ...roles('kernel', 'bias', ...more),
      ...own,
    },
    ['kernelSize', 'filters'],
  );
const pooling = (rank: number): z.ZodType => options({ poolSize: sizes(rank), strides: sizes(rank), padding });
const globalPooling = options({ keepDims: flag });
const normalization = (own: Options = {}): z.ZodType =>
  options({ epsilon: positive, useScale: flag, useOffset: flag, ...roles('scale', 'offset'), ...own });
const recurrent = (own: Options): z.ZodType =>
  options(
    {
      units: count,
      returnSequences: flag,
      returnState: flag,
      initialState: flag,
      reverse: flag,
      useBias: flag,
      ...roles('kernel', 'recurrent', 'bias'),
      ...own,
    },
    ['units'],
  );
const block = options(
  {
    heads: count,
    keyHeads: count,
    hidden: count,
    activation,
    dropout: rate,
    attentionDropout: rate,
    normFirst: flag,
    norm,
    causal: flag,
    rotary: flag,
  },
  ['heads', 'hidden'],
);
const dropping = options({ rate }, ['rate']);
const none = options({});
/** Per axis how many before and after. */
const margins = (rank: number): z.ZodType => {
  const margin = z.int().min(0);
  return z.union([margin, z.array(z.union([margin, z.tuple([margin, margin])])).length(rank)]);
};

const layer: z.ZodType = z.lazy(() => z.union(layerSchemas())).meta({ id: 'layer', title: 'A layer' });

const CONFIGS: Readonly<Record<string, () => z.ZodType>> = {
  activation: () => options({ activation, alpha: z.number().min(0) }, ['activation']),
  add: () => none,
  alpha_dropout: () => dropping,
  average: () => none,
  avg_pool1d: () => pooling(1),
  avg_pool2d: () => pooling(2),
  avg_pool3d: () => pooling(3),
  batch_norm: () => normalization({ momentum: z.number().min(0).max(1) }),
  bidirectional: () => options({ layer, merge: z.enum(['concat', 'sum', 'mul', 'average']) }, ['layer']),
  checkpoint: () => options({ layer }, ['layer']),
  concatenate: () => options({ axis: z.int() }),
  conv1d: () => convolution(1, { filters: count }),
  conv1d_transposed: () => convolution(1, { filters: count }),
  conv2d: () => convolution(2, { filters: count }),
  conv2d_transposed: () => convolution(2, { filters: count }),
  conv3d: () => convolution(3, { filters: count }),
  conv3d_transposed: () => convolution(3, { filters: count }),
  cropping1d: () => options({ cropping: margins(1) }),
  cropping2d: () => options({ cropping: margins(2) }),
  cropping3d: () => options({ cropping: margins(3) }),
  dense: () => options({ units: count, activation, useBias: flag, ...roles('kernel', 'bias') }, ['units']),
  depthwise_conv1d: () => convolution(1, { depthMultiplier: count }),
  depthwise_conv2d: () => convolution(2, { depthMultiplier: count }),
  dot: () => options({ axes: z.union([z.int(), z.array(z.int()).length(2)]), normalize: flag }),
  drop_path: () => dropping,
  dropout: () => dropping,
  embedding: () => options({ tokens: count, units: count, padding: z.int().min(0), ...roles('table') }, ['tokens', 'units']),
  flatten: () => none,
  gaussian_dropout: () => dropping,
  gaussian_noise: () => options({ stddev: z.number().min(0) }, ['stddev']),
  global_avg_pool1d: () => globalPooling,
  global_avg_pool2d: () => globalPooling,
  global_avg_pool3d: () => globalPooling,
  global_max_pool1d: () => globalPooling,
  global_max_pool2d: () => globalPooling,
  global_max_pool3d: () => globalPooling,
  graph: () =>
    options(
      {
        seed: z.int().min(0),
        inputs: z
          .array(z.strictObject({ name: z.string(), shape, dtype: z.enum(['float32', 'int32', 'bool']).optional() }))
          .min(1),
        layers: z.array(layer),
        calls: z.array(
          z.strictObject({
            name: z.string(),
            layer: z.string().meta({ description: 'the name of one of the layers' }),
            inputs: z
              .array(z.string())
              .min(1)
              .meta({ description: 'names of inputs or calls; "name:1" is the second output of a call' }),
          }),
        ),
        outputs: z.array(z.string()).min(1),
      },
      ['inputs', 'layers', 'calls', 'outputs'],
    ),
  group_norm: () => normalization({ groups: count }),
  gru: () => recurrent({ resetAfter: flag }),
  instance_norm: () => normalization(),
  layer_norm: () => normalization(),
  learned_positions: () => options({ maxLength: count, ...roles('table') }),
  lstm: () => recurrent({ unitForgetBias: flag }),
  masking: () => options({ value: z.number() }),
  max_pool1d: () => pooling(1),
  max_pool2d: () => pooling(2),
  max_pool3d: () => pooling(3),
  maximum: () => none,
  minimum: () => none,
  multi_head_attention: () =>
    options({ heads: count, keyHeads: count, headSize: count, causal: flag, rotary: flag, dropout: rate, useBias: flag }, [
      'heads',
    ]),
  multiply: () => none,
  padding_mask: () => options({ padding: z.int() }),
  permute: () => options({ axes: shape }, ['axes']),
  prelu: () => options({ shared: flag, ...roles('alpha') }),
  repeat_vector: () => options({ count }, ['count']),
  rescaling: () => options({ scale: z.number(), offset: z.number() }),
  reshape: () => options({ shape: z.array(z.union([count, z.literal(-1)])) }, ['shape']),
  residual: () => options({ branch: layer, shortcut: layer, activation }, ['branch']),
  resize2d: () => options({ size: sizes(2), interpolation: z.enum(['nearest', 'bilinear']) }, ['size']),
  rms_norm: () => normalization(),
  rnn: () => recurrent({ activation: z.enum(['tanh', 'relu']) }),
  select: () => options({ axis: z.int(), index: z.int() }, ['index']),
  separable_conv1d: () => convolution(1, { filters: count, depthMultiplier: count }, 'pointwise'),
  separable_conv2d: () => convolution(2, { filters: count, depthMultiplier: count }, 'pointwise'),
  sequential: () => options({ seed: z.int().min(0), layers: z.array(layer).min(1) }, ['layers']),
  sinusoidal_positions: () => options({ base: z.number().gt(1) }),
  spatial_dropout1d: () => dropping,
  spatial_dropout2d: () => dropping,
  spatial_dropout3d: () => dropping,
  subtract: () => none,
  tied_dense: () => options({ to: z.string().meta({ description: 'the name of the embedding' }) }, ['to']),
  time_distributed: () => options({ layer }, ['layer']),
  transformer_decoder: () => block,
  transformer_encoder: () => block,
  unit_norm: () => none,
  up_sampling1d: () => options({ size: sizes(1) }),
  up_sampling2d: () => options({ size: sizes(2), interpolation: z.enum(['nearest', 'bilinear']) }),
  up_sampling3d: () => options({ size: sizes(3) }),
  zero_padding1d: () => options({ padding: margins(1) }),
  zero_padding2d: () => options({ padding: margins(2) }),
  zero_padding3d: () => options({ padding: margins(3) }),
};

/** Layer types the schema knows: all of the package. Those that users register are not part of it. */
export const SCHEMA_TYPES: readonly string[] = Object.keys(CONFIGS);

/** Names of a layer's options, without `name` and `trainable`. */
export function layerOptions(type: string): readonly string[] {
  const config = CONFIGS[type]?.();
  return config instanceof z.ZodObject ? Object.keys(config.shape) : [];
}

const name = z.string().regex(/^[^/]+$/);

/** Frozen layers inside a layer that does not list what is inside. */
const frozen = z.array(z.string().min(1)).optional();

function layerSchemas(): [z.ZodType, z.ZodType, ...z.ZodType[]] {
  return Object.entries(CONFIGS).map(([type, config]) =>
    z.strictObject({ type: z.literal(type), name: name.optional(), config: config(), trainable: flag.optional(), frozen }),
  ) as unknown as [z.ZodType, z.ZodType, ...z.ZodType[]];
}

const head = {
  $schema: z.string().optional(),
  format: z.literal('tensorkiln-model'),
  version: z.literal(1),
  name: name.optional(),
  trainable: flag.optional(),
};

/** What `modelFromJSON` reads, of the package's own layers. */
export const architectureSchema: z.ZodType = z.union([
  z.strictObject({
    ...head,
    type: z.literal('sequential'),
    config: (CONFIGS['sequential'] as () => z.ZodType)(),
    inputShape: shape.optional(),
  }),
  z.strictObject({ ...head, type: z.literal('graph'), config: (CONFIGS['graph'] as () => z.ZodType)() }),
]);

/** The JSON Schema of a model's architecture. */
export function architectureJsonSchema(): Readonly<Record<string, unknown>> {
  return { ...z.toJSONSchema(architectureSchema, { io: 'input' }), title: 'Architecture of a Tensorkiln model' };
}
