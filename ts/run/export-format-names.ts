/** Formats that a model is written in; apart from what writes them, so that the help of a command does not load the engine. */
export const EXPORT_FORMATS = ['onnx', 'onnx-pipeline', 'tfjs', 'safetensors'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
