import type { CustomSeriesRenderItem, EChartsOption, XAXisComponentOption, YAXisComponentOption } from 'echarts';

import type { ClassificationBaseline } from '../baselines.js';
import type { ClassificationMetrics } from '../metrics.js';
import { colour, type Chart, type ColourName } from './chart-renderer.js';
import { CHARACTER_WIDTH, CURVE_SIZE, FONT, FONT_SIZE, labelStyle, LEGEND, VALUE_AXIS } from './chart-style.js';
import { countOf } from './html.js';
import { choiceOf } from './kept-epoch.js';
import type { LearningHistory } from './types.js';

/** Above this many classes cells are too small to read; the report then lists the most frequent mistakes instead. */
export const MAX_HEAT_MAP_CLASSES = 40;
/** Above this many classes only the weakest are drawn as bars. */
export const MAX_BAR_CLASSES = 25;

interface Curve {
  readonly name: string;
  readonly colour: ColourName;
  readonly values: readonly (number | undefined)[];
}

/** Training and validation loss over the epochs. */
export function lossChart(history: LearningHistory): Chart {
  const { epochs } = history;
  const curves: Curve[] = [{ name: 'training loss', colour: 'train', values: epochs.map((point) => point.trainLoss) }];
  if (epochs.some((point) => point.validationLoss !== undefined)) {
    curves.push({ name: 'validation loss', colour: 'model', values: epochs.map((point) => point.validationLoss) });
  }
  return curveChart(
    history,
    curves,
    VALUE_AXIS,
    `Loss over ${countOf(epochs.length, 'epoch')}: ${curves.map((curve) => curve.name).join(' and ')}`,
  );
}

/** Validation accuracy over the epochs; undefined when none was measured. */
export function accuracyChart(history: LearningHistory): Chart | undefined {
  const values = history.epochs.map((point) => point.validationAccuracy);
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return undefined;
  const axis: YAXisComponentOption = {
    ...VALUE_AXIS,
    // A tenth below the lowest value shows the shape without hiding that the axis does not start at 0.
    min: Math.max(0, Math.floor(Math.min(...known) * 10 - 0.5) / 10),
    max: 1,
    axisLabel: { ...labelStyle('muted'), formatter: (value: number) => `${Math.round(100 * value)} %` },
  };
  const curve: Curve = { name: 'validation accuracy', colour: 'model', values };
  return curveChart(history, [curve], axis, `Validation accuracy over ${countOf(history.epochs.length, 'epoch')}`);
}

function curveChart(history: LearningHistory, curves: readonly Curve[], yAxis: YAXisComponentOption, label: string): Chart {
  const { epochs } = history;
  const first = epochs[0]?.epoch ?? 1;
  const last = epochs.at(-1)?.epoch ?? 1;
  const xAxis: XAXisComponentOption = {
    ...VALUE_AXIS,
    min: first,
    max: Math.max(last, first + 1),
    minInterval: 1,
    name: 'epoch',
    nameLocation: 'middle',
    nameGap: 26,
    nameTextStyle: labelStyle('muted'),
    axisLine: { show: true, onZero: false, lineStyle: { color: colour('muted') } },
    splitLine: { show: false },
  };
  const series = curves.map((curve, i) => ({
    type: 'line' as const,
    name: curve.name,
    silent: true,
    // A single epoch is a dot, or nothing would be seen.
    showSymbol: epochs.length === 1,
    symbol: 'circle',
    symbolSize: 7,
    sampling: 'lttb' as const,
    lineStyle: { color: colour(curve.colour), width: 2.2 },
    itemStyle: { color: colour(curve.colour) },
    data: epochs.map((point, j) => [point.epoch, finiteOrGap(curve.values[j])]),
    ...(i === 0 && epochs.length > 1 ? { markLine: keptEpochLine(history, last) } : {}),
  }));
  const option: EChartsOption = {
    grid: { left: 56, right: 18, top: 56, bottom: 46 },
    legend: LEGEND,
    xAxis,
    yAxis,
    series,
  };
  return { ...CURVE_SIZE, label, option };
}

