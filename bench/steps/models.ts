/** The models whose whole training steps are measured; steps_torch.py has the same ones. */
import * as tf from '@tensorflow/tfjs-core';
import { compile } from 'tensorkiln';
import * as nn from 'tensorkiln/nn';
import { Adam, AdamW, type Optimizer } from 'tensorkiln/optim';

/** A step to time: enqueues one training step and gives the loss. */
export interface StepSubject {
  /** Enqueues a step; the caller disposes the loss. */
  readonly step: () => tf.Tensor;
  /** The optimised plans, for --plan. */
  readonly programs: () => readonly string[];
  /** Floating-point operations of the matrix products and convolutions of one step, forward and backward. */
  readonly flops: number;
}

interface ModelCase {
  readonly build: () => nn.Layer;
  readonly input: () => tf.Tensor;
  readonly labels: () => tf.Tensor;
  /** Default Adam; 'none' leaves the update out. */
  readonly optimizer?: 'adam' | 'adamw' | 'none';
  /** Multiply-adds of one forward pass. */
  readonly forward: number;
}

const floats = (shape: number[]): tf.Tensor =>
  tf.tidy(() =>
    tf
      .sin(
        tf
          .range(
            0,
            shape.reduce((a, b) => a * b, 1),
          )
          .mul(12.9898),
      )
      .reshape(shape),
  );
const integers = (shape: number[], limit: number): tf.Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    Int32Array.from({ length: size }, (_, i) => (i * 7919) % limit),
    shape,
    'int32',
  );
};

function sequence(layers: nn.Layer[], inputShape: number[]): nn.Layer {
  const model = new nn.Sequential({ seed: 1, layers: layers as nn.UnaryLayer[] });
  model.build(inputShape);
  return model;
}

function residualBlock(x: nn.GraphNode, filters: number, stride: number): nn.GraphNode {
  const convolve = (from: nn.GraphNode, kernelSize: number, strides: number): nn.GraphNode =>
    nn.connect(
      new nn.BatchNorm(),
      nn.connect(new nn.Conv2D({ filters, kernelSize, strides, padding: 'same', useBias: false }), from),
    );
  const relu = (from: nn.GraphNode): nn.GraphNode => nn.connect(new nn.Activation({ activation: 'relu' }), from);
  const branch = convolve(relu(convolve(x, 3, stride)), 3, 1);
  const shortcut = stride === 1 ? x : convolve(x, 1, stride);
  return relu(nn.connect(new nn.Add(), branch, shortcut));
}

function resnet18(): nn.Layer {
  const image = nn.input([32, 32, 3]);
  let x = nn.connect(new nn.Conv2D({ filters: 64, kernelSize: 3, padding: 'same', useBias: false }), image);
  x = nn.connect(new nn.Activation({ activation: 'relu' }), nn.connect(new nn.BatchNorm(), x));
  for (const [filters, stride] of [
    [64, 1],
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    [512, 1],
  ] as const) {
    x = residualBlock(x, filters, stride);
  }
  x = nn.connect(new nn.Dense({ units: 10 }), nn.connect(new nn.GlobalAveragePooling2D(), x));
  const model = new nn.Graph({ inputs: [image], outputs: [x], seed: 1 });
  model.build([32, 32, 3]);
  return model;
}

