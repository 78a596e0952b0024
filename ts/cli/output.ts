/** Writing to stdout or stderr so that a reader who has gone away cannot end the run. */
export class Output {
  readonly #stream: NodeJS.WriteStream;
  #isClosed = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // The other end of a pipe was closed (`| head`) or the terminal is gone: there is nobody left to tell.
      if (error.code === 'EPIPE' || error.code === 'EIO') this.#isClosed = true;
      else throw error;
    });
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY;
  }

  /** Width of the terminal in characters. */
  get columns(): number {
    return this.#stream.columns;
  }

  get hasColors(): boolean {
    return this.#stream.isTTY && this.#stream.hasColors();
  }

  write(text: string): void {
    if (!this.#isClosed) this.#stream.write(text);
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }
}
