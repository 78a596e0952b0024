/** TensorFlow's SavedModel needs TensorFlow to run: what tfjs-node offers for it ends here with the way round. */
import { TensorkilnError } from '../errors.js';

function refuse(place: string, folder: string): never {
  throw new TensorkilnError(
    'E_USAGE',
    `[${place}] ${folder}: a SavedModel runs on TensorFlow only. Convert it once with the Python package tensorflowjs ` +
      `(\`tensorflowjs_converter --input_format=tf_saved_model <folder> <output>\`) and load it with ` +
      `tf.loadGraphModel('file://<output>/model.json').`,
  );
}

/**
 * Not supported.
 *
 * @throws E_USAGE always, naming the converter
 */
export async function loadSavedModel(folder: string, tags = ['serve'], signature = 'serving_default'): Promise<never> {
  void tags;
  void signature;
  await Promise.resolve();
  return refuse('loadSavedModel', folder);
}

/**
 * Not supported.
 *
 * @throws E_USAGE always, naming the converter
 */
export async function getMetaGraphsFromSavedModel(folder: string): Promise<never> {
  await Promise.resolve();
  return refuse('getMetaGraphsFromSavedModel', folder);
}

/** How many SavedModels are loaded: none ever. */
export function getNumOfSavedModels(): number {
  return 0;
}
