import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors, float32Of, safetensorsEntry } from '../../ts/formats/safetensors.js';
import { ROOT } from '../support/files.js';

const folder = join(ROOT, 'tests', 'fixtures', 'safetensors');

interface Case {
  readonly name: string;
  readonly hex: string;
  readonly accepted: boolean;
}

describe('safetensors', () => {
  it('reads a file of the reference implementation', () => {
    const { tensors, metadata } = decodeSafetensors(readFileSync(join(folder, 'reference.safetensors')), 'reference');
    expect(metadata).toEqual({ note: 'grüße' });
    expect(Object.fromEntries(Object.entries(tensors).map(([name, { dtype, shape }]) => [name, [dtype, shape]]))).toEqual({
      'weights/kernel': ['F32', [2, 3]],
      scalar: ['F32', []],
      counts: ['I32', [3]],
      flags: ['BOOL', [3]],
      none: ['F32', [0, 4]],
    });
    expect([...float32Of('k', tensors['weights/kernel']!)]).toEqual([0, 0.25, 0.5, 0.75, 1, 1.25]);
    expect([...float32Of('s', tensors['scalar']!)]).toEqual([-1.5]);
    expect([...new Int32Array(tensors['counts']!.bytes.slice().buffer)]).toEqual([1, -2, 3]);
    expect(() => float32Of('counts', tensors['counts']!)).toThrow(/wrong dtype of tensor "counts": expected F32, got I32/);
  });

  it.each(JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as Case[])(
    '$name: taken or refused as the reference implementation does',
    ({ hex, accepted }) => {
      const read = (): unknown => decodeSafetensors(Buffer.from(hex, 'hex'), 'case');
      if (accepted) expect(read).not.toThrow();
      else expect(read).toThrow(expect.objectContaining({ code: 'E_DATA' }));
    },
  );

  it('writes what it reads, aligned, for any names and shapes', () => {
    const tensor = fc
      .array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 })
      .map((shape) => ({ shape, size: shape.reduce((product, dim) => product * dim, 1) }));
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), tensor, { maxKeys: 6 }),
        fc.dictionary(fc.string(), fc.string()),
        (shapes, metadata) => {
          fc.pre(!('__metadata__' in shapes));
          const tensors = Object.fromEntries(
            Object.entries(shapes).map(([name, { shape, size }], seed) => [
              name,
              safetensorsEntry(
                Float32Array.from({ length: size }, (_, i) => seed + i / 3),
                shape,
              ),
            ]),
          );
          const bytes = encodeSafetensors({ tensors, metadata });
          expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
          const read = decodeSafetensors(bytes, 'own');
          expect(read.metadata).toEqual(metadata);
          expect(Object.keys(read.tensors).sort()).toEqual(Object.keys(tensors).sort());
          for (const [name, entry] of Object.entries(tensors)) {
            expect(read.tensors[name]?.shape).toEqual(entry.shape);
            expect(float32Of(name, read.tensors[name]!)).toEqual(float32Of(name, entry));
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('refuses what no reader would take', () => {
    const bytes = new Uint8Array(8);
    expect(() => encodeSafetensors({ tensors: { a: { dtype: 'F32', shape: [3], bytes } }, metadata: {} })).toThrow(
      /wrong size of tensor "a": expected 12 bytes for F32 \[3\], got 8/,
    );
    expect(() => encodeSafetensors({ tensors: { __metadata__: { dtype: 'F32', shape: [2], bytes } }, metadata: {} })).toThrow(
      /cannot be named __metadata__/,
    );
  });
});
