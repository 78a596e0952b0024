import { readFileSync } from 'node:fs';

/** Seconds that the processors of the machine have worked so far, all together; undefined where /proc does not tell. */
export function busySeconds(): number | undefined {
  try {
    const [, user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
      .split('\n')[0]!
      .split(/\s+/)
      .map(Number);
    return (user! + nice! + system! + irq! + softirq! + steal!) / 100;
  } catch {
    return undefined;
  }
}

/** A machine on which others use more than this share of one processor gives times that say little. */
export const LOAD_LIMIT = 0.1;

/**
 * Processors that processes other than ours kept busy, on average, between two looks.
 *
 * @param busy   seconds of all processors within the interval
 * @param own    seconds of our own processes within it
 * @param wall   its length in seconds
 */
export function othersLoad(busy: number, own: number, wall: number): number {
  return wall <= 0 ? 0 : Math.max(0, (busy - own) / wall);
}
