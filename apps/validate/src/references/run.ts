/** What running a case gave, whoever ran it: the one shape in which targets and references are compared. */
import type { Item } from '../cases/case.ts';
import type { ExactRoute, Route } from '../compare/routes.ts';
import type { WatchedTree } from '../compare/trees.ts';
import type { Numbers } from '../numbers.ts';

/** Who computed: kernels of ours, or a reference. */
export type RunKind = 'target' | 'golden' | 'golden-f64' | 'interpreter' | 'onnxruntime';

/** The results of one case. What a run doesn't have is undefined, and not compared. */
export interface Run {
  /** As shown: `wasm:threads=2`, `golden`, `interpreter`, `onnxruntime`. */
  readonly name: string;
  readonly kind: RunKind;
  value(item: Item): Numbers | undefined;
  /** A tensor of the graph by name. */
  tensor(name: string): Numbers | undefined;
  route(tree: WatchedTree): Route | undefined;
}

/** The interpreter's run: exact values, exact routes with bounds, and every tensor of the graph. */
export interface ExactRun extends Run {
  exact(tree: WatchedTree): ExactRoute;
  readonly tensors: ReadonlyMap<string, Numbers>;
}

/** A run whose tensors are known by their names in the graph, those of watched trees among them. */
export function runOfTensors(name: string, kind: RunKind, tensors: ReadonlyMap<string, Numbers>): Run {
  return {
    name,
    kind,
    value: (item) => tensors.get(item.tensor),
    tensor: (tensor) => tensors.get(tensor),
    route: (tree) => {
      const nodes = tensors.get(tree.nodesTensor);
      const scores = tensors.get(tree.scoresTensor);
      return nodes === undefined || scores === undefined ? undefined : { nodes, scores };
    },
  };
}
