/** TensorFlow's SavedModel needs TensorFlow to run: what tfjs-node offers for it ends here with the way round. */
import { TensorkilnError } from '../errors.js';

function refusal(place: string, folder: string): TensorkilnError {
  return new TensorkilnError(
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
export function loadSavedModel(folder: string, _tags = ['serve'], _signature = 'serving_default'): Promise<never> {
  return Promise.reject(refusal('loadSavedModel', folder));
}

/**
 * Not supported.
 *
 * @throws E_USAGE always, naming the converter
 */
export function getMetaGraphsFromSavedModel(folder: string): Promise<never> {
  return Promise.reject(refusal('getMetaGraphsFromSavedModel', folder));
}

/** How many SavedModels are loaded: none ever. */
export function getNumOfSavedModels(): number {
  return 0;
}
