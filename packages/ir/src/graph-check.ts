/**
 * Is a graph sound? Checked before anything runs or is compiled, because the mistakes found here (a weight under the wrong
 * name, a tensor read before it is written) would otherwise show as wrong numbers.
 */
import type { Graph, GraphNode, GraphTensor, WeightTensor } from './graph.ts';
import type { StorageType, TensorDecl } from './layer-ir.ts';
import { constantOf, dimsOf, equal, format, product, type Size, substitute } from './size.ts';

/**
 * - `graph-dims`: a dim twice, or a size over a dim the graph lacks;
 * - `graph-tensor`: an unknown tensor, one under another name than its own, an input or output that isn't there or is there twice;
 * - `graph-weight`: an unknown weight, one that isn't bound, or data that doesn't fit its own shape and storage;
 * - `node-id`: two nodes of one id;
 * - `node-dims`: a dim of the layer without a size, or a size for a dim it lacks;
 * - `node-binding`: an input that isn't bound, or a binding of something the layer lacks;
 * - `shape-mismatch`, `storage-mismatch`: the two ends of a binding differ;
 * - `order`: read before it is written; `written-twice`; `never-written`.
 */
export type GraphErrorCode =
  | 'graph-dims'
  | 'graph-tensor'
  | 'graph-weight'
  | 'node-id'
  | 'node-dims'
  | 'node-binding'
  | 'shape-mismatch'
  | 'storage-mismatch'
  | 'order'
  | 'written-twice'
  | 'never-written';

