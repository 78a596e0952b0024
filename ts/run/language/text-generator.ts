/** A finished run of a language model as something that writes text. */
import * as tf from '@tensorflow/tfjs-core';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { checkInteger, checkKeys, checkNumber, checkText } from '../../arguments.js';
import { SeededRandom } from '../../data/index.js';
import { TensorkilnError } from '../../errors.js';
import { loadSafetensorsModel } from '../../export/index.js';
import { KeyValueCache, type Layer, type Model } from '../../nn/index.js';
import { selectDevice } from '../select-device.js';

export interface GenerateOptions {
  /** Characters to write, >= 1. Default 500. */
  readonly length?: number;
  /** Scores are divided by it before one is drawn: below 1 surer, above 1 bolder; 0 takes the most likely. Default 0.8. */
  readonly temperature?: number;
  /** Draws among so many of the most likely alone, >= 1. Default: all. */
  readonly topK?: number;
  /** Of the draws, an integer in [0, 2^53). Default 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Called with each character as it is written. */
  readonly onText?: (character: string) => void;
}

const savedText = z.object({
  format: z.literal('tensorkiln.preprocessing'),
  version: z.literal(1),
  task: z.literal('language_model'),
  context_length: z.int().min(1),
  vocabulary: z.array(z.string()).min(1),
});

/** Writes text, character by character. */
export class TextGenerator {
  /** Characters it knows; token i is the one at i - 1, token 0 stands for all others. */
  readonly vocabulary: readonly string[];
  /** Characters it sees before the one it writes. */
  readonly contextLength: number;
  readonly #model: Model;

  constructor(model: Model, options: { readonly vocabulary: readonly string[]; readonly contextLength: number }) {
    this.#model = model;
    this.vocabulary = options.vocabulary;
    this.contextLength = options.contextLength;
  }

  /** The model, for `exportModel`; it stays the generator's. */
  get model(): Model {
    return this.#model;
  }

  /** A text as tokens, 0 for each character that the model does not know. */
  encode(text: string): Int32Array {
    const tokens = new Map(this.vocabulary.map((character, index) => [character, index + 1]));
    return Int32Array.from(Array.from(text), (character) => tokens.get(character) ?? 0);
  }

  /**
   * Goes on with a text. Equal options give equal text.
   *
   * @param prompt what comes before; without one a line begins
   * @returns      what was written, without the prompt
   * @throws (as rejections) E_CONFIG for wrong options; E_ABORTED
   */
  async generate(prompt = '\n', options: GenerateOptions = {}): Promise<string> {
    const place = 'generate';
    if (prompt !== '') checkText(place, 'prompt', prompt);
    checkKeys(place, options, ['length', 'temperature', 'topK', 'seed', 'signal', 'onText']);
    const length = checkInteger(place, 'length', options.length ?? 500, { min: 1 });
    const temperature = checkNumber(place, 'temperature', options.temperature ?? 0.8, { min: 0 });
    const topK = options.topK === undefined ? Infinity : checkInteger(place, 'topK', options.topK, { min: 1 });
    const random = new SeededRandom(checkInteger(place, 'seed', options.seed ?? 0, { min: 0 }));
    const seen = [...this.encode(prompt === '' ? '\n' : prompt)];
    const reader = new ContextReader(this.#model, this.contextLength);
    let written = '';
    try {
      for (let count = 0; count < length; count++) {
        if (options.signal?.aborted === true)
          throw new TensorkilnError('E_ABORTED', '[generate] cancelled by its caller.', { cause: options.signal.reason });
        const token = draw(await reader.scores(seen), { temperature, topK, random });
        seen.push(token);
        const character = this.vocabulary[token - 1] as string;
        written += character;
        options.onText?.(character);
      }
      return written;
    } finally {
      reader.dispose();
    }
  }

  /** Frees the model. */
  dispose(): void {
    this.#model.dispose();
  }
}

/** Scores of the next token, with what attention saw before kept from call to call. */
class ContextReader {
  readonly #model: Model;
  readonly #length: number;
  readonly #remembers: boolean;
  #cache = new KeyValueCache();
  /** Tokens that the cache holds. */
  #held = 0;

  constructor(model: Model, length: number) {
    this.#model = model;
    this.#length = length;
    this.#remembers = continues(model);
  }

