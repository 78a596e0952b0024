/** What `tensorkiln export` does: writes the model of a finished run in another format. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { categoricalColumn, numericColumn, Table } from '../data/index.js';
import { checkOnnxPreprocessing, type OnnxExportOptions } from '../export/index.js';
import type { ExportFormat } from './export-format-names.js';
import { inputNameFor, writeVocabulary } from './export-run.js';
import { exportModel, type ExportedModel } from './judge-model.js';
import { exportLanguageAs } from './language/export-language.js';
import { isLanguageModel, loadTextGenerator } from './language/text-generator.js';
import { loadPredictor } from './load-predictor.js';
import type { Predictor } from './predictor.js';

export type { ExportFormat } from './export-format-names.js';

export interface ExportRunOptions {
  readonly format: ExportFormat;
  /** Default: in the run's `export` folder: model.onnx, pipeline.onnx, tfjs, model.safetensors. */
  readonly output?: string;
  readonly device?: string;
}

const NAMES: Readonly<Record<ExportFormat, string>> = {
  onnx: 'model.onnx',
  'onnx-pipeline': 'pipeline.onnx',
  tfjs: 'tfjs',
  safetensors: 'model.safetensors',
};

/** Rows of made-up input an exported model is checked on. */
const PROBE_ROWS = 64;
const PROBE_FLOPS = 2e10;

/**
 * Writes the model of a finished run as ONNX, tfjs LayersModel or safetensors; the first two give probabilities of the classes or the
 * number in the unit of the target. The format onnx-pipeline has the preprocessing inside: its inputs are the columns of a table, or the
 * bytes of images. A model of tokens has its vocabulary written beside it. All are checked on made-up rows before they get their name.
 *
 * @throws (as rejections) E_EXPORT naming a layer that the format cannot express, or when the check fails; E_IO
 */
export async function exportRunAs(run: string, options: ExportRunOptions): Promise<ExportedModel> {
  const device = options.device === undefined ? {} : { device: options.device };
  const path = options.output ?? join(existsSync(join(run, 'export')) ? join(run, 'export') : run, NAMES[options.format]);
  if (await isLanguageModel(run)) {
    const generator = await loadTextGenerator(run, device);
    try {
      return await exportLanguageAs(generator.model, generator, { format: options.format, path });
    } finally {
      generator.dispose();
    }
  }
  const predictor = await loadPredictor(run, device);
  try {
    if (options.format === 'safetensors') return await exportModel(predictor, { format: 'safetensors', path });
    const exported =
      options.format === 'tfjs' ? await exportAsTfjs(predictor, path) : await exportAsOnnx(predictor, path, options.format);
    if (predictor.image === undefined) await writeVocabulary(path, predictor.preprocessor.toJSON());
    return exported;
  } finally {
    predictor.dispose();
  }
}

async function exportAsTfjs(predictor: Predictor, path: string): Promise<ExportedModel> {
  const { task, classes, target, targetScale } = predictor;
  return await exportModel(predictor, {
    format: 'tfjs',
    path,
    probe: await probeOf(predictor),
    ...(task === 'classification' ? { outputActivation: 'softmax' as const } : {}),
    ...(targetScale === undefined ? {} : { outputScale: targetScale }),
    metadata: { target, ...(task === 'classification' ? { classes } : {}), features: featureNames(predictor) },
  });
}

async function exportAsOnnx(predictor: Predictor, path: string, format: 'onnx' | 'onnx-pipeline'): Promise<ExportedModel> {
  const { task, classes, target, targetScale } = predictor;
  const inside = format === 'onnx-pipeline' ? await pipelineOf(predictor) : { probe: await probeOf(predictor) };
  return await exportModel(predictor, {
    format: 'onnx',
    path,
    inputName: inputNameFor(predictor.model),
    ...inside,
    outputName: task === 'classification' ? 'probabilities' : 'prediction',
    ...(task === 'classification' ? { outputActivation: 'softmax' as const, classes } : {}),
    ...(targetScale === undefined ? {} : { outputScale: targetScale }),
    metadata: { features: JSON.stringify(featureNames(predictor)), target },
  });
}