/** Thrown by `checkGraph`. `node` is the id of the node and `tensor` the tensor or weight it is about, null for none. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
  readonly code: GraphErrorCode;
  readonly node: string | null;
  readonly tensor: string | null;

  constructor(code: GraphErrorCode, node: string | null, tensor: string | null, message: string) {
    super(node === null ? message : `node ${node}: ${message}`);
    this.code = code;
    this.node = node;
    this.tensor = tensor;
  }
}

const shapeText = (shape: readonly Size[]): string => `[${shape.map(format).join(', ')}]`;

const fits: { readonly [K in StorageType]: (data: WeightTensor['data']) => boolean } = {
  f32: (data) => data instanceof Float32Array,
  f16: (data) => data instanceof Uint16Array,
  i32: (data) => data instanceof Int32Array,
  i8: (data) => data instanceof Int8Array,
};

function checkTensor(graph: Graph, key: string, tensor: GraphTensor): void {
  if (key !== tensor.name) {
    throw new GraphError('graph-tensor', null, key, `tensor ${tensor.name} is listed under the name ${key}`);
  }
  for (const name of tensor.shape.flatMap(dimsOf)) {
    if (!graph.dims.includes(name)) {
      const text = `tensor ${key}${shapeText(tensor.shape)} uses dim ${name}; the graph has ${graph.dims.join(', ') || 'none'}`;
      throw new GraphError('graph-dims', null, key, text);
    }
  }
}

function checkWeight(key: string, weight: WeightTensor): void {
  if (key !== weight.name) {
    throw new GraphError('graph-weight', null, key, `weight ${weight.name} is listed under the name ${key}`);
  }
  const count = weight.shape.reduce((p, size) => p * size, 1);
  if (weight.data.length !== count || !fits[weight.storage](weight.data)) {
    const text = `weight ${key} is ${weight.storage} of shape [${weight.shape.join(', ')}], so ${count} elements`;
    const data = `${weight.data.constructor.name} of ${weight.data.length}`;
    throw new GraphError('graph-weight', null, key, `${text}; its data is a ${data}`);
  }
}

function checkEnds(graph: Graph): void {
  const twice = graph.dims.find((name, i) => graph.dims.indexOf(name) !== i);
  if (twice !== undefined) throw new GraphError('graph-dims', null, null, `dim ${twice} is listed twice`);
  for (const [what, names] of [['input', graph.inputs] as const, ['output', graph.outputs] as const]) {
    for (const [i, name] of names.entries()) {
      if (!graph.tensors.has(name))
        throw new GraphError('graph-tensor', null, name, `${what} ${name} is no tensor of the graph`);
      if (names.indexOf(name) !== i)
        throw new GraphError('graph-tensor', null, name, `${what} ${name} is listed twice`);
    }
  }
}

function checkDims(graph: Graph, node: GraphNode): void {
  for (const name of node.layer.dims) {
    if (!node.dims.has(name)) {
      throw new GraphError('node-dims', node.id, null, `dim ${name} of layer ${node.layer.name} has no size`);
    }
  }
  for (const [name, size] of node.dims) {
    if (!node.layer.dims.includes(name)) {
      const has = node.layer.dims.join(', ') || 'none';
      throw new GraphError(
        'node-dims',
        node.id,
        null,
        `layer ${node.layer.name} has no runtime dim ${name}; it has ${has}`,
      );
    }
    const unknown = dimsOf(size).find((dim) => !graph.dims.includes(dim));
    if (unknown !== undefined) {
      const text = `dim ${name} is ${format(size)}, but the graph has no dim ${unknown}`;
      throw new GraphError('graph-dims', node.id, null, text);
    }
  }
}

function checkBinding(graph: Graph, node: GraphNode, decl: TensorDecl, name: string): void {
  const tensor = graph.tensors.get(name);
  if (tensor === undefined) {
    throw new GraphError(
      'graph-tensor',
      node.id,
      name,
      `${decl.role} ${decl.name} is bound to ${name}, which is no tensor of the graph`,
    );
  }
  if (decl.storage !== tensor.storage) {
    const text = `${decl.role} ${decl.name} is ${decl.storage}, but tensor ${name} is ${tensor.storage}`;
    throw new GraphError('storage-mismatch', node.id, name, text);
  }
  const shape = decl.shape.map((size) => substitute(size, node.dims));
  if (!equal(product(shape), product(tensor.shape))) {
    const here = `${decl.role} ${decl.name}${shapeText(decl.shape)} is ${shapeText(shape)} here, ${format(product(shape))} elements`;
    const there = `tensor ${name} has shape ${shapeText(tensor.shape)}, ${format(product(tensor.shape))} elements`;
    throw new GraphError('shape-mismatch', node.id, name, `${here}, but ${there}`);
  }
}

function checkWeights(graph: Graph, node: GraphNode): void {
  const decls = node.layer.tensors.filter((tensor) => tensor.role === 'weight');
  for (const name of node.weights.keys()) {
    if (!decls.some((decl) => decl.name === name)) {
      const takes = decls.map((decl) => decl.name).join(', ') || 'none';
      throw new GraphError(
        'node-binding',
        node.id,
        name,
        `layer ${node.layer.name} has no weight ${name}; it has ${takes}`,
      );
    }
  }
  for (const decl of decls) {
    const name = node.weights.get(decl.name);
    if (name === undefined) {
      const text = `weight ${decl.name}${shapeText(decl.shape)} of layer ${node.layer.name} is not bound`;
      throw new GraphError('node-binding', node.id, decl.name, text);
    }
    const weight = graph.weights.get(name);
    if (weight === undefined) {
      const text = `weight ${decl.name} is bound to ${name}, which is no weight of the graph`;
      throw new GraphError('graph-weight', node.id, name, text);
    }
    const same =
      decl.shape.length === weight.shape.length && decl.shape.every((size, i) => constantOf(size) === weight.shape[i]);
    if (!same) {
      const text = `weight ${decl.name} has shape ${shapeText(decl.shape)}, but ${name} has [${weight.shape.join(', ')}]`;
      throw new GraphError('shape-mismatch', node.id, name, text);
    }
    if (decl.storage !== weight.storage) {
      const text = `weight ${decl.name} is ${decl.storage}, but ${name} is ${weight.storage}`;
      throw new GraphError('storage-mismatch', node.id, name, text);
    }
  }
}

/** Reads and writes of one node; `writers` says which node wrote a tensor (null: it is an input of the graph). */
function checkTensors(graph: Graph, node: GraphNode, writers: Map<string, string | null>): void {
  const decls = node.layer.tensors;
  for (const name of node.tensors.keys()) {
    if (!decls.some((decl) => decl.name === name && (decl.role === 'input' || decl.role === 'output'))) {
      const text = `layer ${node.layer.name} has no input or output ${name}`;
      throw new GraphError('node-binding', node.id, name, text);
    }
  }
  for (const decl of decls.filter((tensor) => tensor.role === 'input')) {
    const name = node.tensors.get(decl.name);
    if (name === undefined) {
      const text = `input ${decl.name}${shapeText(decl.shape)} of layer ${node.layer.name} is not bound`;
      throw new GraphError('node-binding', node.id, decl.name, text);
    }
    checkBinding(graph, node, decl, name);
    if (!writers.has(name)) {
      throw new GraphError('order', node.id, name, `reads tensor ${name} before any node has written it`);
    }
  }
  for (const decl of decls.filter((tensor) => tensor.role === 'output')) {
    const name = node.tensors.get(decl.name);
    if (name === undefined) continue;
    checkBinding(graph, node, decl, name);
    const writer = writers.get(name);
    if (writer !== undefined) {
      const by = writer === null ? 'is an input of the graph' : `was written by node ${writer}`;
      throw new GraphError('written-twice', node.id, name, `writes tensor ${name}, which ${by}`);
    }
    writers.set(name, node.id);
  }
}

/** Throws GraphError for the first thing that is wrong with a graph (see `GraphErrorCode`). */
export function checkGraph(graph: Graph): void {
  checkEnds(graph);
  for (const [key, tensor] of graph.tensors) checkTensor(graph, key, tensor);
  for (const [key, weight] of graph.weights) checkWeight(key, weight);
  const ids = new Set<string>();
  const writers = new Map<string, string | null>(graph.inputs.map((name) => [name, null]));
  for (const node of graph.nodes) {
    if (ids.has(node.id)) throw new GraphError('node-id', node.id, null, 'another node has the same id');
    ids.add(node.id);
    checkDims(graph, node);
    checkWeights(graph, node);
    checkTensors(graph, node, writers);
  }
  for (const name of graph.tensors.keys()) {
    if (!writers.has(name))
      throw new GraphError('never-written', null, name, `no node writes tensor ${name}, and it is no input`);
  }
}
