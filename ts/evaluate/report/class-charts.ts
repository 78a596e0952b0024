import type { EChartsOption, LineSeriesOption } from 'echarts';

import type { Calibration, ClassCurve, ClassCurves, CurvePoints } from '../class-curves.js';
import { colour, type Chart, type ColourName } from './chart-renderer.js';
import { labelStyle, LEGEND, VALUE_AXIS } from './chart-style.js';
import { countOf } from './html.js';

const SERIES = ['model', 'wrong', 'series3', 'series4', 'series5', 'series6'] as const satisfies readonly ColourName[];
const SIZE = { width: 520, height: 430 } as const;
const LEGEND_ROW = 24;

/** True positive rate by false positive rate, for each class that has a curve. */
export function rocChart({ curves }: ClassCurves): Chart {
  const chance: CurvePoints = [
    [0, 0],
    [1, 1],
  ];
  return shareChart(
    curves.map((curve) => ({ name: `${curve.name}, area ${curve.rocAuc.toFixed(3)}`, points: curve.roc })),
    [chance],
    { x: 'false positive rate', y: 'true positive rate' },
    `ROC curve: ${describe(curves, 'rocAuc')}`,
  );
}

/** Precision by recall, for each class that has a curve. */
export function precisionRecallChart({ curves }: ClassCurves): Chart {
  // What guessing reaches is a level of its own for each class; with several it would be a thicket.
  const chance: CurvePoints[] = curves.slice(0, curves.length === 1 ? 1 : 0).map(({ share }) => [
    [0, share],
    [1, share],
  ]);
  return shareChart(
    curves.map((curve) => ({ name: `${curve.name}, area ${curve.prAuc.toFixed(3)}`, points: curve.precisionRecall })),
    chance,
    { x: 'recall', y: 'precision' },
    `Precision-recall curve: ${describe(curves, 'prAuc')}`,
  );
}

function describe(curves: readonly ClassCurve[], area: 'rocAuc' | 'prAuc'): string {
  return curves.map((curve) => `${curve.name} ${curve[area].toFixed(3)}`).join(', ');
}

/** What came true beside what was said, and how many rows each tenth rests on. */
export function calibrationChart({ about, bins }: Calibration, rows: number): Chart {
  const points: CurvePoints = bins.map((bin) => [bin.meanProbability, bin.observedShare]);
  const chart = shareChart(
    [{ name: about, points }],
    [
      [
        [0, 0],
        [1, 1],
      ],
    ],
    { x: 'probability said', y: 'share that came true' },
    `Calibration of ${about} over ${countOf(rows, 'row')}`,
  );
  const most = Math.max(...bins.map((bin) => bin.rows));
  const [line, ...rest] = chart.option.series as LineSeriesOption[];
  const series: LineSeriesOption[] = [
    {
      ...line,
      showSymbol: true,
      symbol: 'circle',
      // The area of a dot is in proportion to its rows; the smallest can still be seen.
      symbolSize: (_value: unknown, { dataIndex }: { dataIndex: number }) =>
        5 + 17 * Math.sqrt((bins[dataIndex]?.rows ?? 0) / most),
    },
    ...rest,
  ];
  return { ...chart, option: { ...chart.option, series } };
}

/** Curves between shares: both axes from 0 to 1. */
function shareChart(
  curves: readonly { readonly name: string; readonly points: CurvePoints }[],
  guides: readonly CurvePoints[],
  axes: { readonly x: string; readonly y: string },
  label: string,
): Chart {
  const axis = { ...VALUE_AXIS, min: 0, max: 1, interval: 0.25, axisLabel: { ...labelStyle('muted'), formatter: percent } };
  const name = { nameLocation: 'middle', nameTextStyle: labelStyle('muted') } as const;
  const series: LineSeriesOption[] = [
    ...curves.map((curve, i): LineSeriesOption => {
      const color = colour(SERIES[i % SERIES.length]!);
      return {
        type: 'line',
        name: curve.name,
        silent: true,
        showSymbol: false,
        lineStyle: { color, width: 2.2 },
        itemStyle: { color },
        data: curve.points.map(([x, y]) => [x, y]),
      };
    }),
    ...guides.map((points): LineSeriesOption => ({
      type: 'line',
      silent: true,
      symbol: 'none',
      lineStyle: { color: colour('muted'), type: 'dashed', width: 1.2 },
      data: points.map(([x, y]) => [x, y]),
    })),
  ];
  const top = 18 + LEGEND_ROW * curves.length;
  const option: EChartsOption = {
    grid: { left: 64, right: 22, top, bottom: 50 },
    legend: { ...LEGEND, orient: 'vertical', itemGap: 8, data: curves.map((curve) => curve.name) },
    xAxis: { ...axis, ...name, name: axes.x, nameGap: 30, splitLine: { show: false } },
    yAxis: { ...axis, ...name, name: axes.y, nameGap: 48 },
    series,
  };
  return { width: SIZE.width, height: SIZE.height + LEGEND_ROW * (curves.length - 1), label, option };
}

function percent(value: number): string {
  return `${Math.round(100 * value)} %`;
}
