/**
 * Runs a whole graph in float64, node after node: the reference that a model on a device is compared with.
 */
import type { Graph, GraphNode } from '../graph.ts';
import { checkGraph } from '../graph-check.ts';
import { evaluate, format } from '../size.ts';
import { traceLayer } from '../trace.ts';
import { InterpretError } from './errors.ts';
import { type Computed, type InterpretOptions, interpretLayer } from './layer.ts';
import { bindTensor } from './tensors.ts';

export interface InterpretGraphOptions {
  /** A value for each dim of the graph. */
  readonly dims?: Readonly<Record<string, number>>;
  /** The graph's inputs by name. */
  readonly inputs: Readonly<Record<string, ArrayLike<number>>>;
  /** Record the route of every descent. */
  readonly trace?: boolean;
  /** Also the bounds of the scores, as in `interpretLayer`; implies `trace`. */
  readonly bounds?: boolean;
  readonly strict?: boolean;
  readonly precision?: 'f64' | 'f32';
  /** Called before each node runs, to show progress. */
  readonly onNode?: (id: string, index: number, total: number) => void;
}

export interface GraphRun {
  /** Every tensor of the graph by name: the inputs as they were read, i32 as integers, f32 in float64. */
  readonly tensors: ReadonlyMap<string, Computed>;
  /**
   * By node id, for nodes with descents and when asked for: `<target>.nodes`, `<target>.scores` and, with bounds,
   * `<target>.bounds` and `<target>.gains` (see `traceLayer`, `interpretLayer`).
   */
  readonly routes: ReadonlyMap<string, Readonly<Record<string, Computed>>>;
}

const tracedLayers = new WeakMap<GraphNode['layer'], GraphNode['layer']>();

/** One traced copy per layer, so that its loops are written once for all nodes that share it. */
function tracedOnce(layer: GraphNode['layer']): GraphNode['layer'] {
  const known = tracedLayers.get(layer) ?? traceLayer(layer);
  tracedLayers.set(layer, known);
  return known;
}

function bindInputs(
  graph: Graph,
  dims: ReadonlyMap<string, number>,
  given: Readonly<Record<string, ArrayLike<number>>>,
): Map<string, Computed> {
  for (const name of Object.keys(given)) {
    if (!graph.inputs.includes(name)) {
      const takes = graph.inputs.join(', ') || 'none';
      throw new InterpretError('unknown-tensor', name, `graph ${graph.name} takes no input ${name}; it takes ${takes}`);
    }
  }
  const tensors = new Map<string, Computed>();
  for (const name of graph.inputs) {
    const tensor = graph.tensors.get(name);
    const values = Object.hasOwn(given, name) ? given[name] : undefined;
    if (tensor === undefined || values === undefined) {
      const symbolic = `${name}[${tensor?.shape.map(format).join(', ')}]`;
      throw new InterpretError(
        'missing-tensor',
        name,
        `graph ${graph.name} needs input ${symbolic}: ${tensor?.storage}; got nothing`,
      );
    }
    const shape = tensor.shape.map((size) => evaluate(size, dims));
    const decl = { ...tensor, role: 'input', span: { source: graph.name, start: 0, end: 0 } } as const;
    const bound = bindTensor(decl, shape, values);
    tensors.set(
      name,
      bound instanceof Float64Array || bound instanceof Int32Array ? bound : widened(bound, tensor.storage),
    );
  }
  return tensors;
}

const widened = (values: Float32Array | Int8Array, storage: 'f32' | 'i32'): Computed =>
  storage === 'i32' ? Int32Array.from(values) : Float64Array.from(values);

function graphDims(graph: Graph, given: Readonly<Record<string, number>>): ReadonlyMap<string, number> {
  for (const name of Object.keys(given)) {
    if (graph.dims.includes(name)) continue;
    const has = graph.dims.join(', ') || 'none';
    throw new InterpretError('unknown-dim', name, `graph ${graph.name} has no dim ${name}; it has ${has}`);
  }
  const dims = new Map(Object.entries(given));
  for (const name of graph.dims) {
    const value = dims.get(name);
    if (value === undefined) {
      throw new InterpretError(
        'missing-dim',
        name,
        `graph ${graph.name} needs a value for dim ${name}; give it in dims`,
      );
    }
    if (!Number.isInteger(value) || value < 0) {
      throw new InterpretError(
        'bad-dim',
        name,
        `dim ${name} of graph ${graph.name} is ${value}; it must be an integer, 0 or more`,
      );
    }
  }
  return dims;
}

function runNode(
  graph: Graph,
  node: GraphNode,
  dims: ReadonlyMap<string, number>,
  tensors: ReadonlyMap<string, Computed>,
  options: InterpretGraphOptions,
): Record<string, Computed> {
  const { bounds = false, strict = false, precision = 'f64' } = options;
  const recording = bounds || options.trace === true;
  const layer = recording ? tracedOnce(node.layer) : node.layer;
  const given: Record<string, ArrayLike<number>> = {};
  for (const decl of layer.tensors) {
    const values =
      decl.role === 'weight'
        ? graph.weights.get(node.weights.get(decl.name) ?? '')?.data
        : decl.role === 'input'
          ? tensors.get(node.tensors.get(decl.name) ?? '')
          : undefined;
    if (values !== undefined) given[decl.name] = values;
  }
  const keep = layer.tensors.filter((decl) => decl.role === 'output' && (recording || node.tensors.has(decl.name)));
  const layerOptions: InterpretOptions = {
    dims: Object.fromEntries([...node.dims].map(([name, size]) => [name, evaluate(size, dims)])),
    tensors: given,
    keep: keep.map((decl) => decl.name),
    bounds,
    strict,
    precision,
  };
  try {
    return interpretLayer(layer, layerOptions);
  } catch (cause) {
    if (!(cause instanceof InterpretError)) throw cause;
    throw new InterpretError(cause.code, cause.subject, `node ${node.id}: ${cause.message}`, { cause });
  }
}

/**
 * Computes all tensors of a graph. The graph is checked first. Throws GraphError for an unsound graph and InterpretError for
 * dims or inputs that don't fit it, or for an index out of range, naming the node.
 */
export function interpretGraph(graph: Graph, options: InterpretGraphOptions): GraphRun {
  checkGraph(graph);
  const dims = graphDims(graph, options.dims ?? {});
  const tensors = bindInputs(graph, dims, options.inputs);
  const routes = new Map<string, Readonly<Record<string, Computed>>>();
  for (const [index, node] of graph.nodes.entries()) {
    options.onNode?.(node.id, index, graph.nodes.length);
    const results = runNode(graph, node, dims, tensors, options);
    for (const [name, values] of Object.entries(results)) {
      const target = node.tensors.get(name);
      if (target !== undefined) tensors.set(target, values);
    }
    const written = new Set(node.layer.statements.map((statement) => statement.target));
    const recorded = Object.entries(results).filter(([name]) => !written.has(name));
    if (recorded.length > 0) routes.set(node.id, Object.fromEntries(recorded));
  }
  return { tensors, routes };
}
