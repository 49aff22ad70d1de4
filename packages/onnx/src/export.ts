/**
 * A graph as an ONNX model: its inputs, weights and outputs under their own names, and one group of operators per graph node,
 * named after the node's id. ONNX Runtime then answers for the same graph with code that shares nothing with ours.
 */
import { checkGraph, type Graph, type GraphNode, type Size, Sizes, type TensorDecl } from '@espalier/ir';
import type { LayerTensor } from './access.ts';
import { type Builder, createBuilder } from './builder.ts';
import { OnnxExportError } from './errors.ts';
import { type LayerContext, lowerStatement } from './lower.ts';
import { elementTypes, encodeModel, type OnnxValueInfo } from './proto.ts';
import { createShapes, declaredSize, dimInputs, type Shapes, settlesItsDims } from './shapes.ts';

/** What of a graph to export. */
export interface ExportOptions {
  /**
   * Which tensors the model gives back, in this order: names of graph tensors, or 'all' of them but the inputs. Default: the
   * graph's outputs. What no output needs is left out, with its weights.
   */
  readonly outputs?: 'all' | readonly string[];
}

/** A graph tensor that has a value by now. */
interface Bound {
  readonly name: string;
  readonly shape: readonly Size[];
}

interface Exporter {
  readonly graph: Graph;
  readonly builder: Builder;
  readonly shapes: Shapes;
  readonly bound: Map<string, Bound>;
}

const sameShape = (a: readonly Size[], b: readonly Size[]): boolean =>
  a.length === b.length && a.every((size, i) => Sizes.equal(size, b[i] ?? []));

/** The value of a tensor of the layer that somebody else made, under the shape the layer gives it. */
function bind(
  { graph, builder, shapes, bound }: Exporter,
  node: GraphNode,
  decl: TensorDecl,
  shape: readonly Size[],
): string {
  if (decl.role === 'weight') {
    const weight = graph.weights.get(node.weights.get(decl.name) ?? '');
    if (weight === undefined) throw new RangeError(`weight ${decl.name} of node ${node.id} is not there`);
    return builder.weight(weight);
  }
  const value = bound.get(node.tensors.get(decl.name) ?? '');
  if (value === undefined) throw new RangeError(`input ${decl.name} of node ${node.id} is not there`);
  return sameShape(value.shape, shape) ? value.name : shapes.reshape(value.name, shape);
}

/** f16 is read as f32 and i8 as i32. */
function readable(exporter: Exporter, name: string, decl: TensorDecl): Pick<LayerTensor, 'name' | 'type'> {
  const type = decl.storage === 'f32' || decl.storage === 'f16' ? 'f32' : 'i32';
  if (decl.storage === type) return { name, type };
  return { name: exporter.builder.op('Cast', [name], { to: elementTypes[type] }), type };
}

/** The record of a descent that never runs, because it stands in the steps of one without levels: nodes −1, scores 0. */
function notWalked({ builder, shapes }: Exporter, decl: TensorDecl, sizes: readonly Size[]): LayerTensor {
  const type = decl.storage === 'i32' ? 'i32' : 'f32';
  const nothing = builder.constant(type, [], [type === 'i32' ? -1 : 0]);
  return { name: builder.op('Expand', [nothing, shapes.list(sizes)]), sizes, type };
}

function exportNode(exporter: Exporter, node: GraphNode): void {
  const { graph, builder, shapes, bound } = exporter;
  builder.within(node.id);
  const size = (own: Size): Size => Sizes.substitute(own, node.dims);
  const tensors = new Map<string, LayerTensor>();
  const context: LayerContext = { node, space: { builder, shapes, ranges: new Map() }, size, tensors };
  for (const decl of node.layer.tensors) {
    if (decl.role !== 'input' && decl.role !== 'weight') continue;
    const sizes = decl.shape.map(size);
    tensors.set(decl.name, { ...readable(exporter, bind(exporter, node, decl, sizes), decl), sizes });
  }
  for (const { target, axes, value } of node.layer.statements) {
    tensors.set(target, lowerStatement(context, axes, value));
  }
  for (const decl of node.layer.tensors) {
    const name = node.tensors.get(decl.name);
    if (decl.role !== 'output' || name === undefined) continue;
    const value = tensors.get(decl.name) ?? notWalked(exporter, decl, decl.shape.map(size));
    const shape = graph.tensors.get(name)?.shape ?? [];
    const whole = sameShape(shape, value.sizes) ? value.name : shapes.reshape(value.name, shape);
    bound.set(name, { name: whole, shape });
  }
}

const infoOf = (graph: Graph, name: string): OnnxValueInfo => {
  const tensor = graph.tensors.get(name);
  if (tensor === undefined) {
    const known = [...graph.tensors.keys()].join(', ');
    throw new OnnxExportError('unknown-output', `the graph ${graph.name} has no tensor ${name}; it has ${known}`, {
      subject: name,
    });
  }
  return { name, element: tensor.storage, shape: tensor.shape.map(declaredSize) };
};

/**
 * The graph as an ONNX model (operator set 18), protobuf bytes for `InferenceSession.create`. Model inputs are the graph's
 * inputs, then `dimInputs(graph)`; model outputs are those of the options. f32 is FLOAT, i32 is INT32. The weights are inside.
 *
 * A shape that contradicts the declared sizes, or an index out of range (outside branches of a select), fails when the model
 * runs, with ONNX Runtime's message.
 * @throws {GraphError} for a graph that is not sound (see `checkGraph`).
 * @throws {OnnxExportError} for outputs the graph lacks, descents of unknown length, and 2 GiB of weights or more.
 */
export function exportOnnx(graph: Graph, options: ExportOptions = {}): Uint8Array {
  checkGraph(graph);
  const wanted = options.outputs ?? graph.outputs;
  const outputs =
    wanted === 'all' ? [...graph.tensors.keys()].filter((name) => !graph.inputs.includes(name)) : [...new Set(wanted)];
  const outputInfos = outputs.map((name) => infoOf(graph, name));
  const inputInfos = [
    ...graph.inputs.map((name) => infoOf(graph, name)),
    ...dimInputs(graph).map((name): OnnxValueInfo => ({ name, element: 'i64', shape: [] })),
  ];
  const builder = createBuilder();
  for (const { name } of [...inputInfos, ...outputInfos.filter((info) => !graph.inputs.includes(info.name))]) {
    if (builder.reserve(name) !== null) continue;
    throw new OnnxExportError('name-collision', `the name ${name} stands for two values of the model`, {
      subject: name,
    });
  }
  const shapes = createShapes(graph, builder);
  const exporter: Exporter = { graph, builder, shapes, bound: new Map() };
  for (const name of graph.inputs) {
    const shape = graph.tensors.get(name)?.shape ?? [];
    // An x[1, D] where the dims say x[T, D] would be broadcast without a word; a Reshape to [T, D] refuses it.
    const value = settlesItsDims(graph, name) ? name : shapes.reshape(name, shape);
    exporter.bound.set(name, { name: value, shape });
  }
  for (const node of graph.nodes) exportNode(exporter, node);
  for (const name of outputs) {
    const value = exporter.bound.get(name);
    if (value !== undefined && !graph.inputs.includes(name)) builder.name(value.name, name);
  }
  return encodeModel({ name: graph.name, ...builder.finish(outputs), inputs: inputInfos, outputs: outputInfos });
}
