/** A folder of checkpoints: the newest few of a run, and the weights of its best epoch. */
import { readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { TensorkilnError } from '../../errors.js';
import { makeFolder } from '../../write-file.js';
import { readCheckpoint, writeCheckpoint, type CheckpointContent } from './file.js';

const NAME = /^step-(\d{10})\.safetensors$/;
const BEST = 'best.safetensors';

export interface DamagedCheckpoint {
  readonly file: string;
  readonly reason: string;
}

export interface LoadedCheckpoint {
  readonly file: string;
  readonly content: CheckpointContent;
  /** Newer files that could not be used. */
  readonly damaged: readonly DamagedCheckpoint[];
}

export class CheckpointStore {
  readonly #folder: string;
  readonly #keep: number;

  /** @param keep  how many of the newest checkpoints stay, >= 1 */
  constructor(folder: string, keep: number) {
    this.#folder = folder;
    this.#keep = keep;
  }

  /**
   * Writes the checkpoint of a step and then removes the oldest beyond `keep`.
   *
   * @param step  steps done since training began
   * @returns     the file's path
   * @throws E_IO when it cannot be written; earlier checkpoints are untouched
   */
  async save(step: number, content: CheckpointContent): Promise<string> {
    const file = join(this.#folder, `step-${String(step).padStart(10, '0')}.safetensors`);
    await this.#write(file, content);
    const old = (await this.#files()).slice(this.#keep);
    await Promise.all(old.map((name) => rm(join(this.#folder, name), { force: true })));
    return file;
  }

  /** Writes the weights of the best epoch so far. @throws E_IO as `save` */
  async saveBest(content: CheckpointContent): Promise<string> {
    const file = join(this.#folder, BEST);
    await this.#write(file, content);
    return file;
  }

  /**
   * The newest checkpoint that is whole. Damaged newer ones are passed over and listed.
   *
   * @returns undefined when there is none at all
   * @throws E_DATA when there are some and every one is damaged
   */
  async load(): Promise<LoadedCheckpoint | undefined> {
    const damaged: DamagedCheckpoint[] = [];
    for (const name of await this.#files()) {
      const file = join(this.#folder, name);
      try {
        return { file, content: await readCheckpoint(file), damaged };
      } catch (error) {
        damaged.push({ file, reason: error instanceof Error ? error.message : String(error) });
      }
    }
    if (damaged.length === 0) return undefined;
    const list = damaged.map(({ reason }) => `  ${reason}`).join('\n');
    throw new TensorkilnError(
      'E_DATA',
      `[checkpoint] none of the ${damaged.length} checkpoints in ${this.#folder} can be used: start the run anew.\n${list}`,
    );
  }

  /** Removes every checkpoint, for a run that starts anew. */
  async clear(): Promise<void> {
    const names = [...(await this.#files()), BEST];
    await Promise.all(names.map((name) => rm(join(this.#folder, name), { force: true })));
  }

  async #write(file: string, content: CheckpointContent): Promise<void> {
    try {
      await makeFolder(this.#folder);
      await writeCheckpoint(file, content);
    } catch (cause) {
      const kept = (await this.#files())[0];
      const free = await this.#freeBytes();
      const what =
        kept === undefined ? 'There is no earlier one.' : `The earlier one is untouched: ${join(this.#folder, kept)}.`;
      throw new TensorkilnError(
        'E_IO',
        `[checkpoint] the checkpoint was not saved: ${cause instanceof Error ? cause.message : String(cause)}.${free} ${what}`,
        { cause },
      );
    }
  }

  async #freeBytes(): Promise<string> {
    const space = await statfs(this.#folder).catch(() => undefined);
    return space === undefined ? '' : ` ${space.bavail * space.bsize} bytes are free there.`;
  }

  /** Names of checkpoints, newest first. */
  async #files(): Promise<string[]> {
    const names = await readdir(this.#folder).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    });
    return names.filter((name) => NAME.test(name)).sort((a, b) => (a < b ? 1 : -1));
  }
}
