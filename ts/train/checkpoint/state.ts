/** The whole state of training between two steps: to and from the content of a checkpoint. */
import * as tf from '@tensorflow/tfjs-core';
import { overwriteVariable } from '../../backend/custom/overwrite.js';
import type { RandomStateData } from '../../backend/custom/random.js';
import { TensorkilnError } from '../../errors.js';
import { safetensorsEntry, type SafetensorsEntry } from '../../formats/safetensors.js';
import type { Parameter } from '../../nn/layer.js';
import type { GradScaler, GradScalerState } from '../../optim/grad-scaler.js';
import type { Optimizer } from '../../optim/optimizer.js';
import type { OptimizerState, SlotData } from '../../optim/optimizer-state.js';
import type { GuardState } from '../guard.js';
import type { Snapshot } from '../snapshot.js';
import type { Trainable } from '../trainable.js';
import type { TrackerState } from '../tracker.js';
import type { EpochRecord } from '../types.js';
import type { Facts } from './facts.js';
import type { CheckpointContent } from './file.js';

/** Where training stands. */
export interface Position {
  /** Epoch that runs or is about to, counted from 1. */
  readonly epoch: number;
  /** Its steps that are done. */
  readonly stepInEpoch: number;
  /** Sum over its rows so far of the training loss. */
  readonly lossSum: number;
  readonly rowsDone: number;
  /** Steps since training began. */
  readonly step: number;
  /** Number of the pass over the data, which decides the order of rows. */
  readonly pass: number;
}

/** What a checkpoint holds besides tensors. */
export interface SavedState {
  readonly facts: Facts;
  readonly position: Position;
  /** Whether training has ended by itself. */
  readonly isComplete: boolean;
  readonly records: readonly EpochRecord[];
  readonly bestEpoch: number;
  readonly early: TrackerState;
  readonly plateau: TrackerState | null;
  /** The rate that training began with, and what plateaus have made of it. */
  readonly baseLearningRate: number | null;
  readonly plateauScale: number;
  readonly elapsedSeconds: number;
  readonly optimizer: Pick<OptimizerState, 'type' | 'scalars' | 'step' | 'products' | 'late'> | null;
  /** Loss scaling of f16 training; absent otherwise. */
  readonly scaler?: GradScalerState;
  /** Steps left out and roll-backs so far; absent in checkpoints of earlier versions. */
  readonly guard?: GuardState;
  /** Rows computed at a time, where batches are cut; absent otherwise. */
  readonly microBatch?: number;
  /** Epoch up to which layers have been unfrozen; absent in checkpoints of earlier versions. */
  readonly unfrozenThrough?: number;
  readonly random: Readonly<Record<string, RandomStateData>>;
  readonly callbacks: Readonly<Record<string, unknown>>;
}

export interface StateParts {
  readonly model: Trainable;
  readonly optimizer: Optimizer | undefined;
  readonly best: Snapshot;
  readonly scaler?: GradScaler | undefined;
}

/** What the run itself adds. */
export type Progress = Omit<SavedState, 'optimizer' | 'random' | 'bestEpoch' | 'scaler'>;

/** Reads everything back from the device, after all steps enqueued so far. */
export async function collectState(
  { model, optimizer, best, scaler }: StateParts,
  progress: Progress,
): Promise<CheckpointContent> {
  const parameters = model.parameters();
  const optimizerState = optimizer?.isBound === true ? await optimizer.getState() : undefined;
  const random = await Promise.all(
    Object.entries(model.randomStates()).map(async ([name, state]) => [name, await state.getState()] as const),
  );
  const tensors: Record<string, SafetensorsEntry> = await readParameters('model/', parameters);
  if (best.epoch > 0) Object.assign(tensors, await readTensors('best/', best.entries()));
  for (const [slot, entries] of Object.entries(optimizerState?.slots ?? {})) {
    for (const [name, { data, shape }] of Object.entries(entries))
      tensors[`optimizer/${slot}/${name}`] = safetensorsEntry(data, shape);
  }
  const state: SavedState = {
    ...progress,
    bestEpoch: best.epoch,
    optimizer: optimizerState === undefined ? null : withoutSlots(optimizerState),
    ...(scaler === undefined ? {} : { scaler: await scaler.getState() }),
    random: Object.fromEntries(random),
  };
  return { tensors, state };
}

