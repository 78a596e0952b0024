/** Garbage collection on demand, for tests of reclaimed memory. */
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectNow = runInNewContext('gc') as () => void;

/** Collects garbage and lets finalizers run, until `done` or the rounds are used up. */
export async function collectUntil(done: () => boolean, rounds = 50): Promise<void> {
  for (let round = 0; round < rounds && !done(); ++round) {
    collectNow();
    await wait(5);
  }
}
