/**
 * One subject of the table through tfjs in a process of its own: worker <subject>. It speaks the protocol of bench/native/leg.h, with the
 * name of a case in place of a call: `prepare <name>`, `time <seconds> wall`.
 */
import { createInterface } from 'node:readline';
import { sampledPlaces } from '../harness/case.js';
import { OP_CASES, type OpCase } from './cases.js';
import { openSubject, type Prepared } from './subjects.js';

const say = (answer: object): void => void process.stdout.write(`${JSON.stringify(answer)}\n`);
const message = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]!;

function judge(entry: OpCase, result: ArrayLike<number>): object {
  let finite = true;
  for (let i = 0; i < result.length && finite; ++i) finite = Number.isFinite(result[i]);
  return { size: result.length, finite, values: sampledPlaces(entry.size).map((place) => result[place] ?? null) };
}

async function main(): Promise<void> {
  const subject = await openSubject(process.argv[2] ?? '');
  say({ ready: subject.version });
  let prepared: Prepared | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, rest] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)];
    try {
      if (command === 'prepare') {
        await prepared?.close();
        const entry = OP_CASES.find(({ name }) => name === rest);
        if (entry === undefined) throw new Error(`no case '${rest}'`);
        prepared = await subject.prepare(entry);
        say(prepared === undefined ? { unsupported: 'no such op' } : judge(entry, await prepared.result()));
      } else if (command === 'time' && prepared !== undefined) {
        say(await prepared.time(Number(rest.split(' ')[0])));
      } else {
        say({ error: 'unknown request' });
      }
    } catch (error) {
      say({ error: message(error) });
    }
  }
  process.exit(0);
}

main().catch((error: unknown) => {
  say({ missing: message(error) });
  process.exit(0);
});
