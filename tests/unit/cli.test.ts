import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { describeFailure, exitCodeOf } from '../../ts/cli/failure.js';
import { Output } from '../../ts/cli/output.js';
import { formatSeconds, ProgressLine } from '../../ts/cli/progress-line.js';
import { describeEnd } from '../../ts/cli/run-reporter.js';
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
  cpuSeconds: 2,
  residentBytes: 1e8,
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

describe('describeEnd', () => {
  const end = (validationLosses: readonly (number | undefined)[], bestEpoch: number): string => {
    const epochs = validationLosses.map((validationLoss, i) => {
      const { epoch, trainLoss, learningRate, seconds, samplesPerSecond, cpuSeconds, residentBytes } = record(i + 1);
      const plain = { epoch, trainLoss, learningRate, seconds, samplesPerSecond, cpuSeconds, residentBytes };
      return validationLoss === undefined ? plain : { ...plain, validationLoss };
    });
    return describeEnd({ epochs, bestEpoch, stopReason: 'epochs' });
  };

  it('calls weights the best only where they are', () => {
    expect(end([0.5, 0.4], 2)).toBe('Trained all 2 epochs; weights of epoch 2, the best on validation rows');
    expect(end([0.4, 0.5, 0.6], 1)).toBe('Trained all 3 epochs; weights of epoch 1, the best on validation rows');
    expect(end([0.4, 0.5, 0.6], 3)).toBe('Trained all 3 epochs; weights of epoch 3, the last');
    expect(end([undefined, undefined], 1)).toBe('Trained all 2 epochs; weights of epoch 1, the best by training loss');
    expect(end([undefined, undefined], 2)).toBe('Trained all 2 epochs; weights of epoch 2, the last');
    expect(end([0.4], 1)).toBe('Trained the one epoch; weights of epoch 1, the best on validation rows');
    expect(end([], 0)).toBe('Trained all 0 epochs; no epoch was complete');
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
    let now = 0;
    const progress = new ProgressLine(output, { epochs: 200, stepsPerEpoch: 4, rows: 64 }, () => now);
    for (let epoch = 1; epoch <= 5; epoch++) {
      progress.epoch(record(epoch));
      now += 30;
    }
    progress.clear();
    const lines = text().split('\r\x1b[2K').slice(1);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^░{20} epoch {3}1\/200 {2}train loss/);
    expect(lines[0]?.length).toBeLessThan(50);
    expect(lines[1]).toMatch(/epoch {3}5\/200/);
    expect(lines[2]).toBe('');
  });

  it('tells loss, metrics, samples per second and the time left from step to step', () => {
    const { output, text } = capture(200);
    let now = 0;
    const progress = new ProgressLine(output, { epochs: 10, stepsPerEpoch: 10, rows: 160 }, () => now);
    for (let step = 1; step <= 10; step++) {
      now += 1000;
      progress.step({ epoch: 1, step, loss: 0.75, rows: 16 });
    }
    progress.epoch(record(1));
    now += 1000;
    progress.step({ epoch: 2, step: 1, loss: 0.5, rows: 16 });
    const last = text().split('\r\x1b[2K').at(-1);
    expect(last).toBe(
      '██░░░░░░░░░░░░░░░░░░ epoch  2/10  loss 0.5000  validation loss 0.2500  accuracy 90.0 %  16 rows/s  1m29s left',
    );
  });

  it('prints at most ten lines where there is no terminal', () => {
    const { output, text } = capture();
    const progress = new ProgressLine(output, { epochs: 95, stepsPerEpoch: 1, rows: 1 });
    for (let epoch = 1; epoch <= 95; epoch++) {
      progress.step({ epoch, step: 1, loss: 1, rows: 1 });
      progress.epoch(record(epoch));
    }
    expect(
      text()
        .trimEnd()
        .split('\n')
        .map((line) => line.slice(0, 11)),
    ).toEqual(Array.from({ length: 10 }, (_, index) => `epoch ${String(10 * index + 1).padStart(2)}/95`));
    expect(text()).not.toContain('\x1b');
  });

  it.each([
    [0.4, '0s'],
    [59.4, '59s'],
    [185, '3m05s'],
    [7800, '2h10m'],
  ])('%s seconds are %s', (seconds, expected) => {
    expect(formatSeconds(seconds)).toBe(expected);
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
