/**
 * One run against one reference, in the order in which the graph computes: at each node first the routes (of a tree), then
 * the values. Rows that lawfully took another way are followed and left out; whatever else differs is a difference, and the
 * first of them is what a person must look at.
 */
import { type GraphNode, Sizes } from '@espalier/ir';
import { type Case, type Item, positionsOf } from '../cases/case.ts';
import type { ExactRun, Run } from '../references/run.ts';
import { compareRoutes, openDecision, type RouteComparison, type RouteDifference, type TreeShape } from './routes.ts';
import { type Lost, rowCount, spread } from './rows.ts';
import { allowanceFactor, FLOOR, type Tolerance } from './tolerance.ts';
import type { WatchedTree } from './trees.ts';
import { type ArgmaxAgreement, argmaxAgreement, type Difference, differenceOf } from './values.ts';

/** Values of one tensor. */
export interface ValueCheck extends Difference {
  readonly kind: 'value';
  readonly name: string;
  /** The graph node that made it. */
  readonly node: string;
  readonly allowed: number;
  readonly from: 'recorded' | 'measured';
  /** Rows compared, and rows the tensor has. */
  readonly rows: number;
  readonly allRows: number;
  readonly argmax: ArgmaxAgreement | null;
  readonly final: Item['final'];
  readonly agrees: boolean;
}

/** Routes through one tree node. */
export interface RouteCheck extends RouteComparison {
  readonly kind: 'route';
  readonly name: string;
  readonly node: string;
  readonly levels: number;
  readonly rows: number;
  readonly allRows: number;
  readonly agrees: boolean;
}

export type Check = ValueCheck | RouteCheck;

export interface Comparison {
  readonly reference: string;
  readonly checks: readonly Check[];
  /** Rows of the largest row-wise kind (tokens), and how many stayed comparable to the end. */
  readonly tokens: number;
  readonly comparable: number;
  readonly first: Check | null;
}

/** The shape of a tree under a case's dims. */
export function treeShape(tree: WatchedTree, dims: Readonly<Record<string, number>>): TreeShape {
  const rows = Sizes.evaluate(tree.rows, new Map(Object.entries(dims)));
  return { rows, trees: tree.trees, levels: tree.levels, lastDecides: tree.lastDecides };
}

