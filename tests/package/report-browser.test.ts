/** The report in a real browser: it asks for nothing, runs nothing, and its charts are not blank. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium } from '../../scripts/find-chromium.mjs';
import {
  classCurves,
  evaluateClassification,
  evaluateRegression,
  pictureErrors,
  renderReport,
  renderTrainingCurves,
  type ReportInput,
} from '../../ts/evaluate/index.js';

const executablePath = findChromium();
let browser: Browser | undefined;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-browser-'));
  if (executablePath !== undefined) browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

const HISTORY: ReportInput['history'] = {
  epochs: Array.from({ length: 20 }, (_, i) => ({
    epoch: i + 1,
    trainLoss: 1 / (i + 1),
    validationLoss: 1.1 / (i + 1),
    validationAccuracy: 1 - 0.5 / (i + 1),
  })),
  bestEpoch: 20,
  stopReason: 'early_stopping',
};
const FACTS = {
  title: 'A run',
  run: { seeds: {}, versions: {}, rows: { train: 80, test: 120 }, features: ['x'] },
  history: HISTORY,
};

function classification(): ReportInput {
  const labels = Array.from({ length: 120 }, (_, row) => row % 2);
  const probabilities = labels.flatMap((label, row) => {
    const share = Math.min(0.97, Math.max(0.03, 0.25 + 0.4 * label + ((row * 29) % 31) / 90));
    return [1 - share, share];
  });
  const classes = ['no', 'yes'];
  const metrics = evaluateClassification(probabilities, labels, classes);
  const baselines = [{ name: 'majority' as const, description: 'the most frequent', metrics }];
  return { ...FACTS, task: 'classification', metrics, baselines, curves: classCurves(probabilities, labels, classes) };
}

function regression(): ReportInput {
  const targets = Array.from({ length: 120 }, (_, row) => row % 40);
  const predictions = targets.map((target, row) => target + ((row * 17) % 13) - 6);
  const metrics = evaluateRegression(predictions, targets);
  return { ...FACTS, task: 'regression', metrics, baselines: [], picture: pictureErrors(predictions, targets) };
}

/** Share of pixels that are not the colour of the upper left corner. */
async function inkOf(png: Buffer): Promise<number> {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  let ink = 0;
  for (let i = 0; i < data.length; i += 3) {
    if (Math.abs(data[i]! - data[0]!) + Math.abs(data[i + 1]! - data[1]!) + Math.abs(data[i + 2]! - data[2]!) > 30) ink += 1;
  }
  return ink / (info.width * info.height);
}

const NO_BROWSER = 'no Chromium found: set CHROMIUM to its path';

describe.each([
  ['classification', classification, 7],
  ['regression', regression, 4],
] as const)('a report of %s in Chromium', (task, make, charts) => {
  it.for(['light', 'dark'] as const)('shows its charts in the %s scheme', async (colorScheme, { skip }) => {
    if (browser === undefined) return skip(NO_BROWSER);
    const path = join(folder, `${task}.html`);
    writeFileSync(path, await renderReport(make()));
    const page = await browser.newPage({ viewport: { width: 1160, height: 900 }, colorScheme });
    const problems: string[] = [];
    page.on('console', (message) => problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      if (request.url() !== pathToFileURL(path).href) problems.push(request.url());
    });
    await page.goto(pathToFileURL(path).href);
    const pictures = await page.locator('figure svg').all();
    expect(pictures.length).toBe(charts);
    for (const picture of pictures) {
      const label = await picture.getAttribute('aria-label');
      expect(await inkOf(await picture.screenshot()), label ?? '').toBeGreaterThan(0.01);
    }
    expect(await page.evaluate<boolean>('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
    expect(problems).toEqual([]);
    await page.close();
  });
});

describe('the page on a phone', () => {
  it('is as wide as the screen, and the curves stand alone as a picture', async ({ skip }) => {
    if (browser === undefined) return skip(NO_BROWSER);
    const path = join(folder, 'phone.html');
    writeFileSync(path, await renderReport(classification()));
    const page = await browser.newPage({ viewport: { width: 375, height: 700 } });
    await page.goto(pathToFileURL(path).href);
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(375);
    const curves = join(folder, 'curves.svg');
    writeFileSync(curves, await renderTrainingCurves(HISTORY));
    await page.goto(pathToFileURL(curves).href);
    expect(await inkOf(await page.screenshot())).toBeGreaterThan(0.01);
    await page.close();
  });
});
