/** Event files for TensorBoard: framing, buckets, the writer. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { EventFileWriter } from '../../ts/track/event-file.js';
import { histogramBuckets } from '../../ts/track/histogram.js';
import { EventSchema } from '../../ts/track/proto/event_pb.js';
import { crc32c, frameRecord, maskedCrc32c } from '../../ts/track/record.js';
import { readEvents, recordsOf } from '../support/event-file.js';
import { textOf } from '../support/files.js';

const folder = mkdtempSync(path.join(tmpdir(), 'tensorkiln-track-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.useRealTimers();
});

const { events: fixture } = JSON.parse(textOf('tests/fixtures/tfjs_node.json')) as {
  events: { file: string; values: number[]; buckets: number[] };
};

describe('records', () => {
  it('have the checksums of the standard vector', () => {
    const text = new TextEncoder().encode('123456789');
    expect(crc32c(text)).toBe(0xe3069283);
    expect(maskedCrc32c(text)).toBe(0xc78ab0e5);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });

  it('equal those of tensorboard byte for byte', () => {
    const file = Buffer.from(fixture.file, 'base64');
    const payloads = recordsOf(file);
    expect(payloads.length).toBe(2);
    expect(Buffer.concat(payloads.map(frameRecord)).equals(file)).toBe(true);
    const [version, scalar] = payloads.map((payload) => fromBinary(EventSchema, payload));
    expect(version).toMatchObject({ wallTime: 1700000000.5, what: { case: 'fileVersion', value: 'brain.Event:2' } });
    expect(scalar).toMatchObject({ wallTime: 1700000001.25, step: 3n });
    expect(scalar!.what.case === 'summary' && scalar!.what.value.value[0]).toMatchObject({
      tag: 'loss',
      value: { case: 'simpleValue', value: 0.75 },
    });
    expect(Buffer.from(toBinary(EventSchema, scalar!)).equals(payloads[1]!)).toBe(true);
  });
});

describe('histogramBuckets', () => {
  it('counts as tensorboard does', () => {
    const rows = [...histogramBuckets(fixture.values, 8)];
    rows.forEach((value, index) => expect(value, String(index)).toBeCloseTo(fixture.buckets[index]!, 12));
    expect(rows.length).toBe(fixture.buckets.length);
  });

  it('gives one bucket for equal values, none for no values, and leaves out what is not finite', () => {
    expect([...histogramBuckets([2, 2, 2], 30)]).toEqual([1.5, 2.5, 3]);
    expect([...histogramBuckets([], 30)]).toEqual([]);
    expect([...histogramBuckets([NaN, Infinity], 3)]).toEqual([]);
    expect([...histogramBuckets([0, NaN, 1, -Infinity, 0.25], 2)]).toEqual([0, 0.5, 2, 0.5, 1, 1]);
  });
});

describe('EventFileWriter', () => {
  const eventsIn = (name: string): ReturnType<typeof readEvents> => readEvents(path.join(folder, name));

  it('writes scalars and histograms that read back', () => {
    const writer = new EventFileWriter(path.join(folder, 'a', 'b'), { suffix: '.v2' });
    writer.scalar('loss', 0.5, 1);
    writer.scalar('loss', NaN, 2 ** 40);
    writer.histogram('weights', Float32Array.of(0, 1, 1, 2), 7, { bucketCount: 2, description: 'all of them' });
    writer.histogram('weights', [], 8);
    writer.close();
    expect(path.basename(writer.path)).toMatch(/^events\.out\.tfevents\.\d{10}\..*\.v2$/);
    const [version, first, second, histogram, empty] = eventsIn('a/b');
    expect(version!.what).toEqual({ case: 'fileVersion', value: 'brain.Event:2' });
    expect(Math.abs(version!.wallTime - Date.now() / 1000)).toBeLessThan(3600);
    expect(first).toMatchObject({ step: 1, tag: 'loss', scalar: 0.5 });
    expect(second).toMatchObject({ step: 2 ** 40, tag: 'loss', scalar: NaN });
    expect(histogram).toMatchObject({ step: 7, tag: 'weights', shape: [2, 3], buckets: [0, 1, 1, 1, 2, 3] });
    expect(histogram!.plugin).toBe('histograms');
    expect(histogram!.description).toBe('all of them');
    // The plugin is named on the first value of a tag only.
    expect(empty).toMatchObject({ step: 8, shape: [0, 3], buckets: [], plugin: undefined });
  });

  it('writes when the queue is full, after a time, and when asked', () => {
    vi.useFakeTimers();
    const writer = new EventFileWriter(path.join(folder, 'queue'), { maxQueue: 2, flushMs: 1000 });
    writer.scalar('x', 0, 0);
    expect(eventsIn('queue').length).toBe(0);
    writer.scalar('x', 1, 1); // the third record, with the version
    expect(eventsIn('queue').length).toBe(3);
    writer.scalar('x', 2, 2);
    vi.advanceTimersByTime(999);
    expect(eventsIn('queue').length).toBe(3);
    vi.advanceTimersByTime(1);
    expect(eventsIn('queue').length).toBe(4);
    writer.scalar('x', 3, 3);
    writer.flush();
    expect(eventsIn('queue').length).toBe(5);
    writer.close();
  });

  it('gives each writer a file of its own', () => {
    const writers = [0, 1, 2].map(() => new EventFileWriter(path.join(folder, 'many')));
    writers.forEach((writer) => writer.close());
    expect(readdirSync(path.join(folder, 'many')).length).toBe(3);
  });

  it('refuses a step that is not an integer, bad buckets, use after close and a folder that is a file', () => {
    const writer = new EventFileWriter(path.join(folder, 'errors'));
    expect(() => writer.scalar('x', 1, 0.5)).toThrow(expect.objectContaining({ code: 'E_USAGE', message: '[x] step: expected an integer, got 0.5.' })); // prettier-ignore
    expect(() => writer.histogram('x', [1], 0, { bucketCount: 0 })).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    writer.close();
    writer.close();
    writer.flush();
    expect(() => writer.scalar('x', 1, 0)).toThrow(expect.objectContaining({ code: 'E_CLOSED' }));
    const file = path.join(folder, 'file');
    writeFileSync(file, '');
    expect(() => new EventFileWriter(path.join(file, 'run'))).toThrow(expect.objectContaining({ code: 'E_IO' }));
    expect(readFileSync(file, 'utf8')).toBe('');
  });
});