export const MODELS: Readonly<Record<string, ModelCase>> = {
  mlp: {
    build: () =>
      sequence(
        [
          new nn.Dense({ units: 512, activation: 'relu' }),
          new nn.Dense({ units: 256, activation: 'relu' }),
          new nn.Dense({ units: 10 }),
        ],
        [784],
      ),
    input: () => floats([128, 784]),
    labels: () => integers([128], 10),
    forward: 128 * (784 * 512 + 512 * 256 + 256 * 10),
  },
  tiny: {
    build: () => sequence([new nn.Dense({ units: 16, activation: 'relu' }), new nn.Dense({ units: 3 })], [4]),
    input: () => floats([16, 4]),
    labels: () => integers([16], 3),
    forward: 16 * (4 * 16 + 16 * 3),
  },
  lenet: {
    build: () =>
      sequence(
        [
          new nn.Conv2D({ filters: 32, kernelSize: 5, padding: 'same', activation: 'relu' }),
          new nn.MaxPooling2D(),
          new nn.Conv2D({ filters: 64, kernelSize: 5, padding: 'same', activation: 'relu' }),
          new nn.MaxPooling2D(),
          new nn.Flatten(),
          new nn.Dense({ units: 128, activation: 'relu' }),
          new nn.Dense({ units: 10 }),
        ],
        [28, 28, 1],
      ),
    input: () => floats([64, 28, 28, 1]),
    labels: () => integers([64], 10),
    forward: 64 * (28 * 28 * 25 * 32 + 14 * 14 * 25 * 32 * 64 + 3136 * 128 + 128 * 10),
  },
  bilstm: {
    build: () =>
      sequence(
        [
          new nn.Embedding({ tokens: 5000, units: 128 }),
          new nn.Bidirectional({ layer: new nn.LSTM({ units: 64 }) }),
          new nn.Dense({ units: 2 }),
        ],
        [50],
      ),
    input: () => integers([64, 50], 5000),
    labels: () => integers([64], 2),
    forward: 64 * 50 * 2 * (128 * 256 + 64 * 256),
  },
  transformer: {
    build: () =>
      sequence(
        [
          new nn.Embedding({ tokens: 5000, units: 256 }),
          new nn.LearnedPositions(),
          ...Array.from({ length: 4 }, () => new nn.TransformerEncoder({ heads: 4, hidden: 1024 })),
          new nn.GlobalAveragePooling1D(),
          new nn.Dense({ units: 2 }),
        ],
        [128],
      ),
    input: () => integers([16, 128], 5000),
    labels: () => integers([16], 2),
    forward: 4 * 16 * 128 * (12 * 256 * 256 + 2 * 128 * 256),
  },
  resnet18: {
    build: resnet18,
    input: () => floats([32, 32, 32, 3]),
    labels: () => integers([32], 10),
    optimizer: 'none',
    forward: 32 * 555_422_720,
  },
  gpt: {
    build: () =>
      sequence(
        [
          new nn.Embedding({ tokens: 65, units: 384 }),
          new nn.LearnedPositions(),
          ...Array.from({ length: 6 }, () => new nn.TransformerEncoder({ heads: 6, hidden: 1536, causal: true })),
          new nn.LayerNorm(),
          new nn.Dense({ units: 65, useBias: false }),
        ],
        [256],
      ),
    input: () => integers([8, 256], 65),
    labels: () => integers([8, 256], 65),
    optimizer: 'adamw',
    forward: 8 * 256 * (6 * (12 * 384 * 384 + 256 * 384) + 384 * 65),
  },
  'gpt-small': {
    build: () =>
      sequence(
        [
          new nn.Embedding({ tokens: 65, units: 128 }),
          new nn.LearnedPositions(),
          ...Array.from({ length: 4 }, () => new nn.TransformerEncoder({ heads: 4, hidden: 512, causal: true })),
          new nn.LayerNorm(),
          new nn.Dense({ units: 65, useBias: false }),
        ],
        [64],
      ),
    input: () => integers([12, 64], 65),
    labels: () => integers([12, 64], 65),
    optimizer: 'adamw',
    forward: 12 * 64 * (4 * (12 * 128 * 128 + 64 * 128) + 128 * 65),
  },
};

/** Builds a model with its data and compiles its step. */
export function makeSubject(name: string): StepSubject {
  const found = MODELS[name];
  if (found === undefined) throw new Error(`no model '${name}': expected one of ${Object.keys(MODELS).join(', ')}`);
  const model = found.build();
  const variables = model.trainableVariables();
  const kind = found.optimizer ?? 'adam';
  const optimizer: Optimizer | undefined =
    kind === 'none' ? undefined : kind === 'adam' ? new Adam({ learningRate: 1e-3 }) : new AdamW({ learningRate: 1e-3 });
  optimizer?.bind(variables);
  const x = found.input();
  const labels = found.labels();
  const step = compile((inputs: tf.Tensor, targets: tf.Tensor): tf.Tensor[] => {
    const { value, grads } = tf.variableGrads(() => {
      const [output] = model.apply([inputs], { training: true });
      const logits = output as tf.Tensor;
      const classes = logits.shape.at(-1) as number;
      return tf.mean(nn.crossEntropy.rows(logits.reshape([-1, classes]), targets.reshape([-1])));
    }, Object.values(variables));
    const named = Object.fromEntries(
      Object.entries(variables).map(([key, variable]) => [key, grads[variable.name] as tf.Tensor]),
    );
    if (optimizer === undefined) return [value, ...Object.values(named)];
    optimizer.apply(named);
    return [value];
  });
  return {
    step: () => {
      const [loss, ...gradients] = step(x, labels);
      tf.dispose(gradients);
      return loss as tf.Tensor;
    },
    programs: () => step.programs(),
    flops: 6 * found.forward,
  };
}
