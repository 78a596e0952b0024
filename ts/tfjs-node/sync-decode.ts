/**
 * Decodes images synchronously, as the functions of tfjs-node promise: sharp is asynchronous only, so it runs in a worker, and
 * the calling thread waits.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import { TensorkilnError } from '../errors.js';
import type { DecodeAnswer, DecodeWorkerData } from './decode-worker.js';
import type { DecodeRequest } from './decode.js';
import type { Pixels } from './pixels.js';

interface Decoder {
  readonly port: MessagePort;
  readonly answered: Int32Array<SharedArrayBuffer>;
}

let decoder: Decoder | undefined;

/** One worker per thread of the program, started at the first image; it does not keep the process alive. */
function startDecoder(): Decoder {
  const { port1, port2 } = new MessageChannel();
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const data: DecodeWorkerData = { port: port2, answered };
  const worker = new Worker(new URL('./decode-worker.js', import.meta.url), {
    name: 'tensorkiln image decoder',
    workerData: data,
    transferList: [port2],
    // Without the program's --import options: the worker needs none of what they load.
    execArgv: [],
  });
  worker.unref();
  port1.unref();
  return { port: port1, answered };
}

/** @throws what decodePixels throws */
export function decodeSync(request: DecodeRequest): Pixels {
  decoder ??= startDecoder();
  const { port, answered } = decoder;
  Atomics.store(answered, 0, 0);
  port.postMessage(request);
  Atomics.wait(answered, 0, 0);
  const answer = receiveMessageOnPort(port)?.message as DecodeAnswer | undefined;
  if (answer === undefined) throw new TensorkilnError('E_INTERNAL', `[${request.place}] the image decoder gave no answer.`);
  if ('pixels' in answer) return answer.pixels;
  if (answer.code !== undefined) throw new TensorkilnError(answer.code, answer.message);
  throw Object.assign(new Error(answer.message), { stack: answer.stack });
}