/** The preprocessing that goes inside, with rows to check it on. */
async function pipelineOf(predictor: Predictor): Promise<Partial<OnnxExportOptions>> {
  const { image } = predictor;
  if (image === undefined) {
    const preprocessing = { preprocessor: predictor.preprocessor.toJSON(), naValues: predictor.naValues };
    // Before cells are made up, which encodings that are refused might not take.
    checkOnnxPreprocessing(preprocessing);
    return { tableProbe: await tableProbeOf(predictor), preprocessing };
  }
  const { mean, deviation, shape } = image;
  const size = shape.reduce((product, dim) => product * dim, 1);
  const bytes = Uint8Array.from({ length: probeRows(predictor) * size }, (_, index) => (index * 7919) % 256);
  const channels = mean.length;
  const features = Float32Array.from(
    bytes,
    (byte, place) => (byte / 255 - (mean[place % channels] as number)) / (deviation[place % channels] as number),
  );
  const probe = { features: bytes, outputs: await predictor.predictFeatures(features) };
  return { inputName: 'image', imageScale: { mean, deviation }, probe };
}

function featureNames(predictor: Predictor): readonly string[] {
  return predictor.image === undefined
    ? predictor.preprocessor.featureNames
    : [`image of ${predictor.image.shape.join(' x ')}`];
}

/** Fewer rows for large models: seconds in onnxruntime-web. */
function probeRows({ model }: Predictor): number {
  return Math.max(2, Math.floor(Math.min(PROBE_ROWS, PROBE_FLOPS / model.countFlops())));
}

/** Rows in the range that scaled features have, for tokens numbers of tokens; the same at each call. */
async function probeOf(predictor: Predictor): Promise<{ readonly features: Float32Array; readonly outputs: Float32Array }> {
  const { inputShape, inputDType } = predictor.model;
  const width = inputShape.reduce((product, size) => product * size, 1);
  const rows = probeRows(predictor);
  const value =
    inputDType === 'int32'
      ? tokenProbe(predictor, width)
      : (index: number): number => Math.sin(index * 1.7) + Math.sin(index * 0.31);
  const features = Float32Array.from({ length: rows * width }, (_, index) => value(index));
  return { features, outputs: await predictor.predictFeatures(features) };
}

/** Tokens of the vocabulary, every second row short. */
function tokenProbe(predictor: Predictor, width: number): (index: number) => number {
  const [column] = predictor.preprocessor.toJSON().columns;
  const tokens = column?.kind === 'sequence' ? column.vocabulary.length + 2 : 2;
  const isEnd = column?.kind !== 'sequence' || column.padding === 'end';
  return (index) => {
    const [row, place] = [Math.floor(index / width), index % width];
    const isShort = row % 2 === 1 && (isEnd ? place >= width / 2 : place < width / 2);
    return isShort ? 0 : 1 + ((index * 7919 + row) % (tokens - 1));
  };
}

/** Made-up cells for every column: usual ones, missing ones, for texts also unknown ones. */
async function tableProbeOf(
  predictor: Predictor,
): Promise<{ readonly columns: Readonly<Record<string, Float32Array | readonly string[]>>; readonly outputs: Float32Array }> {
  const rows = Array.from({ length: PROBE_ROWS }, (_, row) => row);
  const cells = predictor.preprocessor.toJSON().columns.map((column, place) => {
    if (column.kind === 'numeric') {
      const { shift, scale } = column;
      const own = rows.map((row) => (row % 9 === place % 9 ? NaN : Math.fround(shift + scale * Math.sin(row * 1.3 + place))));
      return [column.name, Float32Array.from(own)] as const;
    }
    const known: readonly string[] =
      column.kind === 'boolean' ? [...column.truthy, ...column.falsy] : 'categories' in column ? column.categories : [];
    const texts = [...known, '', ...predictor.naValues, 'a text that no row had'];
    return [column.name, rows.map((row) => texts[(row + place) % texts.length] ?? '')] as const;
  });
  const naValues = new Set(predictor.naValues.map((text) => text.trim()));
  const table = new Table(
    cells.map(([name, own]) =>
      own instanceof Float32Array
        ? numericColumn(name, [...own])
        : categoricalColumn(
            name,
            own.map((text) => (naValues.has(text) ? null : text)),
          ),
    ),
    PROBE_ROWS,
  );
  return { columns: Object.fromEntries<Float32Array | readonly string[]>(cells), outputs: await predictor.predictTable(table) };
}