function withoutSlots({ slots: _, ...rest }: OptimizerState): NonNullable<SavedState['optimizer']> {
  return rest;
}

/** Weights of the best epoch alone, under the parameters' own names. */
export async function collectBest(best: Snapshot, facts: Readonly<Record<string, unknown>>): Promise<CheckpointContent> {
  return { tensors: await readTensors('', best.entries()), state: facts };
}

/**
 * Puts a checkpoint's weights, optimizer state, random states and, where `best` is given, best weights in place. Steps recorded
 * before must be recorded again.
 *
 * @param options  `isPartial`: parameters that the optimizer's saved state lacks begin anew. Default: that is an error
 * @throws E_DATA when a tensor is missing or has another shape or dtype; the model may then be changed in part
 */
export async function restoreState(
  file: string,
  { model, optimizer, best, scaler }: Omit<StateParts, 'best'> & { readonly best?: Snapshot },
  content: CheckpointContent,
  options: { readonly isPartial?: boolean } = {},
): Promise<void> {
  const state = content.state as SavedState;
  const parameters = model.parameters();
  const values = (prefix: string, { name, variable }: Parameter): Float32Array | Int32Array =>
    valuesOf(file, content.tensors, `${prefix}${name}`, variable);
  for (const parameter of parameters) overwriteVariable(parameter.variable, values('model/', parameter));
  if (optimizer !== undefined && state.optimizer !== null) {
    const slots: Record<string, Record<string, SlotData>> = {};
    for (const [key, entry] of Object.entries(content.tensors)) {
      const [, slot, name] = /^optimizer\/([^/]+)\/(.*)$/.exec(key) ?? [];
      if (slot === undefined || name === undefined) continue;
      (slots[slot] ??= {})[name] = { shape: entry.shape, data: new Float32Array(entry.bytes.slice().buffer) };
    }
    if (options.isPartial === true) await optimizer.adoptState({ ...state.optimizer, slots });
    else optimizer.setState({ ...state.optimizer, slots });
  }
  if (state.scaler !== undefined) scaler?.setState(state.scaler);
  const random = model.randomStates();
  for (const [name, saved] of Object.entries(state.random)) random[name]?.setState(saved);
  if (best !== undefined && state.bestEpoch > 0) {
    best.replace(
      state.bestEpoch,
      parameters.map((parameter) =>
        tf.tensor(values('best/', parameter), parameter.variable.shape, parameter.variable.dtype as 'float32'),
      ),
    );
  }
}

function readParameters(prefix: string, parameters: readonly Parameter[]): Promise<Record<string, SafetensorsEntry>> {
  return readTensors(
    prefix,
    parameters.map(({ name, variable }) => [name, variable as tf.Tensor] as const),
  );
}

async function readTensors(
  prefix: string,
  tensors: readonly (readonly [string, tf.Tensor])[],
): Promise<Record<string, SafetensorsEntry>> {
  const entries = tensors.map(async ([name, tensor]) => {
    const values = (await tensor.data()) as Float32Array | Int32Array;
    return [`${prefix}${name}`, safetensorsEntry(values, tensor.shape)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

function valuesOf(
  file: string,
  tensors: CheckpointContent['tensors'],
  name: string,
  variable: tf.Variable,
): Float32Array | Int32Array {
  const entry = tensors[name];
  const dtype = variable.dtype === 'int32' ? 'I32' : 'F32';
  if (entry === undefined || entry.dtype !== dtype || entry.shape.join() !== variable.shape.join()) {
    const found = entry === undefined ? 'nothing' : `${entry.dtype} [${entry.shape.join(', ')}]`;
    throw new TensorkilnError(
      'E_DATA',
      `[checkpoint] ${file}: wrong tensor "${name}": expected ${dtype} [${variable.shape.join(', ')}], got ${found}.`,
    );
  }
  const { buffer } = entry.bytes.slice();
  return dtype === 'I32' ? new Int32Array(buffer) : new Float32Array(buffer);
}
