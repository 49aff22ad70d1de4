/** What is inside an exported model. */
import type { Graph } from '@espalier/ir';
import onnxProto from 'onnx-proto';
import { type ExportOptions, exportOnnx } from '../src/index.ts';

/** The operator types of the model, in order. */
export function exportedOperators(graph: Graph, options: ExportOptions = {}): readonly string[] {
  const model = onnxProto.onnx.ModelProto.decode(exportOnnx(graph, options));
  return (model.graph?.node ?? []).map((node) => node.opType ?? '');
}

/** The names of operators and of constants. */
export function exportedNames(graph: Graph, options: ExportOptions = {}) {
  const model = onnxProto.onnx.ModelProto.decode(exportOnnx(graph, options));
  return {
    operators: (model.graph?.node ?? []).map((node) => node.name ?? ''),
    constants: (model.graph?.initializer ?? []).map((tensor) => tensor.name ?? ''),
  };
}
