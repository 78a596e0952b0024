import type { CustomSeriesRenderItem, EChartsOption } from 'echarts';

import type { ErrorPicture } from '../error-picture.js';
import { colour, type Chart } from './chart-renderer.js';
import { CURVE_SIZE, labelStyle, VALUE_AXIS } from './chart-style.js';
import { formatNumber } from './html.js';

const AXIS_NAME = { nameLocation: 'middle', nameTextStyle: labelStyle('muted') } as const;
const ERROR_LABEL = 'Errors by size: prediction less true value';

/** Where predictions lie beside the true values: the darker a cell the more rows; on the diagonal both are equal. */
export function agreementChart({ range, size, cells }: ErrorPicture, rows: number): Chart {
  const [least, greatest] = range;
  const step = (greatest - least) / size;
  const most = Math.max(...cells.map((cell) => cell.rows));
  const renderItem: CustomSeriesRenderItem = (_params, api) => {
    const [target, prediction, count] = [0, 1, 2].map((index) => api.value(index) as number) as [number, number, number];
    const [left, bottom] = api.coord([least + target * step, least + prediction * step]) as [number, number];
    const [right, top] = api.coord([least + (target + 1) * step, least + (prediction + 1) * step]) as [number, number];
    // By the root: a cell of a single row is still seen beside one of thousands.
    const opacity = 0.18 + 0.82 * Math.sqrt(count / most);
    const shape = { x: left + 0.5, y: top + 0.5, width: right - left - 1, height: bottom - top - 1, r: 1.5 };
    return { type: 'rect', shape, style: { fill: colour('model'), opacity } };
  };
  const axis = { ...VALUE_AXIS, min: least, max: greatest, axisLabel: { ...labelStyle('muted'), formatter: formatNumber } };
  const option: EChartsOption = {
    grid: { left: 76, right: 22, top: 14, bottom: 48 },
    xAxis: { ...axis, ...AXIS_NAME, name: 'true value', nameGap: 28, splitLine: { show: false } },
    yAxis: { ...axis, ...AXIS_NAME, name: 'predicted', nameGap: 60 },
    series: [
      {
        type: 'custom',
        silent: true,
        renderItem,
        data: cells.map((cell) => [cell.target, cell.prediction, cell.rows]),
      },
      {
        type: 'line',
        silent: true,
        symbol: 'none',
        lineStyle: { color: colour('muted'), type: 'dashed', width: 1.2 },
        data: [
          [least, least],
          [greatest, greatest],
        ],
      },
    ],
  };
  return { width: 520, height: 420, label: `Predicted beside true values of ${rows} rows`, option };
}

/** How many rows are wrong by how much. */
export function errorChart({ errors }: ErrorPicture): Chart {
  const most = Math.max(...errors.map((bin) => bin.rows));
  const renderItem: CustomSeriesRenderItem = (_params, api) => {
    const [from, to, rows] = [0, 1, 2].map((index) => api.value(index) as number) as [number, number, number];
    const [left, top] = api.coord([from, rows]) as [number, number];
    const [right, bottom] = api.coord([to, 0]) as [number, number];
    const shape = { x: left + 0.5, y: top, width: Math.max(1, right - left - 1), height: bottom - top };
    return { type: 'rect', shape, style: { fill: colour('model') } };
  };
  const option: EChartsOption = {
    grid: { left: 60, right: 22, top: 14, bottom: 48 },
    xAxis: {
      ...VALUE_AXIS,
      ...AXIS_NAME,
      min: errors[0]!.from,
      max: errors.at(-1)!.to,
      name: 'prediction less true value',
      nameGap: 28,
      axisLabel: { ...labelStyle('muted'), formatter: formatNumber },
      splitLine: { show: false },
    },
    yAxis: { ...VALUE_AXIS, ...AXIS_NAME, min: 0, max: most, minInterval: 1, name: 'rows', nameGap: 42 },
    series: [
      {
        type: 'custom',
        silent: true,
        renderItem,
        data: errors.map((bin) => [bin.from, bin.to, bin.rows]),
        markLine: {
          silent: true,
          symbol: 'none',
          label: { show: false },
          lineStyle: { color: colour('muted'), type: 'dashed', width: 1.2 },
          data: [{ xAxis: 0 }],
        },
      },
    ],
  };
  return { ...CURVE_SIZE, height: 420, label: ERROR_LABEL, option };
}
