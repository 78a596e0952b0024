/**
 * Trains the penguins example and takes the picture of its report that README shows.
 *
 *   npm run build && node scripts/screenshot-report.mjs [run folder]
 *
 * Needs a Chromium: the one that CHROMIUM names, or chromium, chromium-browser or google-chrome on the path.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { findChromium } from './find-chromium.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const executablePath = findChromium();
if (executablePath === undefined) throw new Error('No Chromium found: set CHROMIUM to its path.');

const folder = mkdtempSync(join(tmpdir(), 'tensorkiln-report-'));
const run = process.argv[2] === undefined ? join(folder, 'run') : resolve(process.argv[2]);
if (process.argv[2] === undefined) {
  const config = join(root, 'examples/penguins/training-config.yaml');
  execFileSync(process.execPath, [join(root, 'dist/cli/main.js'), 'train', config, '--output', run], { stdio: 'inherit' });
}
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ viewport: { width: 1160, height: 1500 }, deviceScaleFactor: 1, colorScheme: 'light' });
  await page.goto(pathToFileURL(join(run, 'report.html')).href);
  await page.screenshot({ path: join(root, 'docs/images/report.png') });
} finally {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}
