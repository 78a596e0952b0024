/** Reads TensorBoard event files, checking every checksum. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { EventSchema, type Event } from '../../ts/track/proto/event_pb.js';
import { maskedCrc32c } from '../../ts/track/record.js';

/** Payloads of a file; throws where a length or a checksum is wrong or the file ends early. */
export function recordsOf(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const payloads: Uint8Array[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(view.getBigUint64(at, true));
    const payload = file.subarray(at + 12, at + 12 + length);
    if (view.getUint32(at + 8, true) !== maskedCrc32c(file.subarray(at, at + 8))) throw new Error('checksum of a length');
    if (view.getUint32(at + 12 + length, true) !== maskedCrc32c(payload)) throw new Error('checksum of a record');
    payloads.push(payload);
    at += length + 16;
  }
  return payloads;
}

export interface ReadEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly what: Event['what'];
  readonly tag: string | undefined;
  readonly scalar: number | undefined;
  readonly shape: number[] | undefined;
  readonly buckets: number[] | undefined;
  readonly plugin: string | undefined;
  readonly description: string | undefined;
}

/** Events of the only file in a folder. */
export function readEvents(folder: string): ReadEvent[] {
  const names = readdirSync(folder);
  if (names.length !== 1) throw new Error(`${folder} holds ${String(names.length)} files`);
  return recordsOf(readFileSync(path.join(folder, names[0]!))).map((payload) => {
    const event = fromBinary(EventSchema, payload);
    const value = event.what.case === 'summary' ? event.what.value.value[0] : undefined;
    const tensor = value?.value.case === 'tensor' ? value.value.value : undefined;
    const content = tensor && Uint8Array.from(tensor.tensorContent).buffer;
    return {
      wallTime: event.wallTime,
      step: Number(event.step),
      what: event.what,
      tag: value?.tag,
      scalar: value?.value.case === 'simpleValue' ? value.value.value : undefined,
      shape: tensor?.tensorShape?.dim.map(({ size }) => Number(size)),
      buckets: content && [...new Float64Array(content)],
      plugin: value?.metadata?.pluginData?.pluginName,
      description: value?.metadata?.summaryDescription,
    };
  });
}
