/**
 * Which rows of which tensors may still be compared. Once a token took another way through a tree, everything computed from
 * it differs for a good reason; this follows that through the graph.
 *
 * A tensor's rows are tokens ([B, S, …] or [B·S, …]), sequences ([B, …]) or asked positions ([P, …]). A node over tokens
 * alone keeps rows apart; any other node may mix the tokens of a sequence, so one lost token loses its whole sequence there.
 */
import { type Graph, type GraphNode, type GraphTensor, Sizes } from '@espalier/ir';

/** 1 for a row that is no longer comparable. */
export type Lost = Uint8Array;

/** The number of rows of a tensor: its leading axes over runtime dims. */
export function rowCount(tensor: GraphTensor, dims: ReadonlyMap<string, number>): number {
  let rows = 1;
  for (const size of tensor.shape) {
    if (Sizes.constantOf(size) !== null) break;
    rows *= Sizes.evaluate(size, dims);
  }
  return rows;
}

const any = (lost: Lost): boolean => lost.includes(1);

/** Rows of a node's output that its inputs' lost rows take along, before the node itself loses any. */
export function spread(
  graph: Graph,
  node: GraphNode,
  output: string,
  lostOf: ReadonlyMap<string, Lost>,
  dims: ReadonlyMap<string, number>,
  positions: ArrayLike<number> | undefined,
): Lost {
  const tensor = graph.tensors.get(output);
  const rows = tensor === undefined ? 0 : rowCount(tensor, dims);
  const lost = new Uint8Array(rows);
  const batch = dims.get('B') ?? 1;
  const tokens = batch * (dims.get('S') ?? rows);
  const rowwise = node.dims.size === 1;
  for (const decl of node.layer.tensors) {
    const name = decl.role === 'input' ? node.tensors.get(decl.name) : undefined;
    const before = name === undefined ? undefined : lostOf.get(name);
    if (before === undefined || !any(before)) continue;
    if (rowwise && before.length === rows) {
      for (let row = 0; row < rows; row++) if (before[row] === 1) lost[row] = 1;
    } else if (before.length === tokens && positions !== undefined && rows === positions.length) {
      for (let row = 0; row < rows; row++) if (before[positions[row] as number] === 1) lost[row] = 1;
    } else if (before.length % batch === 0 && rows % batch === 0) {
      const [from, to] = [before.length / batch, rows / batch];
      for (let b = 0; b < batch; b++)
        if (before.subarray(b * from, (b + 1) * from).includes(1)) lost.fill(1, b * to, (b + 1) * to);
    } else lost.fill(1);
  }
  return lost;
}