/** Compares a run with a reference. Only what both have is compared. */
export function compareRuns(one: Case, found: Run, reference: Run, exact: ExactRun, tolerance: Tolerance): Comparison {
  const { graph, watched } = one.subject;
  const dims = new Map(Object.entries(one.dims));
  const lost = new Map<string, Lost>();
  const checks: Check[] = [];
  const byTensor = new Map<string, Item[]>();
  for (const item of one.items) byTensor.set(item.tensor, [...(byTensor.get(item.tensor) ?? []), item]);

  for (const node of graph.nodes) {
    for (const output of outputsOf(node)) {
      const rows = spread(graph, node, output, lost, dims, positionsOf(one));
      lost.set(output, rows);
    }
    for (const tree of watched.trees.filter((candidate) => candidate.node === node.id)) {
      const check = routeCheck(tree);
      if (check !== null) checks.push(check);
    }
    for (const output of outputsOf(node))
      for (const item of byTensor.get(output) ?? []) {
        const check = valueCheck(item, node);
        if (check !== null) checks.push(check);
      }
  }
  const tokens = (one.dims['B'] ?? 1) * (one.dims['S'] ?? one.dims['T'] ?? 1);
  const last = [...lost.values()].filter((rows) => rows.length === tokens).at(-1);
  return {
    reference: reference.name,
    checks,
    tokens,
    comparable: tokens - (last?.reduce((sum, row) => sum + row, 0) ?? 0),
    first: checks.find((check) => !check.agrees) ?? null,
  };

  function routeCheck(tree: WatchedTree): RouteCheck | null {
    const [a, b] = [found.route(tree), reference.route(tree)];
    if (a === undefined || b === undefined) return null;
    const shape = treeShape(tree, one.dims);
    const before = lost.get(outputsOf(nodeOf(tree))[0] ?? '');
    const inputError = inputErrors(tree, shape.rows);
    const recorded = compareRoutes(shape, a, b, exact.exact(tree), {
      ...(before?.length === shape.rows ? { lost: before } : {}),
      inputError,
      roundedSides: reference.kind === 'interpreter' ? 1 : 2,
    });
    const unseen = unrecordedFlips(tree, shape, before, inputError).filter(
      ({ row }) => !recorded.differences.some((difference) => difference.row === row),
    );
    const compared = { ...recorded, differences: [...recorded.differences, ...unseen] };
    const gone = new Set(compared.differences.map((difference) => difference.row));
    for (const output of outputsOf(nodeOf(tree))) {
      const rows = lost.get(output);
      if (rows?.length === shape.rows) for (const row of gone) rows[row] = 1;
      else if (gone.size > 0) rows?.fill(1);
    }
    const skipped = before?.length === shape.rows ? before.reduce((sum, row) => sum + row, 0) - gone.size : 0;
    return {
      kind: 'route',
      name: `${tree.label}.nodes`,
      node: tree.node,
      levels: shape.levels,
      rows: shape.rows - skipped,
      allRows: shape.rows,
      agrees: compared.worstRatio <= 1 && compared.differences.every((difference) => difference.within),
      ...compared,
    };
  }

  /**
   * Rows in which the kernel that is compared gave another result than the recording one, although both are right: rounding
   * could turn a decision there, and in one of them it did. A row without such a decision stays in, and fails by its values.
   */
  function unrecordedFlips(
    tree: WatchedTree,
    shape: TreeShape,
    before: Lost | undefined,
    inputError: (row: number) => number,
  ): readonly RouteDifference[] {
    const flips = new Map<number, RouteDifference>();
    for (const { plain, recorded } of tree.twins) {
      const [a, b] = [found.tensor(plain), found.tensor(recorded)];
      if (a === undefined || b === undefined || a.length !== b.length || shape.rows === 0) continue;
      const width = a.length / shape.rows;
      const allowed = tolerance.ofTensor(plain);
      for (let i = 0; i < a.length; i++) {
        const row = Math.floor(i / width);
        if (before?.[row] === 1 || flips.has(row) || Math.abs((a[i] as number) - (b[i] as number)) <= allowed) continue;
        const open = openDecision(shape, exact.exact(tree), row, inputError(row));
        if (open !== null) flips.set(row, open);
      }
    }
    return [...flips.values()];
  }

  function nodeOf(tree: WatchedTree): GraphNode {
    return graph.nodes.find((node) => node.id === tree.node) as GraphNode;
  }

  /** Per row, what both sides' inputs of the tree are off by; the allowance where a side didn't keep its input. */
  function inputErrors(tree: WatchedTree, rows: number): (row: number) => number {
    const errors = new Float64Array(rows);
    for (const name of tree.inputs)
      for (const side of [found, reference]) {
        const [given, right] = [side.tensor(name), exact.tensor(name)];
        if (given === right) continue;
        if (given === undefined || right === undefined || given.length !== right.length || right.length % rows !== 0) {
          const allowed = tolerance.ofTensor(name);
          for (let row = 0; row < rows; row++) errors[row] = (errors[row] as number) + allowed;
          continue;
        }
        const width = right.length / rows;
        for (let row = 0; row < rows; row++) {
          let top = 0;
          for (let i = row * width; i < (row + 1) * width; i++)
            top = Math.max(top, Math.abs((given[i] as number) - (right[i] as number)));
          errors[row] = (errors[row] as number) + top;
        }
      }
    return (row) => errors[row] ?? 0;
  }

  function valueCheck(item: Item, node: GraphNode): ValueCheck | null {
    const [a, b] = [found.value(item), reference.value(item)];
    if (a === undefined || b === undefined) return null;
    const tensor = graph.tensors.get(item.tensor);
    const allRows = tensor === undefined ? 0 : rowCount(tensor, dims);
    const gone = lost.get(item.tensor);
    const { allowed, from } = tolerance.of(item);
    const limit = allowed * allowanceFactor(reference.kind);
    const difference = differenceOf(a, b, allRows, gone);
    const argmax = item.final === 'scores' ? argmaxAgreement(a, b, allRows, limit, gone) : null;
    const agrees = difference.maxAbs <= limit && (argmax === null || argmax.equal + argmax.tied === argmax.rows);
    return {
      kind: 'value',
      name: item.name,
      node: node.id,
      allowed: limit,
      from,
      rows: allRows - (gone?.reduce((sum, row) => sum + row, 0) ?? 0),
      allRows,
      argmax,
      final: item.final,
      agrees,
      ...difference,
    };
  }
}

/** Tensors a node writes. */
export const outputsOf = (node: GraphNode): readonly string[] =>
  node.layer.tensors.flatMap((decl) => (decl.role === 'output' ? (node.tensors.get(decl.name) ?? []) : []));

/** How far the interpreter's float32 run is from its exact one at each item, on rows where both take one way. */
export function measuredLosses(one: Case, single: ExactRun, exact: ExactRun): (item: Item) => number {
  const open: Tolerance = {
    of: () => ({ allowed: Number.POSITIVE_INFINITY, unit: 0, from: 'measured' }),
    ofTensor: () => FLOOR,
  };
  const { checks } = compareRuns(one, single, exact, exact, open);
  const losses = new Map(checks.flatMap((check) => (check.kind === 'value' ? [[check.name, check.maxAbs]] : [])));
  return (item) => losses.get(item.name) ?? 0;
}
