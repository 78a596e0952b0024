/** Body of the worker that decodes images while the thread that asked waits; see sync-decode.ts. */
import { workerData, type MessagePort } from 'node:worker_threads';
import { isTensorkilnError, type ErrorCode } from '../errors.js';
import { decodePixels, type DecodeRequest } from './decode.js';
import type { Pixels } from './pixels.js';

export interface DecodeWorkerData {
  readonly port: MessagePort;
  /** One number: 0 while the caller waits, 1 when the answer lies in the port. */
  readonly answered: Int32Array<SharedArrayBuffer>;
}

export type DecodeAnswer =
  | { readonly pixels: Pixels }
  | { readonly code: ErrorCode | undefined; readonly message: string; readonly stack: string | undefined };

const { port, answered } = workerData as DecodeWorkerData;

port.on('message', (request: DecodeRequest) => {
  void answer(request).then((result) => {
    port.postMessage(result);
    Atomics.store(answered, 0, 1);
    Atomics.notify(answered, 0);
  });
});

async function answer(request: DecodeRequest): Promise<DecodeAnswer> {
  try {
    return { pixels: await decodePixels(request) };
  } catch (error) {
    if (!(error instanceof Error)) return { code: undefined, message: String(error), stack: undefined };
    return { code: isTensorkilnError(error) ? error.code : undefined, message: error.message, stack: error.stack };
  }
}
