// Turns the output of make, ninja or node-gyp into counted steps: "[12/87] conv2d_cpu.cc (avx2)".

// make:  [ 14%] Building CXX object CMakeFiles/tensorkiln_avx2.dir/native/ops/conv/conv2d_cpu.cc.o
// ninja: [12/87] Building CXX object CMakeFiles/...
// gyp:     CXX(target) Release/obj.target/tensorkiln_avx2/native/ops/conv/conv2d_cpu.o
const CMAKE_STEP =
  /^\[\s*(?:\d+%|(\d+)\/(\d+))\]\s+(Building|Linking) \w+ (?:object|static library|shared library|executable) (\S+)/;
const GYP_STEP = /^\s+(?:CXX|SOLINK_MODULE)\(target\) (\S+)/;

/** Name of one step for people: source file and, where it tells something, the instruction-set level. */
function stepName(path) {
  const file = path
    .split('/')
    .at(-1)
    .replace(/\.o(bj)?$/, '');
  const level = /tensorkiln_(baseline|avx2|avx512|neon)\b/.exec(path)?.[1];
  return level === undefined ? file : `${file} (${level})`;
}

/**
 * Reads build output line by line and shows where the build is: one line that renews itself on a terminal, otherwise a
 * line about every tenth step so that a log stays short.
 */
export class BuildProgress {
  #total;
  #done = 0;
  #lastShown = 0;
  #stream;
  #terminal;
  #rest = '';

  /**
   * @param {number} total number of steps when the tool does not say it itself
   * @param {NodeJS.WriteStream} stream
   */
  constructor(total, stream = process.stdout) {
    this.#total = total;
    this.#stream = stream;
    this.#terminal = stream.isTTY === true;
  }

  /** @param {string} text any piece of the tool's output */
  feed(text) {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  /** Ends the renewing line. */
  end() {
    if (this.#terminal && this.#done > 0) this.#stream.write('\r\x1b[K');
  }

  #line(line) {
    const cmake = CMAKE_STEP.exec(line);
    if (cmake !== null) {
      const [, step, steps, , path] = cmake;
      if (step !== undefined) {
        this.#done = Number(step);
        this.#total = Number(steps);
      } else {
        // make gives a percentage of something else; counting shows how many files were really compiled.
        this.#done = Math.min(this.#total, this.#done + 1);
      }
      this.#show(stepName(path));
      return;
    }
    const gyp = GYP_STEP.exec(line);
    if (gyp !== null) {
      this.#done = Math.min(this.#total, this.#done + 1);
      this.#show(stepName(gyp[1]));
    }
  }

  #show(name) {
    const text = `[${this.#done}/${this.#total}] ${name}`;
    if (this.#terminal) {
      const width = Math.max(20, (this.#stream.columns || 80) - 1);
      this.#stream.write(`\r\x1b[K${text.slice(0, width)}`);
      return;
    }
    const every = Math.max(1, Math.floor(this.#total / 10));
    if (
      this.#done === 1 ||
      (this.#done === this.#total && this.#lastShown !== this.#done) ||
      this.#done - this.#lastShown >= every
    ) {
      this.#lastShown = this.#done;
      this.#stream.write(`${text}\n`);
    }
  }
}
