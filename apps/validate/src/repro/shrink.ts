/**
 * From "this tensor departs" to the smallest thing that still does: each node up to there is run alone, on inputs taken from
 * the interpreter; the first that departs is cut to the one row that departs most, as long as it still does.
 */
import { type GraphNode, Sizes } from '@espalier/ir';
import type { Case } from '../cases/case.ts';
import { recorderId } from '../compare/trees.ts';
import type { ExactRun } from '../references/run.ts';
import { precise, scientific } from '../reports/format.ts';
import type { Repro } from './file.ts';
import { type Alone, cutTo, type Departure, departureOf, expectationOf, type RunGraph } from './one-node.ts';

export interface Shrinking {
  readonly node: GraphNode;
  readonly alone: Alone;
  readonly departure: Departure;
}

/** The node of a case with its inputs taken from the interpreter, rounded to float32. */
export function nodeAlone(one: Case, node: GraphNode, exact: ExactRun): Alone {
  const { graph } = one.subject;
  const dims = new Map(Object.entries(one.dims));
  const inputs: Record<string, Float32Array | Int32Array> = {};
  const weights: Alone['weights'][string][] = [];
  const weightNames: string[] = [];
  for (const decl of node.layer.tensors) {
    if (decl.role === 'input') {
      const values = exact.tensors.get(node.tensors.get(decl.name) ?? '');
      if (values === undefined) throw new Error(`node ${node.id} reads a tensor that the interpreter did not compute`);
      inputs[decl.name] = decl.storage === 'i32' ? Int32Array.from(values) : Float32Array.from(values);
    } else if (decl.role === 'weight') {
      const weight = graph.weights.get(node.weights.get(decl.name) ?? '');
      if (weight !== undefined) {
        weights.push(weight);
        weightNames.push(decl.name);
      }
    }
  }
  return {
    layer: node.layer,
    dims: Object.fromEntries([...node.dims].map(([name, size]) => [name, Sizes.evaluate(size, dims)])),
    inputs,
    weights: Object.fromEntries(weightNames.map((name, i) => [name, weights[i] as Alone['weights'][string]])),
  };
}

/** Nodes that a node's results depend on, itself last, in the order of the graph. */
function upstream(one: Case, id: string): readonly GraphNode[] {
  const { nodes } = one.subject.graph;
  const needed = new Set<string>();
  const chosen: GraphNode[] = [];
  for (const node of [...nodes].reverse()) {
    const writes = node.layer.tensors.some(
      (decl) => decl.role === 'output' && needed.has(node.tensors.get(decl.name) ?? ''),
    );
    if (node.id !== id && !writes) continue;
    chosen.unshift(node);
    for (const decl of node.layer.tensors) if (decl.role === 'input') needed.add(node.tensors.get(decl.name) ?? '');
  }
  return chosen;
}

/**
 * Shrinks a difference at node `id`; null when no node departs alone. Rejects with what a run rejects with.
 *
 * @param row the row that left its route, where it is a route that departs: that row alone must leave it again
 */
export async function shrink(
  one: Case,
  id: string,
  row: number | null,
  exact: ExactRun,
  run: RunGraph,
): Promise<Shrinking | null> {
  const parted = row === null ? null : await routeAlone(one, id, row, exact, run);
  if (parted !== null) return parted;
  // Nearest first: an accurate node may stand before a faulty one, and the faulty one is usually where it shows.
  for (const node of [...upstream(one, id)].reverse()) {
    const alone = nodeAlone(one, node, exact);
    const departure = await departureOf(alone, node.id, run);
    if (departure !== null) return reduced(node, alone, departure, run);
  }
  return null;
}

/** The walk of one row, recorded: its nodes are compared like any output, and must be the same. */
async function routeAlone(
  one: Case,
  id: string,
  row: number,
  exact: ExactRun,
  run: RunGraph,
): Promise<Shrinking | null> {
  const node = one.subject.watched.recorders.find((recorder) => recorder.id === recorderId(id));
  if (node === undefined) return null;
  let alone = nodeAlone(one, node, exact);
  for (const dim of alone.layer.dims) alone = cutTo(alone, dim, row) ?? alone;
  const departure = await departureOf(alone, id, run);
  return departure === null ? null : { node: { ...node, id }, alone, departure };
}

async function reduced(node: GraphNode, alone: Alone, departure: Departure, run: RunGraph): Promise<Shrinking> {
  let current: Shrinking = { node, alone, departure };
  for (const dim of alone.layer.dims) {
    const shape = alone.layer.tensors.find((decl) => decl.name === current.departure.output)?.shape ?? [];
    const axis = shape.findIndex((size) => Sizes.equal(size, Sizes.dim(dim)));
    if (axis === -1) continue;
    const cut = cutTo(current.alone, dim, current.departure.at[axis] as number);
    if (cut === null) continue;
    const still = await departureOf(cut, node.id, run);
    if (still !== null) current = { node, alone: cut, departure: still };
  }
  return current;
}

/** One sentence about a departure. */
export const departureText = ({ output, maxAbs, allowed, at, found, expected }: Departure): string =>
  `${output}[${at.join(', ')}] is ${precise(found)}, exactly ${precise(expected)}: off by ${scientific(maxAbs)}, allowed ${scientific(allowed)}`;

/** The repro of what shrinking left. */
export function reproOf(shrunk: Shrinking, one: Case, checkpoint: string, target: string): Repro {
  const { layer, dims, inputs, weights } = shrunk.alone;
  return {
    layer,
    dims,
    inputs,
    weights,
    expected: expectationOf(shrunk.alone),
    target,
    checkpoint,
    case: one.id,
    node: shrunk.node.id,
    message: departureText(shrunk.departure),
  };
}
