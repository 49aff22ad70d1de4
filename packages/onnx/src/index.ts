/** Graphs of layers as ONNX models: see `exportOnnx`. */
export { ONNX_EXPORT_ERRORS, OnnxExportError, type OnnxExportErrorCode, type OnnxExportPlace } from './errors.ts';
export { type ExportOptions, exportOnnx } from './export.ts';
export { dimInputs } from './shapes.ts';
