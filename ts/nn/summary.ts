/** A model as a text table. */
import type { Layer, UnaryLayer } from './layer.js';
import { formatBatchShape } from './shape.js';

const HEADINGS = ['Layer', 'Type', 'Output shape', 'Parameters'] as const;
const GAP = '  ';

function rowsOf(layer: Layer): string[][] {
  const row = [
    layer.path,
    layer.type,
    layer.outputShapes.map(formatBatchShape).join(', '),
    layer.countParameters().total.toLocaleString('en-US'),
  ];
  if (layer.sublayers.length === 0) return [row];
  return layer.sublayers.flatMap(rowsOf);
}

/** Layers in order with path, type, output shape and number of parameters, then the totals. No trailing line break. */
export function renderSummary(model: UnaryLayer): string {
  const rows = rowsOf(model);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] as string).length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === cells.length - 1 ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number),
      )
      .join(GAP);
  const rule = '-'.repeat(line(HEADINGS).length);
  const { total, trainable } = model.countParameters();
  return [
    `Input ${formatBatchShape(model.inputShape)}`,
    rule,
    line(HEADINGS),
    rule,
    ...rows.map(line),
    rule,
    `Parameters: ${total.toLocaleString('en-US')} (trainable ${trainable.toLocaleString('en-US')})`,
  ].join('\n');
}