/** ECharts draws a gap for null; NaN and infinity would spoil the axis. */
function finiteOrGap(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

function keptEpochLine(history: LearningHistory, lastEpoch: number): object {
  const { bestEpoch } = history;
  return {
    silent: true,
    symbol: 'none',
    lineStyle: { color: colour('muted'), type: 'dashed', width: 1 },
    label: {
      ...labelStyle('muted'),
      formatter: `${choiceOf(history) === 'last' ? 'kept' : 'best'}: epoch ${bestEpoch}`,
      // Near the right edge a centred label would be cut off.
      align: bestEpoch > 0.85 * lastEpoch ? 'right' : 'center',
      distance: 6,
    },
    data: [{ xAxis: bestEpoch }],
  };
}

/** Rows by true and predicted class: right ones in the model's colour, mistakes in the warning colour. */
export function confusionChart(metrics: ClassificationMetrics): Chart {
  const { classes, confusion, perClass } = metrics;
  const number = classes.length;
  const cell = Math.min(84, Math.max(15, Math.floor(380 / number)));
  const longest = Math.max(...classes.map((name) => name.length)) * CHARACTER_WIDTH;
  const left = Math.min(130, Math.ceil(longest) + 14) + 26;
  const isRotated = longest > cell - 8;
  const bottom = (isRotated ? Math.min(90, Math.ceil(longest * 0.7) + 20) : 24) + 26;
  const fontSize = Math.min(17, Math.max(8, Math.floor(cell / 3.2)));

  const renderItem: CustomSeriesRenderItem = (_params, api) => {
    const [column, row] = [api.value(0) as number, api.value(1) as number];
    const count = confusion[row]![column]!;
    const share = count === 0 ? 0 : count / perClass[row]!.support;
    const [x, y] = api.coord([column, row]) as [number, number];
    // Even one mistake among thousands must be seen, hence a floor.
    const opacity = count === 0 ? 0 : 0.16 + 0.84 * share;
    const gap = cell > 30 ? 2 : 0.5;
    const shape = {
      x: x - cell / 2 + gap,
      y: y - cell / 2 + gap,
      width: cell - 2 * gap,
      height: cell - 2 * gap,
      r: cell > 30 ? 6 : 1,
    };
    const fill = count === 0 ? colour('line') : colour(row === column ? 'model' : 'wrong');
    return {
      type: 'group',
      children: [
        { type: 'rect', shape, style: { fill, opacity: count === 0 ? 0.45 : opacity } },
        {
          type: 'text',
          style: {
            text: count === 0 && number > 12 ? '' : String(count),
            x,
            y,
            align: 'center',
            verticalAlign: 'middle',
            fill: colour(count === 0 ? 'muted' : share > 0.5 ? 'onFill' : 'ink'),
            fontFamily: FONT,
            fontSize,
            fontWeight: count === 0 ? 'normal' : 'bold',
          },
        },
      ],
    };
  };
  const axis = {
    type: 'category' as const,
    data: [...classes],
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { show: false },
    nameLocation: 'middle' as const,
    nameTextStyle: labelStyle('muted'),
  };
  const axisLabel = {
    ...labelStyle('ink'),
    interval: 0,
    fontSize: Math.min(FONT_SIZE, Math.max(8, cell - 4)),
    overflow: 'truncate' as const,
  };
  const option: EChartsOption = {
    grid: { left, top: 4, width: cell * number, height: cell * number },
    xAxis: {
      ...axis,
      name: 'predicted',
      nameGap: bottom - 18,
      axisLabel: { ...axisLabel, width: isRotated ? 110 : cell, rotate: isRotated ? 40 : 0 },
    },
    yAxis: { ...axis, inverse: true, name: 'true class', nameGap: left - 14, axisLabel: { ...axisLabel, width: left - 36 } },
    series: [
      {
        type: 'custom',
        silent: true,
        renderItem,
        data: classes.flatMap((_, row) => classes.map((__, column) => [column, row])),
      },
    ],
  };
  const right = isRotated ? 18 : 6;
  const label = `Confusion matrix of ${metrics.rows} rows and ${number} classes`;
  return { width: left + cell * number + right, height: cell * number + bottom + 6, label, option };
}

/** F1 per class beside the baselines; the weakest classes when there are too many. */
export function classChart(metrics: ClassificationMetrics, baselines: readonly ClassificationBaseline[]): Chart {
  const shown = metrics.perClass
    .map((entry, k) => ({ name: entry.name, f1: entry.f1, k }))
    .sort((a, b) => (metrics.perClass.length > MAX_BAR_CLASSES ? a.f1 - b.f1 : a.k - b.k))
    .slice(0, MAX_BAR_CLASSES);
  const sources: { name: string; colour: ColourName; values: number[] }[] = [
    { name: 'model', colour: 'model', values: shown.map((entry) => entry.f1) },
    ...baselines.map((baseline) => ({
      name: `${baseline.name} baseline`,
      colour: baseline.name,
      values: shown.map((entry) => baseline.metrics.perClass[entry.k]!.f1),
    })),
  ];
  const longest = Math.max(...shown.map((entry) => entry.name.length)) * CHARACTER_WIDTH;
  const left = Math.min(160, Math.ceil(longest) + 24);
  const barHeight = shown.length > 10 ? 8 : 15;
  const option: EChartsOption = {
    grid: { left, right: 52, top: 40, bottom: 30 },
    legend: { ...LEGEND, itemHeight: 10, itemWidth: 14 },
    xAxis: {
      ...VALUE_AXIS,
      min: 0,
      max: 1,
      interval: 0.25,
      axisLabel: { ...labelStyle('muted'), formatter: (value: number) => `${Math.round(100 * value)} %` },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: shown.map((entry) => entry.name),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { ...labelStyle('ink'), width: left - 26, overflow: 'truncate', interval: 0 },
    },
    series: sources.map((source) => ({
      type: 'bar' as const,
      name: source.name,
      silent: true,
      barWidth: barHeight,
      barGap: '18%',
      itemStyle: { color: colour(source.colour), borderRadius: [0, 3, 3, 0] },
      label: {
        ...labelStyle(source.name === 'model' ? 'ink' : 'muted'),
        show: shown.length <= 10,
        fontSize: 12,
        position: 'right' as const,
        formatter: (params: { value?: unknown }) => `${(100 * Number(params.value)).toFixed(0)} %`,
      },
      data: source.values,
    })),
  };
  const height = 70 + shown.length * (sources.length * barHeight * 1.18 + 18);
  return { width: 520, height: Math.round(height), label: `F1 score of ${shown.length} classes: model and baselines`, option };
}
