export { buildOnnx, exportOnnx } from './onnx.js';
export type { OnnxExport, OnnxExportOptions, OnnxOptions } from './onnx.js';
export { verifyOnnx } from './verify-onnx.js';
export type { OnnxProbe, OnnxVerification, VerifyOnnxOptions } from './verify-onnx.js';
export { exportSafetensors, loadSafetensorsModel } from './safetensors.js';
export { buildTfjs, exportTfjs } from './tfjs-model.js';
export type { OutputStage, TfjsExportOptions, TfjsModel, TfjsOptions, TfjsVerification } from './tfjs-model.js';
