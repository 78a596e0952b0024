/** The functions of `tf.node`, under tfjs-node's names. */
export { decodeBmp, decodeGif, decodeImage, decodeJpeg, decodePng, encodeJpeg, encodePng } from './image.js';
export { getMetaGraphsFromSavedModel, getNumOfSavedModels, loadSavedModel } from './saved-model.js';
export { summaryFileWriter } from './summary-writer.js';
export { tensorBoard } from './tensorboard-callback.js';
