import { parentPort, workerData } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import '../../../dist/index.js';
import { trainSmallModel } from './small-model.mjs';

parentPort.postMessage(await trainSmallModel(tf, workerData));
