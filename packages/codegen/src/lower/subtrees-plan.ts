/**
 * Which units can be walked by whole subtrees: those whose walks take, at each node, one of two ways by a decision on numbers.
 * Where a walk *could* stand some levels further down then follows from the node alone, and everything there can be computed before
 * anything is decided. It must be allowed, too: nodes a walk does not visit may only be read where every node of the level
 * is proven to lie inside its tensors, which is how the checker proves it.
 */
import { childrenOf, type Expr as LayerExpr, type Let, Sizes, type Statement } from '@espalier/ir';
import { partsApart, yieldLocals } from './deferred-walk.ts';
import { isDivision } from './divisors.ts';
import type { DescendExpr } from './expr.ts';
import { alphaKey, mentionsAny } from './layer-expr.ts';
import { hasWalk, type RowsUnit } from './partition.ts';
import { foldBytes, type TeamShape, teamsOf } from './team.ts';

type Range = Statement['axes'][number];

/** A walk, or a sum of walks through several trees, as it stands in a statement's value. */
export interface SubtreeWalk {
  readonly whole: LayerExpr;
  readonly sums: readonly Range[];
  /** How many trees the sums go over. */
  readonly trees: number;
  readonly descent: DescendExpr;
  readonly levels: number;
  /** The decision, in each place of `next` where it stands. */
  readonly decision: readonly LayerExpr[];
  /** Whether what follows the walk asks for the nodes of the route. */
  readonly keepsNodes: boolean;
  /** Lets that it asks for. */
  readonly kept: readonly Let[];
  /** Parts of the yield that are computed once for all outputs. */
  readonly apart: readonly LayerExpr[];
}

/** The walks of each statement, in the unit's order; null when the unit can't be computed so. */
export type SubtreePlan = readonly (readonly SubtreeWalk[])[];

/** Axes of a statement that are no row axes. */
export const restOf = ({ statement, rowAxes }: RowsUnit['statements'][number]): readonly Range[] =>
  statement.axes.filter((_, i) => !rowAxes.includes(i));

/** How a unit is walked by subtrees. */
export function planSubtrees(unit: RowsUnit): SubtreePlan | null {
  const plan: (readonly SubtreeWalk[])[] = [];
  for (const member of unit.statements) {
    const rest = restOf(member);
    if (rest.some((a) => (Sizes.constantOf(a.size) ?? 0) < 1)) return null;
    const walks = walksIn(member.statement.value, new Set(rest.map((a) => a.name)));
    if (walks === null) return null;
    plan.push(walks);
  }
  return plan.some((walks) => walks.length > 0) ? plan : null;
}

/** Levels of a round, each of `teams` computing a node or two; at least 1. */
export function levelsFor(plan: SubtreePlan, shape: TeamShape): number {
  const trees = Math.max(...plan.flat().map((w) => w.trees));
  return Math.max(1, Math.floor(Math.log2(teamsOf(shape) / trees + 1)));
}

/** Bytes of workgroup memory that a unit takes, at most. */
export function subtreeBytes(unit: RowsUnit, plan: SubtreePlan, shape: TeamShape, levels: number): number {
  const elements = (ranges: readonly Range[]): number =>
    Sizes.constantOf(Sizes.product(ranges.map((r) => r.size))) ?? 0;
  const results = unit.statements.slice(0, -1).reduce((sum, m) => sum + 4 * elements(restOf(m)), 0);
  const values = unit.statements.reduce((sum, m) => sum + foldBytes(m.statement.value, shape), 0);
  const walks = plan.flat().map(({ descent, trees, levels: all, kept, apart }) => {
    const nodes = (2 ** Math.min(levels, all) - 1) * (1 + kept.length);
    const route = all * (1 + kept.length + apart.length);
    const folds = [...descent.lets.map((l) => l.value), descent.next].map((e) => foldBytes(e, shape));
    return 4 * trees * (1 + nodes + route) + folds.reduce((a, b) => a + b, 0);
  });
  return walks.reduce((a, b) => a + b, results + values);
}

