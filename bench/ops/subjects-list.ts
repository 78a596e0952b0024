/** The subjects of the table through tfjs, ours first. */
export const SUBJECTS = [
  'tensorkiln',
  'tfjs-core alone',
  'tfjs cpu',
  'tfjs wasm',
  'tfjs-node',
  'onnxruntime-web',
  'onnxruntime-node',
] as const;
