/** A model as a text table. */
import type { Layer, UnaryLayer } from './layer.js';
import { formatBatchShape } from './shape.js';

const HEADINGS = ['Layer', 'Type', 'Output shape', 'Parameters', 'FLOPs'] as const;
const GAP = '  ';

function rowsOf(layer: Layer): string[][] {
  const row = [
    layer.path,
    layer.type,
    layer.outputShapes.map(formatBatchShape).join(', '),
    layer.countParameters().total.toLocaleString('en-US'),
    layer.countFlops().toLocaleString('en-US'),
  ];
  if (layer.sublayers.length === 0) return [row];
  return layer.sublayers.flatMap(rowsOf);
}

/** The model's name where it has one; layers in order with path, type, output shape and number of parameters, FLOPs per row, then the totals. No trailing line break. */
export function renderSummary(model: UnaryLayer): string {
  const rows = rowsOf(model);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] as string).length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column >= cells.length - 2 ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number),
      )
      .join(GAP);
  const rule = '-'.repeat(line(HEADINGS).length);
  const { total, trainable } = model.countParameters();
  return [
    ...(model.path === '' && model.name !== model.type ? [`Model ${model.name}`] : []),
    `Input ${model.inputShapes.map(formatBatchShape).join(', ')}`,
    rule,
    line(HEADINGS),
    rule,
    ...rows.map(line),
    rule,
    `Parameters: ${total.toLocaleString('en-US')} (trainable ${trainable.toLocaleString('en-US')})`,
    `FLOPs per row: ${model.countFlops().toLocaleString('en-US')} (matrix products and convolutions)`,
  ].join('\n');
}
