/** A language model as ONNX or tfjs: tokens [N, T] to scores of the next character at each place. */
import { basename, dirname, extname, join } from 'node:path';
import { errorCodeOf, TensorkilnError } from '../../errors.js';
import { buildOnnx, exportOnnx, modelGraph, type OnnxVerification } from '../../export/index.js';
import type { Model } from '../../nn/index.js';
import { writeFileAtomic } from '../../write-file.js';
import type { ExportFormat } from '../export-format-names.js';
import { exportModel, type ExportedModel } from '../judge-model.js';

/** What stands beside the model: its characters, and how many of them it sees. */
export interface LanguageVocabulary {
  /** Token i is the one at i - 1, token 0 stands for all others. */
  readonly vocabulary: readonly string[];
  readonly contextLength: number;
}

const NAMES = { inputName: 'tokens', outputName: 'logits' } as const;

/**
 * Writes what a run leaves: the model as ONNX where that can express it, and its characters beside it.
 *
 * @returns how the file was checked, or why there is none
 * @throws E_EXPORT when the exported model disagrees with the one in memory; E_IO
 */
export async function exportLanguageRun(model: Model, path: string, text: LanguageVocabulary): Promise<OnnxVerification> {
  try {
    buildOnnx(await modelGraph(model), NAMES);
  } catch (error) {
    if (errorCodeOf(error) !== 'E_EXPORT') throw error;
    return { verified: false, reason: error instanceof Error ? error.message : String(error) };
  }
  const { verification } = await exportOnnx(model, { ...NAMES, path });
  await writeCharacters(path, text);
  return verification;
}

/**
 * Writes the language model of a finished run in a format.
 *
 * @throws E_EXPORT naming a layer that the format cannot express, or for preprocessing inside, which text has not; E_IO
 */
export async function exportLanguageAs(
  model: Model,
  text: LanguageVocabulary,
  { format, path }: { readonly format: ExportFormat; readonly path: string },
): Promise<ExportedModel> {
  if (format === 'safetensors') return await exportModel(model, { format, path });
  if (format === 'onnx-pipeline')
    throw new TensorkilnError(
      'E_EXPORT',
      '[onnx] a language model has no preprocessing that ONNX could hold: export it as onnx, its characters stand beside it.',
    );
  const exported =
    format === 'tfjs' ? await exportModel(model, { format, path }) : await exportModel(model, { format, path, ...NAMES });
  await writeCharacters(path, text);
  return exported;
}

async function writeCharacters(modelPath: string, { vocabulary, contextLength }: LanguageVocabulary): Promise<void> {
  const content = {
    format: 'tensorkiln.vocabulary',
    version: 1,
    level: 'character',
    context_length: contextLength,
    unknown_token: 0,
    tokens: Object.fromEntries(vocabulary.map((character, place) => [character, place + 1])),
  };
  const path = join(dirname(modelPath), `${basename(modelPath, extname(modelPath))}.vocabulary.json`);
  await writeFileAtomic(path, `${JSON.stringify(content, null, 2)}\n`);
}
