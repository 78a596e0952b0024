/**
 * `tensorkiln/tfjs-node`: what `@tensorflow/tfjs-node` exports, on our backend and without libtensorflow. Needs the peers
 * @tensorflow/tfjs-core, -layers, -converter and -data; images need sharp.
 *
 * @example
 * import * as tf from 'tensorkiln/tfjs-node'; // or const tf = require('tensorkiln/tfjs-node')
 */
import * as tf from './api.js';

export * from './api.js';
// Programs write `import tf from '@tensorflow/tfjs-node'`, which for that CommonJS package gives all of its exports.
export default tf;
