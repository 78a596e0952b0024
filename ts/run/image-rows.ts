/** Labelled images that are no part of a run, and what its model says of them. */
import { stat } from 'node:fs/promises';
import { plainImages, readImageArrays, readImageFiles } from '../data/index.js';
import { TensorkilnError } from '../errors.js';
import type { ImageInputShape, Predictor } from './predictor.js';

/** Images predicted at a time. */
export const IMAGE_BATCH = 64;

export interface JudgedRows {
  /** [rows, outputs] of the model */
  readonly outputs: Float32Array;
  /** Class indices or numbers. */
  readonly targets: ArrayLike<number>;
  readonly withoutTarget: number;
}

/**
 * Predicts images with a class each: a folder with one folder a class, batch by batch, or a pair of IDX or npy files. Images right at the
 * top of the folder have no class and are left out.
 *
 * @param labels  the file of labels where `path` is one of images
 * @throws E_IO; E_USAGE for a file without labels or a folder with them; E_DATA for images of another shape, classes that the model does
 *         not know, and when there are none; E_ABORTED
 */
export async function judgeImages(
  path: string,
  labels: string | undefined,
  {
    predictor,
    image,
    signal,
  }: { readonly predictor: Predictor; readonly image: ImageInputShape; readonly signal?: AbortSignal },
): Promise<JudgedRows> {
  const stop = signal === undefined ? {} : { signal };
  const codeOf = new Map(predictor.classes.map((name, code) => [name, code]));
  const targets: number[] = [];
  const parts: Float32Array[] = [];
  let withoutTarget = 0;
  for await (const { features, classes } of batchesOf(path, labels, { ...image, ...stop })) {
    const predicted = await predictor.predictFeatures(features, stop);
    classes.forEach((name, row) => {
      if (name === undefined) {
        withoutTarget += 1;
        return;
      }
      targets.push(codeOf.get(name) ?? failUnknown(path, predictor.classes));
      parts.push(predicted.slice(row * predictor.outputs, (row + 1) * predictor.outputs));
    });
  }
  if (targets.length === 0) {
    throw new TensorkilnError(
      'E_DATA',
      `[evaluate] ${path}: no images with a class: expected files such as ${predictor.classes[0] ?? 'cats'}/1.jpg, their folder being the class.`,
    );
  }
  const outputs = new Float32Array(targets.length * predictor.outputs);
  parts.forEach((part, row) => {
    outputs.set(part, row * predictor.outputs);
  });
  return { outputs, targets, withoutTarget };
}

interface LabeledBatch {
  readonly features: Float32Array;
  readonly classes: readonly (string | undefined)[];
}

async function* batchesOf(
  path: string,
  labels: string | undefined,
  image: ImageInputShape & { readonly signal?: AbortSignal },
): AsyncGenerator<LabeledBatch> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  if (labels === undefined) {
    if (!isFolder)
      throw new TensorkilnError(
        'E_USAGE',
        `[evaluate] ${path}: the model was trained on images: expected a folder with one folder of images a class, or an IDX or npy file with its labels beside it (--labels).`,
      );
    for await (const { paths, features } of readImageFiles(path, { ...image, batchSize: IMAGE_BATCH }))
      yield { features, classes: paths.map((file) => file.split('/').at(-2)) };
    return;
  }
  if (isFolder)
    throw new TensorkilnError(
      'E_USAGE',
      `[evaluate] ${path} is a folder, whose folders are the classes: expected no labels beside it.`,
    );
  const set = await readImageArrays(path, labels);
  if (set.shape.join() !== image.shape.join())
    throw new TensorkilnError(
      'E_DATA',
      `[evaluate] ${path}: expected images of [${image.shape.join(', ')}] as in training, got [${set.shape.join(', ')}].`,
    );
  for (let start = 0; start < set.size; start += IMAGE_BATCH) {
    const rows = Int32Array.from({ length: Math.min(IMAGE_BATCH, set.size - start) }, (_, index) => start + index);
    yield {
      features: plainImages(set, rows, image),
      classes: Array.from(rows, (row) => set.classes[set.labels[row] as number]),
    };
  }
}

function failUnknown(path: string, classes: readonly string[]): never {
  const known = classes.slice(0, 10).join(', ');
  throw new TensorkilnError(
    'E_DATA',
    `[evaluate] ${path} has a class that the model does not know: expected only ${known}${classes.length > 10 ? ', ...' : ''}.`,
  );
}
