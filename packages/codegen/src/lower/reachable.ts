/** Where a walk can be: the nodes of each level, found from the text of its next step, whatever its decisions turn out to be. */
import { type Expr, Sizes } from '@espalier/ir';
import type { DescendExpr } from './expr.ts';

/** More nodes than this are not counted out. */
const MOST_NODES = 4096;

type Values = ReadonlySet<number>;

/** Nodes from the smallest to the largest a walk can stand at. */
export interface NodeRange {
  readonly first: number;
  readonly count: number;
}

/** The nodes that a walk can have reached after `levels` steps; null when that can't be told, or they are too many. */
export function nodesAfter(descent: DescendExpr, levels: number): NodeRange | null {
  let nodes = valuesOf(descent.init, descent, null);
  for (let level = 0; level < levels && nodes !== null; level++) {
    const next = new Set<number>();
    for (const node of nodes) {
      const reached = valuesOf(descent.next, descent, node);
      if (reached === null) return null;
      for (const n of reached) next.add(n);
      if (next.size > MOST_NODES) return null;
    }
    nodes = next;
  }
  if (nodes === null || nodes.size === 0) return null;
  const [first, last] = [Math.min(...nodes), Math.max(...nodes)];
  return last - first < MOST_NODES ? { first, count: last - first + 1 } : null;
}

/** What an integer or truth of a walk can be at a node; comparisons of numbers that depend on data can be either. */
function valuesOf(e: Expr, descent: DescendExpr, node: number | null): Values | null {
  const values = (x: Expr): Values | null => valuesOf(x, descent, node);
  switch (e.kind) {
    case 'literal':
      return e.type === 'f32' ? null : new Set([Number(e.value)]);
    case 'size': {
      const known = Sizes.constantOf(e.size);
      return known === null ? null : new Set([known]);
    }
    case 'index':
    case 'local': {
      if (e.name === descent.node) return node === null ? null : new Set([node]);
      const named = descent.lets.find((l) => l.name === e.name);
      return named === undefined || named.value.type === 'f32' ? null : values(named.value);
    }
    case 'select': {
      const [condition, then, otherwise] = [e.condition, e.then, e.otherwise].map(values);
      if (!condition || !then || !otherwise) return null;
      return new Set([...(condition.has(1) ? then : []), ...(condition.has(0) ? otherwise : [])]);
    }
    case 'op': {
      const args = e.args.map(values);
      const combine = operations[e.op];
      if (combine !== undefined && args.every((a) => a !== null)) return combined(args as readonly Values[], combine);
      return e.type === 'bool' ? EITHER : null;
    }
    default:
      return null;
  }
}

const EITHER: Values = new Set([0, 1]);

function combined(args: readonly Values[], combine: (...numbers: number[]) => number): Values {
  let tuples: readonly (readonly number[])[] = [[]];
  for (const values of args) tuples = tuples.flatMap((t) => [...values].map((v) => [...t, v]));
  return new Set(tuples.map((t) => combine(...t) | 0));
}

/** Operations on integers and truths (0 and 1); of other types nothing is known. */
const operations: Readonly<Partial<Record<string, (...numbers: number[]) => number>>> = {
  add: (a = 0, b = 0) => a + b,
  sub: (a = 0, b = 0) => a - b,
  mul: (a = 0, b = 0) => Math.imul(a, b),
  floordiv: (a = 0, b = 1) => Math.floor(a / Math.max(1, b)),
  mod: (a = 0, b = 1) => a - Math.floor(a / Math.max(1, b)) * Math.max(1, b),
  min: Math.min,
  max: Math.max,
  neg: (a = 0) => -a,
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  lt: (a = 0, b = 0) => Number(a < b),
  le: (a = 0, b = 0) => Number(a <= b),
  gt: (a = 0, b = 0) => Number(a > b),
  ge: (a = 0, b = 0) => Number(a >= b),
  and: (a = 0, b = 0) => a & b,
  or: (a = 0, b = 0) => a | b,
  not: (a = 0) => 1 - a,
  to_i32: (a = 0) => a,
};
