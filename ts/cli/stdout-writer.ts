/** Text to stdout for programs that may stop reading. */
import { TensorkilnError } from '../errors.js';

/** The other end of stdout was closed, as `| head` does once it has its lines: there is nobody left to write for. */
export class ReaderGone extends Error {}

/** Waits while the reader is slower. @throws (as rejections of the function that is returned) ReaderGone; E_IO */
export function stdoutWriter(): (text: string) => Promise<void> {
  // Without a listener an error of the stream would end the process; here the callback of the write gets it.
  process.stdout.on('error', () => undefined);
  return (text) =>
    new Promise((done, fail) => {
      process.stdout.write(text, (error?: NodeJS.ErrnoException | null) => {
        if (error === undefined || error === null) done();
        else if (error.code === 'EPIPE' || error.code === 'EIO') fail(new ReaderGone(error.message, { cause: error }));
        else fail(new TensorkilnError('E_IO', `[output] cannot write to stdout: ${error.message}.`, { cause: error }));
      });
    });
}
