import type { EChartsOption } from 'echarts';

import { importOptional } from '../../optional-package.js';
import { escapeHtml, SafeHtml } from './html.js';

/** The line that installs what charts need. */
export const CHARTS_INSTALL_LINE = 'npm install echarts@6';

/**
 * Colours of charts. A chart is drawn with the placeholders; in the finished SVG each becomes var(--tk-<name>, <fallback>),
 * so that one drawing follows the page's light or dark scheme and still has colours when it stands alone.
 */
const COLOURS = {
  ink: ['#100001', '#292524'],
  muted: ['#100002', '#78716c'],
  line: ['#100003', '#e7e5e4'],
  model: ['#100004', '#0f766e'],
  train: ['#100005', '#d08a1d'],
  wrong: ['#100006', '#c2410c'],
  logistic: ['#100007', '#b89b7d'],
  majority: ['#100008', '#d0ccc8'],
  onFill: ['#100009', '#ffffff'],
  series3: ['#10000a', '#2563a8'],
  series4: ['#10000b', '#8a4fbf'],
  series5: ['#10000c', '#b8860b'],
  series6: ['#10000d', '#64748b'],
} as const;

export type ColourName = keyof typeof COLOURS;

/** The placeholder to use in a chart's options. */
export function colour(name: ColourName): string {
  return COLOURS[name][0];
}

export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

export interface Chart extends ChartSize {
  /** Says in one sentence what the picture shows, for people who cannot see it. */
  readonly label: string;
  readonly option: EChartsOption;
}

/** Draws charts as SVG text. */
export class ChartRenderer {
  readonly #echarts: typeof import('echarts');
  #count = 0;

  private constructor(echarts: typeof import('echarts')) {
    this.#echarts = echarts;
  }

  /** Loads echarts; undefined when this optional package is not installed. */
  static async load(): Promise<ChartRenderer | undefined> {
    // The package's bundle, not its main file: one file loads in a quarter of the time of some 700.
    const echarts = await importOptional('echarts', () => import('echarts/dist/echarts.esm.min.mjs'));
    return echarts === undefined ? undefined : new ChartRenderer(echarts);
  }

  /** One chart as an <svg> element that scales down with its place. Equal charts of equal renderers are equal text. */
  render(chart: Chart): SafeHtml {
    const { width, height, label, option } = chart;
    const instance = this.#echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
    try {
      instance.setOption({ animation: false, ...option });
      return new SafeHtml(this.#clean(instance.renderToSVGString(), width, label));
    } finally {
      instance.dispose();
    }
  }

  /**
   * Removes what only interaction needs, makes ids repeatable, puts in names and colours. Every pattern holds a quote or an
   * angle bracket, which are escaped in the text of labels, so labels pass unchanged.
   */
  #clean(svg: string, width: number, label: string): string {
    const id = `chart-${++this.#count}`;
    const opening = `<svg role="img" aria-label="${escapeHtml(label)}" style="width:100%;max-width:${width}px;height:auto" `;
    const text = svg
      .replace(/<svg /, () => opening)
      .replaceAll(/ (?:xmlns:xlink|baseProfile|version)="[^"]*"/g, '')
      .replaceAll(/ (?:class|ecmeta_\w+)="[^"]*"/g, '')
      .replaceAll(/<style >[\s\S]*?<\/style>/g, '')
      .replaceAll(/="url\(#zr\d+-/g, `="url(#${id}-`)
      .replaceAll(/ id="zr\d+-/g, ` id="${id}-`);
    return Object.entries(COLOURS).reduce(
      (result, [name, [placeholder, fallback]]) =>
        result.replaceAll(`="${placeholder}"`, `="var(--tk-${cssName(name)}, ${fallback})"`),
      text,
    );
  }
}

function cssName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
