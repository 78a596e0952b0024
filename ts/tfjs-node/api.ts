/** Everything that @tensorflow/tfjs-node 4.22 exports, on our backend; see index.ts. */
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { version_converter } from '@tensorflow/tfjs-converter';
import { version_data } from '@tensorflow/tfjs-data';
import { registerCallbackConstructor, version_layers } from '@tensorflow/tfjs-layers';
import '../backend/register.js';
import { registerTensorflowName } from './backend-name.js';
import { fileSystem, fileSystemRouter } from './file-system.js';
import { ProgressLogger } from './progress-logger.js';

export * from '@tensorflow/tfjs-core';
export * from '@tensorflow/tfjs-layers';
export * from '@tensorflow/tfjs-converter';
export * as data from '@tensorflow/tfjs-data';
export * as node from './node.js';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
/** Release of tfjs and tfjs-node whose API this is. */
const API_VERSION = '4.22.0';

/** Versions of the parts. 'tfjs' and 'tfjs-node' name the release whose API is offered, 'tensorkiln' what runs it. */
export const version = {
  'tfjs-core': tf.version_core,
  'tfjs-data': version_data,
  'tfjs-layers': version_layers,
  'tfjs-converter': version_converter,
  tfjs: API_VERSION,
  'tfjs-node': API_VERSION,
  tensorkiln: manifest.version,
};

/**
 * A handler that loads a model over HTTP.
 *
 * @param url              of the model.json
 * @param requestInit      options of fetch
 * @param weightPathPrefix put before the paths of the weight files
 */
function nodeHTTPRequest(url: string, requestInit?: RequestInit, weightPathPrefix?: string): tf.io.IOHandler {
  return tf.io.browserHTTPRequest(url, {
    ...(requestInit !== undefined && { requestInit }),
    ...(weightPathPrefix !== undefined && { weightPathPrefix }),
  });
}

/** What tfjs-node adds to tfjs-core's `io`. */
interface NodeIo {
  readonly fileSystem: typeof fileSystem;
  readonly nodeHTTPRequest: typeof nodeHTTPRequest;
}

/** tfjs-core's `io` with the handlers of tfjs-node. */
export const io: typeof tf.io & NodeIo = { ...tf.io, fileSystem, nodeHTTPRequest };

registerTensorflowName();
tf.io.registerLoadRouter(fileSystemRouter);
tf.io.registerSaveRouter(fileSystemRouter);
registerCallbackConstructor(1, ProgressLogger);
