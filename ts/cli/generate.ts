import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { Output } from './output.js';
import { listenForSignals } from './signals.js';
import { ReaderGone, stdoutWriter } from './stdout-writer.js';

interface GenerateCommandOptions {
  readonly prompt?: string;
  readonly length?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly seed?: number;
  readonly device?: string;
}

/** `tensorkiln generate <run>`: text from a language model, character by character. */
export function generateCommand(): Command {
  return new Command('generate')
    .description('write text with the language model of a finished run')
    .argument('<run>', 'folder of a finished run')
    .option('--prompt <text>', 'what the text goes on from; written before it (default: a new line)')
    .option('--length <characters>', 'how much is written (default: 500)', countFrom)
    .option('--temperature <number>', 'below 1 surer, above 1 bolder, 0 always the most likely (default: 0.8)', numberFrom)
    .option('--top-k <number>', 'draw among so many of the most likely characters alone (default: all)', countFrom)
    .option('--seed <number>', 'of the draws (default: 0)', numberFrom)
    .option('--device <name>', 'auto, cpu, cuda or cuda:<number> (default: TENSORKILN_DEVICE, else cpu)')
    .action(generate);
}

async function generate(run: string, options: GenerateCommandOptions): Promise<void> {
  const output = new Output(process.stderr);
  const interruption = listenForSignals((name) => {
    output.line(`${name}: stopping.`);
  });
  const { prompt = '', device, ...rest } = options;
  try {
    const { loadTextGenerator } = await import('../run/language/text-generator.js');
    const generator = await loadTextGenerator(resolve(run), device === undefined ? {} : { device });
    try {
      const unknown = generator.encode(prompt).filter((token) => token === 0).length;
      if (unknown > 0)
        output.line(
          `${unknown} ${unknown === 1 ? 'character' : 'characters'} of the prompt the model does not know: all count as one and the same.`,
        );
      const write = stdoutWriter();
      // Written in order; a reader that is gone ends the writing at its next character.
      let last = write(prompt);
      await last;
      const gone = new AbortController();
      await generator.generate(prompt, {
        ...rest,
        signal: AbortSignal.any([interruption.signal, gone.signal]),
        onText: (character) => {
          last = last.then(() => write(character));
          last.catch((error: unknown) => {
            gone.abort(error);
          });
        },
      });
      await last;
      await write('\n');
    } finally {
      generator.dispose();
    }
  } catch (error) {
    if (!(error instanceof ReaderGone) && !(error instanceof Error && error.cause instanceof ReaderGone)) throw error;
  } finally {
    interruption.dispose();
    const code = interruption.exitCode();
    if (code !== undefined) process.exitCode = code;
  }
}

function countFrom(text: string): number {
  const value = numberFrom(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('expected an integer >= 1.');
  return value;
}

/** The generator checks ranges; here it is only a number. */
function numberFrom(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}