  async scores(seen: readonly number[]): Promise<Float32Array> {
    // A full context begins anew with its newer half, so that there is room for as many steps.
    const isFull = this.#held + 1 > this.#length;
    if (!this.#remembers || isFull) {
      this.#cache.dispose();
      this.#cache = new KeyValueCache();
      this.#held = 0;
    }
    const kept = this.#remembers && isFull ? Math.ceil(this.#length / 2) : this.#length;
    const next = this.#held > 0 ? seen.slice(-1) : seen.slice(-kept);
    const last = tf.tidy(() => {
      const input = tf.tensor2d([next], [1, next.length], 'int32');
      const output = this.#model.call(input, this.#remembers ? { cache: this.#cache } : {}) as tf.Tensor3D;
      return tf.reshape(tf.slice(output, [0, next.length - 1, 0], [1, 1, -1]), [-1]);
    });
    this.#held += next.length;
    try {
      return await last.data<'float32'>();
    } finally {
      last.dispose();
    }
  }

  dispose(): void {
    this.#cache.dispose();
  }
}

/** Layers that see each place alone, or go on from a cache. */
const CONTINUING: ReadonlySet<string> = new Set([
  'activation',
  'checkpoint',
  'dense',
  'dropout',
  'embedding',
  'graph',
  'layer_norm',
  'learned_positions',
  'multi_head_attention',
  'rms_norm',
  'sequential',
  'sinusoidal_positions',
  'tied_dense',
  'transformer_encoder',
]);

/** Whether a model can go on from what it saw; recurrent and convolutional layers cannot, and see the whole context each time. */
function continues(layer: Layer): boolean {
  return CONTINUING.has(layer.type) && layer.sublayers.every(continues);
}

interface Draw {
  readonly temperature: number;
  readonly topK: number;
  readonly random: SeededRandom;
}

/** A token by its score; never the one of unknown characters. */
function draw(scores: Float32Array, { temperature, topK, random }: Draw): number {
  const order = Array.from({ length: scores.length - 1 }, (_, index) => index + 1).sort(
    (a, b) => (scores[b] as number) - (scores[a] as number),
  );
  const best = order[0] as number;
  if (temperature === 0) return best;
  const candidates = order.slice(0, Math.min(order.length, topK));
  const weights = candidates.map((token) => Math.exp(((scores[token] as number) - (scores[best] as number)) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let left = (random.nextUint32() / 2 ** 32) * total;
  const index = weights.findIndex((weight) => (left -= weight) < 0);
  return candidates[index < 0 ? 0 : index] as number;
}

/**
 * Loads the language model of a finished run.
 *
 * @example
 * const generator = await loadTextGenerator('runs/shakespeare');
 * const text = await generator.generate('ROMEO:', { length: 200, seed: 1 });
 *
 * @param run  the folder of the run, or its `export` folder alone
 * @throws (as rejections) E_IO when a file cannot be read; E_DATA when one is damaged or of another task; E_DEVICE, E_NATIVE_LOAD
 */
export async function loadTextGenerator(run: string, options: { readonly device?: string } = {}): Promise<TextGenerator> {
  checkText('loadTextGenerator', 'run', run);
  checkKeys('loadTextGenerator', options, ['device']);
  const { folder, saved } = await readSaved(run);
  await selectDevice(options.device);
  const model = await loadSafetensorsModel(join(folder, 'model.safetensors'));
  return new TextGenerator(model, { vocabulary: saved.vocabulary, contextLength: saved.context_length });
}

/** Whether a finished run's model is a language model. @throws (as a rejection) E_DATA when what it says of itself is damaged */
export async function isLanguageModel(run: string): Promise<boolean> {
  for (const folder of [join(run, 'export'), run]) {
    const path = join(folder, 'preprocessing.json');
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return savedText.safeParse(parseJson(text, path)).success;
  }
  return false;
}

async function readSaved(run: string): Promise<{ readonly folder: string; readonly saved: z.output<typeof savedText> }> {
  for (const folder of [join(run, 'export'), run]) {
    const path = join(folder, 'preprocessing.json');
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const parsed = savedText.safeParse(parseJson(text, path));
    if (parsed.success) return { folder, saved: parsed.data };
    throw new TensorkilnError(
      'E_DATA',
      `[generate] ${path} is of no language model: expected a run with data.format text. Use predict for rows.`,
    );
  }
  throw new TensorkilnError(
    'E_IO',
    `[generate] no model in ${run}: expected export/preprocessing.json and export/model.safetensors there, as a finished run leaves them.`,
  );
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TensorkilnError('E_DATA', `[generate] ${path} is damaged: it is not JSON. Copy the run again.`, { cause });
  }
}
