import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { configSchema, keysAt } from '../../ts/run/config/schema.js';
import { describeFailure, exitCodeOf } from '../../ts/cli/failure.js';
import { Output } from '../../ts/cli/output.js';
import { ProgressLine } from '../../ts/cli/progress-line.js';
import { withSnakeKeys } from '../../ts/run/snake-case.js';
import { TensorkilnError } from '../../ts/errors.js';
import type { EpochRecord } from '../../ts/train/types.js';

const record = (epoch: number): EpochRecord => ({
  epoch,
  trainLoss: 0.5,
  validationLoss: 0.25,
  validationAccuracy: 0.9,
  learningRate: 0.01,
  seconds: 1,
  samplesPerSecond: 12_345,
});

/** A stream that keeps what is written to it, as a terminal of some width or as a pipe. */
function capture(columns?: number): { output: Output; stream: PassThrough; text: () => string } {
  const stream = new PassThrough();
  if (columns !== undefined) Object.assign(stream, { isTTY: true, columns, hasColors: () => false });
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return { output: new Output(stream as unknown as NodeJS.WriteStream), stream, text: () => text };
}

describe('describeFailure', () => {
  const error = new TensorkilnError('E_DATA', '[csv] too short: expected 2, got 1.', { cause: new Error('beneath') });

  it('is one block with the code, without a stack', () => {
    expect(describeFailure(error, false)).toBe('error E_DATA: [csv] too short: expected 2, got 1.');
  });

  it('has stacks and causes when asked', () => {
    expect(describeFailure(error, true)).toMatch(/^error E_DATA:\n[^]*too short[^]*\n\s+at [^]*Error: beneath\n\s+at /);
  });

  it('calls anything else a defect', () => {
    expect(describeFailure(new TypeError('x is undefined'), false)).toMatch(
      /^error E_INTERNAL: x is undefined\n.*tensorkiln inspect/,
    );
  });

  it('gives 2 to usage and configuration, 1 to the rest', () => {
    expect(
      (['E_USAGE', 'E_CONFIG', 'E_DATA', 'E_DEVICE', 'E_IO'] as const).map((code) => exitCodeOf(new TensorkilnError(code, ''))),
    ).toEqual([2, 2, 1, 1, 1]);
    expect(exitCodeOf(new TypeError('x'))).toBe(1);
  });
});

describe('withSnakeKeys', () => {
  it('renames keys at every depth and leaves values alone', () => {
    expect(withSnakeKeys({ macroF1: 1, perClass: [{ logLoss: 'keepMe' }], none: null })).toEqual({
      macro_f1: 1,
      per_class: [{ log_loss: 'keepMe' }],
      none: null,
    });
  });
});

describe('ProgressLine', () => {
  it('redraws one line on a terminal, no wider than it, at most every 100 ms', () => {
    const { output, text } = capture(50);
    const progress = new ProgressLine(output, 200);
    for (let epoch = 1; epoch <= 5; epoch++) progress.epoch(record(epoch));
    progress.clear();
    const lines = text().split('\r\x1b[2K').slice(1);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^░{20} epoch {3}1\/200 {2}train loss/);
    expect(lines[0]?.length).toBeLessThan(50);
    expect(lines[1]).toBe('');
  });

  it('prints at most ten lines where there is no terminal', () => {
    const { output, text } = capture();
    const progress = new ProgressLine(output, 95);
    for (let epoch = 1; epoch <= 95; epoch++) progress.epoch(record(epoch));
    expect(
      text()
        .trimEnd()
        .split('\n')
        .map((line) => line.slice(0, 11)),
    ).toEqual([
      'epoch  1/95',
      'epoch 11/95',
      'epoch 21/95',
      'epoch 31/95',
      'epoch 41/95',
      'epoch 51/95',
      'epoch 61/95',
      'epoch 71/95',
      'epoch 81/95',
      'epoch 91/95',
    ]);
    expect(text()).not.toContain('\x1b');
  });
});

describe('Output', () => {
  it('goes silent when its reader has gone, and lets other errors through', () => {
    const { output, stream, text } = capture();
    output.line('first');
    stream.emit('error', Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
    output.line('second');
    expect(text()).toBe('first\n');
    expect(() => stream.emit('error', Object.assign(new Error('disk full'), { code: 'ENOSPC' }))).toThrow('disk full');
  });
});

describe('docs/configuration.md', () => {
  const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  const table = text.slice(0, text.indexOf('## Columns'));

  /** Dotted names of all keys that take a value. */
  function leaves(path: readonly string[]): string[] {
    const keys = keysAt(path);
    return keys === undefined ? [path.join('.')] : keys.flatMap((key) => leaves([...path, key]));
  }

  it('lists every key, and no other', () => {
    const documented = [...table.matchAll(/^\| (`.*?) +\|/gm)].flatMap(([, cell = '']) => {
      const names = [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
      const section = names[0]?.split('.')[0] ?? '';
      return names.map((name) => (name.startsWith('.') ? section + name : name));
    });
    expect(documented).toEqual(leaves([]));
  });

  it('names the defaults of plain keys', () => {
    const schema = z.toJSONSchema(configSchema, { io: 'output' }) as {
      properties: Record<string, { properties?: Record<string, { default?: unknown }> }>;
    };
    for (const [section, { properties }] of Object.entries(schema.properties)) {
      for (const [key, { default: value }] of Object.entries(properties ?? {})) {
        if (!['string', 'number', 'boolean'].includes(typeof value) || ['train', 'validation', 'test'].includes(key)) continue;
        expect(table).toMatch(new RegExp(`\\| \`${section}\\.${key}\` +\\| \`${String(value)}\``));
      }
    }
  });
});
