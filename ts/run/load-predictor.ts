import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { checkKeys, checkText } from '../arguments.js';
import { Preprocessor } from '../data/index.js';
import { TensorkilnError } from '../errors.js';
import { loadSafetensorsModel } from '../export/index.js';
import { Predictor } from './predictor.js';
import { selectDevice } from './select-device.js';

export interface LoadPredictorOptions {
  /** auto, cpu, cuda or cuda:<number>; default TENSORKILN_DEVICE, else cpu. */
  readonly device?: string;
}

const perChannel = z.array(z.number());

const savedPreprocessing = z.object({
  format: z.literal('tensorkiln.preprocessing'),
  version: z.literal(1),
  task: z.enum(['classification', 'regression']).default('classification'),
  target: z.string(),
  classes: z.array(z.string()),
  target_scale: z.object({ shift: z.number(), scale: z.number() }).optional(),
  na_values: z.array(z.string()),
  /** Absent for images. */
  preprocessor: z.unknown().optional(),
  image: z.object({ shape: z.tuple([z.int(), z.int(), z.int()]), mean: perChannel, deviation: perChannel }).optional(),
});

/**
 * Loads the model of a finished run, with the preprocessing it was trained with.
 *
 * @example
 * const predictor = await loadPredictor('runs/penguins');
 * const [prediction] = await predictor.predict([{ island: 'Biscoe', bill_length_mm: 46.1 }]);
 *
 * @param run  the folder of the run, or its `export` folder alone
 * @throws (as rejections) E_CONFIG for unknown options; E_IO when a file cannot be read; E_DATA when one is damaged or something else; E_DEVICE, E_NATIVE_LOAD
 */
export async function loadPredictor(run: string, options: LoadPredictorOptions = {}): Promise<Predictor> {
  checkText('loadPredictor', 'run', run);
  checkKeys('loadPredictor', options, ['device']);
  const folder = await findExport(run);
  const saved = await readPreprocessing(join(folder, 'preprocessing.json'));
  await selectDevice(options.device);
  const { task, classes, target, na_values: naValues, preprocessor, image } = saved;
  const loaded = image === undefined ? Preprocessor.fromJSON(preprocessor) : undefined;
  const model = await loadSafetensorsModel(join(folder, 'model.safetensors'));
  return new Predictor({
    task,
    model,
    preprocessor: loaded,
    image,
    classes,
    target,
    naValues,
    targetScale: saved.target_scale,
  });
}

async function readPreprocessing(path: string): Promise<z.output<typeof savedPreprocessing>> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new TensorkilnError('E_DATA', `[predictor] ${path} is damaged: it is not JSON. Copy the run again.`, { cause });
  }
  if (typeof content === 'object' && content !== null && 'task' in content && content.task === 'language_model') {
    throw new TensorkilnError(
      'E_USAGE',
      `[predictor] ${path} is of a language model, which predicts no rows: write text with it by tensorkiln generate.`,
    );
  }
  const parsed = savedPreprocessing.safeParse(content);
  if (parsed.success && (parsed.data.task === 'regression' || parsed.data.classes.length >= 2)) return parsed.data;
  const reason = parsed.success ? 'expected two or more classes' : z.prettifyError(parsed.error);
  throw new TensorkilnError('E_DATA', `[predictor] ${path}: not a saved preprocessing of version 1: ${reason}`);
}

async function findExport(run: string): Promise<string> {
  const tried = [join(run, 'export'), run];
  for (const folder of tried) {
    const text = await readFile(join(folder, 'preprocessing.json')).catch(() => undefined);
    if (text !== undefined) return folder;
  }
  throw new TensorkilnError(
    'E_IO',
    `[predictor] no model in ${run}: expected export/preprocessing.json and export/model.safetensors there, as a finished run leaves them.`,
  );
}
