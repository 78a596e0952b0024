/** An optimised plan as a picture: its steps from top to bottom, chains as one box (those behind a product in its colour), and arcs from where a value is made to its uses. */

interface PictureStep {
  /** Text of each call. */
  readonly calls: string[];
  readonly made: Set<string>;
  readonly read: Set<string>;
  readonly kind: 'product' | 'chain' | 'update' | 'other';
}

const COLOURS = { product: '#c9daf8', chain: '#d9ead3', update: '#fce5cd', other: '#eeeeee' } as const;
const LINE = 18;
const GAP = 8;
const LEFT = 12;
const BOX = 640;
const SHOWN = 92;
const PRODUCTS = /= (?:matmul|linear|linear_grad|conv\w*|depthwise\w*|attention\w*|lstm\w*|gru\w*|rnn\w*)\(/;

/**
 * Draws the text of an optimised plan.
 *
 * @param text what `programs()` of a compiled step gives
 * @returns    SVG text
 */
export function planPicture(text: string): string {
  const lines = text.split('\n');
  const steps = stepsOf(lines);
  const maker = new Map<string, number>();
  const boxes: string[] = [];
  const arcs: string[] = [];
  const tops: number[] = [];
  let y = 64;
  for (const [index, step] of steps.entries()) {
    const height = step.calls.length * LINE + 8;
    tops.push(y);
    boxes.push(
      `<rect x="${LEFT}" y="${y}" width="${BOX}" height="${height}" rx="4" fill="${COLOURS[step.kind]}" stroke="#888"/>`,
      ...step.calls.map(
        (call, row) =>
          `<text x="${LEFT + 8}" y="${y + (row + 1) * LINE}">${escapeText(shorten(call))}<title>${escapeText(call)}</title></text>`,
      ),
    );
    for (const value of step.read) {
      const from = maker.get(value);
      // What the next step reads at once needs no arc.
      if (from === undefined || from === index || from === index - 1) continue;
      const start = (tops[from] as number) + 8;
      const end = y + 8;
      const bow = LEFT + BOX + Math.min(260, 20 + (end - start) / 4);
      arcs.push(
        `<path d="M${LEFT + BOX},${start} C${bow},${start} ${bow},${end} ${LEFT + BOX},${end}" fill="none" stroke="#4a6fa5" stroke-opacity="0.45"/>`,
      );
    }
    for (const value of step.made) maker.set(value, index);
    y += height + GAP;
  }
  const summary = (lines.find((line) => line.startsWith('#')) ?? '').slice(2);
  const legend = (Object.keys(COLOURS) as (keyof typeof COLOURS)[]).map(
    (kind, i) =>
      `<rect x="${LEFT + i * 110}" y="36" width="14" height="14" fill="${COLOURS[kind]}" stroke="#888"/><text x="${LEFT + 20 + i * 110}" y="48">${kind}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="960" height="${y + 16}" font-family="monospace" font-size="11">`,
    `<rect width="100%" height="100%" fill="white"/><text x="${LEFT}" y="20">${escapeText(summary)}</text>`,
    ...legend,
    ...arcs,
    ...boxes,
    '</svg>',
    '',
  ].join('\n');
}

function stepsOf(lines: readonly string[]): PictureStep[] {
  const steps: PictureStep[] = [];
  let chain: string[] | undefined;
  for (const line of lines) {
    if (line.startsWith('chain ')) chain = [];
    else if (line === '}') {
      if (chain !== undefined) steps.push(makeStep(chain, PRODUCTS.test(chain[0] ?? '') ? 'product' : 'chain'));
      chain = undefined;
    } else if (line.includes('(')) {
      if (chain !== undefined) chain.push(line.trim());
      else if (line.startsWith('%') || /^\w+\(/.test(line)) {
        steps.push(makeStep([line], PRODUCTS.test(line) ? 'product' : line.includes('&%') ? 'update' : 'other'));
      }
    }
  }
  return steps;
}

function makeStep(calls: string[], kind: PictureStep['kind']): PictureStep {
  const made = new Set<string>();
  const read = new Set<string>();
  for (const call of calls) {
    const equals = call.indexOf(' = ');
    for (const [name] of call.slice(0, Math.max(equals, 0)).matchAll(/%\d+/g)) made.add(name);
    for (const [, changes, name] of call.slice(Math.max(equals, 0)).matchAll(/(&?)(%\d+)/g)) {
      read.add(name as string);
      if (changes === '&') made.add(name as string);
    }
  }
  return { calls, made, read, kind };
}

function shorten(text: string): string {
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 3)}...`;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
