/** Floating-point numbers of other widths, as files of weights hold them. */

/** IEEE 754 binary32, binary64 and binary16, and bfloat16; all little-endian. */
export type FloatEncoding = 'f32' | 'f64' | 'f16' | 'bf16';

/** The value of a binary16 number. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Numbers as float32. @param bytes  a whole number of values, little-endian; need not be aligned */
export function toFloat32(encoding: FloatEncoding, bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = encoding === 'f64' ? 8 : encoding === 'f32' ? 4 : 2;
  const values = new Float32Array(bytes.byteLength / width);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < values.length; ++i) {
    const at = i * width;
    if (encoding === 'f32') words[i] = view.getUint32(at, true);
    else if (encoding === 'bf16') words[i] = view.getUint16(at, true) << 16;
    else values[i] = encoding === 'f64' ? view.getFloat64(at, true) : halfToNumber(view.getUint16(at, true));
  }
  return values;
}