/** The walks an expression always takes; null when one of them, or one that is taken now and then, has another shape. */
function walksIn(e: LayerExpr, rest: ReadonlySet<string>): readonly SubtreeWalk[] | null {
  const found: SubtreeWalk[] = [];
  const search = (x: LayerExpr): boolean => {
    if (!hasWalk(x)) return true;
    if (x.kind === 'op') return x.args.every(search);
    const walk = walkOf(x, rest);
    if (walk === null) return false;
    if (!found.some((w) => alphaKey(w.whole) === alphaKey(walk.whole))) found.push(walk);
    return true;
  };
  return search(e) ? found : null;
}

function walkOf(whole: LayerExpr, rest: ReadonlySet<string>): SubtreeWalk | null {
  const sums: Range[] = [];
  let inner = whole;
  while (inner.kind === 'reduce' && inner.op === 'sum') {
    sums.push(...inner.indices);
    inner = inner.body;
  }
  if (inner.kind !== 'descend' || childrenOf(inner).some(hasWalk)) return null;
  const descent = inner;
  const trees = Sizes.constantOf(Sizes.product(sums.map((s) => s.size))) ?? 0;
  const levels = Sizes.constantOf(descent.levels) ?? 0;
  if (trees < 1 || levels < 1 || (descent.result !== null && sums.length > 0)) return null;
  const route = [...descent.lets.map((l) => l.value), descent.next];
  if ([descent.init, ...route].some((e) => mentionsAny(e, rest))) return null;
  // Nodes that no walk visits are looked at, too: there a check would find what nobody asked for.
  if (route.some(mayFault)) return null;
  const decision = decisionOf(descent);
  if (decision === null) return null;
  const needed = new Set(yieldLocals(descent).map((l) => l.name));
  // What is recorded of a route: its nodes, and the scores of the decision.
  if (descent.trace !== null)
    for (const name of [descent.node, ...scoresOf(decision[0], descent.lets)]) needed.add(name);
  const kept = descent.lets.filter((l) => needed.has(l.name));
  const keepsNodes = needed.has(descent.node);
  return { whole, sums, trees, descent, levels, decision, keepsNodes, kept, apart: partsApart(descent, rest) };
}

/** Whether evaluating it may end the run: an index that nothing proved, a divisor that is no number. */
const mayFault = (e: LayerExpr): boolean =>
  (e.kind === 'access' && e.inBounds.includes(false)) ||
  (isDivision(e) && e.args[1]?.kind !== 'literal') ||
  childrenOf(e).some(mayFault);

/** The one truth about numbers that `next` asks for, beside the node; null when it asks for several, or for more than truths. */
function decisionOf(descent: DescendExpr): readonly LayerExpr[] | null {
  const found: LayerExpr[] = [];
  const ownNames = new Set(descent.lets.map((l) => l.name));
  const isOfNode = (e: LayerExpr): boolean => {
    if (e.type === 'bool' && isOfNumbers(e, descent.lets)) {
      found.push(e);
      return true;
    }
    if (e.type === 'f32' || e.kind === 'access' || e.kind === 'reduce' || e.kind === 'descend') return false;
    if ((e.kind === 'local' || e.kind === 'index') && ownNames.has(e.name)) return false;
    return childrenOf(e).every(isOfNode);
  };
  if (!isOfNode(descent.next) || found.length === 0) return null;
  return new Set(found.map((e) => alphaKey(e))).size === 1 ? found : null;
}

/** The lets that a decision compares, itself or by the name of a truth. */
function scoresOf(e: LayerExpr | undefined, lets: readonly Let[]): readonly string[] {
  if (e === undefined) return [];
  const named = e.kind === 'local' ? lets.find((l) => l.name === e.name) : undefined;
  if (named === undefined) return childrenOf(e).flatMap((child) => scoresOf(child, lets));
  return named.value.type === 'f32' ? [named.name] : scoresOf(named.value, lets);
}

/**
 * Whether a truth is one about f32 numbers alone: compared, negated, combined, or named so before. A comparison of integers would
 * say something about the node that bounds may have been proven by.
 */
function isOfNumbers(e: LayerExpr, lets: readonly Let[]): boolean {
  if (e.kind === 'local') {
    const named = lets.find((l) => l.name === e.name);
    return named !== undefined && isOfNumbers(named.value, lets);
  }
  if (e.kind !== 'op') return false;
  if (e.op === 'and' || e.op === 'or' || e.op === 'not') return e.args.every((a) => isOfNumbers(a, lets));
  return e.type === 'bool' && e.args.every((a) => a.type === 'f32');
}
