import { colour, type ColourName } from './chart-renderer.js';

export const FONT = 'system-ui, sans-serif';
export const FONT_SIZE = 13;
/** Mean width of a character of the wider system fonts at this size. */
export const CHARACTER_WIDTH = 7.6;
export const CURVE_SIZE = { width: 520, height: 300 } as const;

export function labelStyle(name: ColourName): { color: string; fontFamily: string; fontSize: number } {
  return { color: colour(name), fontFamily: FONT, fontSize: FONT_SIZE };
}

export const VALUE_AXIS = {
  type: 'value',
  axisLine: { show: false },
  axisTick: { show: false },
  axisLabel: labelStyle('muted'),
  splitLine: { lineStyle: { color: colour('line') } },
} as const;

export const LEGEND = {
  left: 0,
  top: 0,
  icon: 'roundRect',
  itemWidth: 16,
  itemHeight: 4,
  itemGap: 26,
  textStyle: labelStyle('ink'),
} as const;
