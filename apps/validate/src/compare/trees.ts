/**
 * Watching trees: for every node of a graph whose layer descends, a second node that records the route on the same input.
 *
 * The watched graph keeps the original nodes as they are and adds the recording ones at its end. So the values that are
 * compared come from the very kernels that a user would run, and the routes from the same input bits in the same run.
 */
import {
  childrenOf,
  type Descend,
  type Expr,
  type Graph,
  type GraphNode,
  type LayerIR,
  Sizes,
  traceLayer,
} from '@espalier/ir';

/** One descent of one node, and where its route is recorded. */
export interface WatchedTree {
  /** Short name in reports and reference data: `fff.3`, or the node's id. */
  readonly label: string;
  /** Id of the node in the original graph. */
  readonly node: string;
  /** Names of the node's f32 inputs among the graph's tensors: errors in them move the scores. */
  readonly inputs: readonly string[];
  /** Tensors of the watched graph: i32 nodes and f32 scores, [rows, trees, levels]. */
  readonly nodesTensor: string;
  readonly scoresTensor: string;
  /**
   * The node's outputs, and the same computed once more by the recording node. Where they are far apart, the kernel that is
   * compared took another route than the one that recorded it.
   */
  readonly twins: readonly { readonly plain: string; readonly recorded: string }[];
  /** The layer's own names of the records: `y.nodes`, `y.scores`; the interpreter's bounds and gains beside them. */
  readonly nodesRecord: string;
  readonly scoresRecord: string;
  readonly boundsRecord: string;
  readonly gainsRecord: string;
  readonly rows: Sizes.Size;
  readonly trees: number;
  readonly levels: number;
  /** Whether the last level's decision changes the value (a walk to a leaf) or routes nowhere (a sum over visited nodes). */
  readonly lastDecides: boolean;
}

/** A graph with its trees watched. */
export interface WatchedGraph {
  readonly graph: Graph;
  readonly trees: readonly WatchedTree[];
  /** The recording nodes. */
  readonly recorders: readonly GraphNode[];
}

/** The id of the node that records the routes of another. */
export const recorderId = (node: string): string => `${node}#route`;

const traced = new WeakMap<LayerIR, LayerIR>();

function tracedOnce(layer: LayerIR): LayerIR {
  const known = traced.get(layer) ?? traceLayer(layer);
  traced.set(layer, known);
  return known;
}

const descents = (expr: Expr): readonly Descend[] => [
  ...(expr.kind === 'descend' ? [expr] : []),
  ...childrenOf(expr).flatMap(descents),
];

const beside = (scores: string, word: string): string => scores.replace(/\.scores(\.\d+)?$/, `.${word}$1`);

/**
 * Watches every tree of a graph.
 *
 * @param labels short names by node id; the id itself where there is none
 */
export function watchTrees(graph: Graph, labels: ReadonlyMap<string, string>): WatchedGraph {
  const tensors = new Map(graph.tensors);
  const trees: WatchedTree[] = [];
  const recorders: GraphNode[] = [];
  for (const node of graph.nodes) {
    const layer = tracedOnce(node.layer);
    const found = layer.statements.flatMap((statement) =>
      descents(statement.value).flatMap((descend) =>
        descend.trace === null ? [] : [{ descend, trace: descend.trace, statement }],
      ),
    );
    if (found.length === 0) continue;
    const outputs = new Set(node.layer.tensors.filter((decl) => decl.role === 'output').map((decl) => decl.name));
    const bound = new Map([...node.tensors].filter(([name]) => !outputs.has(name)));
    const twins = [...node.tensors].flatMap(([name, plain]) => {
      const tensor = outputs.has(name) ? graph.tensors.get(plain) : undefined;
      if (tensor === undefined) return [];
      const recorded = `${plain}#recorded`;
      tensors.set(recorded, { ...tensor, name: recorded });
      bound.set(name, recorded);
      return [{ plain, recorded }];
    });
    found.forEach(({ descend, trace, statement }, i) => {
      const label = `${labels.get(node.id) ?? node.id}${found.length === 1 ? '' : `.${i + 1}`}`;
      const own = new Set(statement.axes.map((axis) => axis.name));
      const sizeOf = (indices: typeof trace.indices): Sizes.Size =>
        Sizes.product(indices.map((index) => Sizes.substitute(index.size, node.dims)));
      const rows = sizeOf(trace.indices.filter((index) => own.has(index.name)));
      const count = Sizes.constantOf(sizeOf(trace.indices.filter((index) => !own.has(index.name))));
      const levels = Sizes.constantOf(descend.levels);
      if (count === null || levels === null) return;
      const shape = [rows, Sizes.constant(count), Sizes.constant(levels)];
      const tree: WatchedTree = {
        label,
        node: node.id,
        inputs: node.layer.tensors
          .filter((decl) => decl.role === 'input' && decl.storage === 'f32')
          .flatMap((decl) => node.tensors.get(decl.name) ?? []),
        nodesTensor: `${label}.nodes`,
        scoresTensor: `${label}.scores`,
        twins,
        nodesRecord: trace.nodes,
        scoresRecord: trace.scores,
        boundsRecord: beside(trace.scores, 'bounds'),
        gainsRecord: beside(trace.scores, 'gains'),
        rows,
        trees: count,
        levels,
        lastDecides: descend.result !== null,
      };
      trees.push(tree);
      tensors.set(tree.nodesTensor, { name: tree.nodesTensor, storage: 'i32', shape });
      tensors.set(tree.scoresTensor, { name: tree.scoresTensor, storage: 'f32', shape });
      bound.set(trace.nodes, tree.nodesTensor).set(trace.scores, tree.scoresTensor);
    });
    recorders.push({ ...node, id: recorderId(node.id), layer, tensors: bound });
  }
  return { graph: { ...graph, tensors, nodes: [...graph.nodes, ...recorders] }, trees, recorders };
}
