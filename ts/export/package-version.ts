import { readFileSync } from 'node:fs';

/** Our own version, as it is written into exported files. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
