/** What `tensorkiln export` does: writes the model of a finished run in another format. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { categoricalColumn, numericColumn, Table } from '../data/index.js';
import { TensorkilnError } from '../errors.js';
import type { ExportFormat } from './export-format-names.js';
import { exportModel, type ExportedModel } from './judge-model.js';
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

/**
 * Writes the model of a finished run as ONNX, tfjs LayersModel or safetensors; the first two give probabilities of the classes or the
 * number in the unit of the target. The format onnx-pipeline has the preprocessing of a table inside: its inputs are the columns. All are checked on made-up rows before they get their name.
 *
 * @throws (as rejections) E_EXPORT naming a layer that the format cannot express, or when the check fails; E_IO
 */
export async function exportRunAs(run: string, options: ExportRunOptions): Promise<ExportedModel> {
  const predictor = await loadPredictor(run, options.device === undefined ? {} : { device: options.device });
  try {
    const path = options.output ?? join(existsSync(join(run, 'export')) ? join(run, 'export') : run, NAMES[options.format]);
    const { task, classes, target, targetScale } = predictor;
    if (options.format === 'safetensors') return await exportModel(predictor, { format: 'safetensors', path });
    const table = options.format === 'onnx-pipeline' ? await tableProbeOf(predictor) : undefined;
    const probe = await probeOf(predictor);
    if (options.format === 'tfjs') {
      return await exportModel(predictor, {
        format: 'tfjs',
        path,
        probe,
        ...(task === 'classification' ? { outputActivation: 'softmax' as const } : {}),
        ...(targetScale === undefined ? {} : { outputScale: targetScale }),
        metadata: { target, ...(task === 'classification' ? { classes } : {}), features: featureNames(predictor) },
      });
    }
    return await exportModel(predictor, {
      format: 'onnx',
      path,
      ...(table === undefined
        ? { probe }
        : {
            tableProbe: table,
            preprocessing: { preprocessor: predictor.preprocessor.toJSON(), naValues: predictor.naValues },
          }),
      inputName: 'features',
      outputName: task === 'classification' ? 'probabilities' : 'prediction',
      ...(task === 'classification' ? { outputActivation: 'softmax' as const, classes } : {}),
      ...(targetScale === undefined ? {} : { outputScale: targetScale }),
      metadata: { features: JSON.stringify(featureNames(predictor)), target },
    });
  } finally {
    predictor.dispose();
  }
}

function featureNames(predictor: Predictor): readonly string[] {
  return predictor.image === undefined
    ? predictor.preprocessor.featureNames
    : [`image of ${predictor.image.shape.join(' x ')}`];
}

/** Rows in the range that scaled features have, for tokens numbers of tokens; the same at each call. */
async function probeOf(predictor: Predictor): Promise<{ readonly features: Float32Array; readonly outputs: Float32Array }> {
  const { inputShape, inputDType } = predictor.model;
  if (inputDType !== 'float32') {
    throw new TensorkilnError(
      'E_EXPORT',
      `[export] the model takes ${inputDType} tokens: only models of float32 features are exported; safetensors holds any.`,
    );
  }
  const width = inputShape.reduce((product, size) => product * size, 1);
  const features = Float32Array.from(
    { length: PROBE_ROWS * width },
    (_, index) => Math.sin(index * 1.7) + Math.sin(index * 0.31),
  );
  return { features, outputs: await predictor.predictFeatures(features) };
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
  const naValues = new Set(['', ...predictor.naValues]);
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
