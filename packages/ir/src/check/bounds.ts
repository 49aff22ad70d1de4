/**
 * Proof of array bounds. Walks the checked statements with the interval of every index, node and i32 local, marks the
 * accesses that cannot leave their tensor, and reports those that cannot stay inside (E304). Whatever lies between is
 * left for a check at run time.
 *
 * A descent is followed level by level: with the node in [a, b] at one level, `next` gives its interval at the next.
 * The body is then judged with the union over all levels, the result with what comes after the last. i32 tensors of the
 * layer keep the interval of their values, so that `leaf[t]` is known to name a leaf.
 */

import { childrenOf } from '../children.ts';
import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import type { Descend, Expr, IndexRange, Statement, TensorDecl } from '../layer-ir.ts';
import type { Size } from '../size.ts';
import * as Sizes from '../size.ts';
import {
  atMost,
  below,
  between,
  both,
  exactly,
  type Facts,
  hull,
  type Interval,
  isNonNegative,
  ofOp,
  unknown,
} from './interval.ts';
import { selectNode } from './make.ts';

interface Bounds {
  readonly tensors: ReadonlyMap<string, TensorDecl>;
  /** Value intervals of i32 tensors defined so far. */
  readonly values: Map<string, Interval>;
  /** Sizes that something in the layer really has, so that they fit i32. */
  readonly extents: Size[];
  readonly problems: Diagnostic[];
  /** Per original expression, what it was rewritten to in different places. */
  readonly variants: Map<Expr, readonly Expr[]>;
  /** Evaluations left for following descents; when spent, nodes are unknown. */
  budget: number;
}

type Env = ReadonlyMap<string, Interval>;

/** What is known about the place: is it computed at all, and on every run? */
interface Place {
  readonly env: Env;
  /** It is never computed: inside a loop over nothing. */
  readonly dead: boolean;
  /** A condition decides whether it is computed, so leaving the bounds is no certain mistake. */
  readonly guarded: boolean;
}

const mostEvaluations = 200_000;

/** Marks proven accesses; adds a problem for each that is certainly out of bounds. */
export function proveBounds(
  statements: readonly Statement[],
  tensors: readonly TensorDecl[],
  problems: Diagnostic[],
): readonly Statement[] {
  const extents = [...tensors.flatMap((t) => [...t.shape, Sizes.product(t.shape)])];
  const bounds: Bounds = {
    tensors: new Map(tensors.map((t) => [t.name, t])),
    values: new Map(),
    extents,
    problems,
    budget: mostEvaluations,
    variants: new Map(),
  };
  return statements.map((statement) => {
    const place = over(bounds, { env: new Map(), dead: false, guarded: false }, statement.axes);
    const value = rewrite(bounds, statement.value, place, new Map());
    if (value.type === 'i32') bounds.values.set(statement.target, intervalOf(bounds, value, place.env));
    return { ...statement, value };
  });
}

/** Inside loops over the given indices. */
function over(bounds: Bounds, place: Place, indices: readonly IndexRange[]): Place {
  const env = new Map(place.env);
  for (const i of indices) env.set(i.name, below(i.size));
  // A loop that runs counts to its size.
  bounds.extents.push(...indices.map((i) => i.size));
  return { ...place, env, dead: place.dead || indices.some((i) => Sizes.constantOf(i.size) === 0) };
}

/** What was rewritten in a place already. */
type Memo = Map<Expr, Expr>;

function rewrite(bounds: Bounds, e: Expr, place: Place, memo: Memo): Expr {
  const known = memo.get(e);
  if (known !== undefined) return known;
  const result = intern(bounds, e, rewriteNew(bounds, e, place, memo));
  memo.set(e, result);
  return result;
}

/** Places that come to the same result share it, so that a function's argument stays one object. */
function intern(bounds: Bounds, e: Expr, result: Expr): Expr {
  const variants = bounds.variants.get(e) ?? [];
  const isSame = (v: Expr): boolean => {
    const parts = childrenOf(v);
    const flags =
      v.kind === 'access' && result.kind === 'access' ? v.inBounds.every((b, i) => b === result.inBounds[i]) : true;
    return flags && childrenOf(result).every((part, i) => part === parts[i]);
  };
  const known = variants.find(isSame);
  if (known !== undefined) return known;
  bounds.variants.set(e, [...variants, result]);
  return result;
}

function rewriteNew(bounds: Bounds, e: Expr, place: Place, memo: Memo): Expr {
  const sub = (inner: Expr): Expr => rewrite(bounds, inner, place, memo);
  switch (e.kind) {
    case 'literal':
    case 'index':
    case 'size':
    case 'local':
      return e;
    case 'access': {
      const indices = e.indices.map(sub);
      return { ...e, indices, inBounds: indices.map((index, axis) => isInside(bounds, e, index, axis, place)) };
    }
    case 'op':
      return { ...e, args: e.args.map(sub) };
    case 'select': {
      const branch = (inner: Expr, holds: boolean): Expr =>
        rewrite(
          bounds,
          inner,
          { ...place, guarded: true, env: refine(bounds, place.env, e.condition, holds) },
          new Map(),
        );
      return selectNode(sub(e.condition), branch(e.then, true), branch(e.otherwise, false), e.span);
    }
    case 'reduce':
      // Inside a reduction over a dim nothing may be computed at all, yet a wrong constant is still a mistake.
      return { ...e, body: rewrite(bounds, e.body, over(bounds, place, e.indices), new Map()) };
    case 'descend': {
      const walk = follow(bounds, e, place.env);
      const body: Place = {
        ...place,
        env: withLets(bounds, e, new Map(place.env).set(e.node, walk.visited)),
        dead: place.dead || walk.levels === 0,
      };
      const after: Place = { ...place, env: new Map(place.env).set(e.node, walk.last) };
      const inBody = new Map<Expr, Expr>();
      const at = (inner: Expr): Expr => rewrite(bounds, inner, body, inBody);
      return {
        ...e,
        init: sub(e.init),
        lets: e.lets.map((l) => ({ ...l, value: at(l.value) })),
        yield: e.yield === null ? null : at(e.yield),
        next: at(e.next),
        result: e.result === null ? null : rewrite(bounds, e.result, after, new Map()),
      };
    }
  }
}

function isInside(
  bounds: Bounds,
  access: Expr & { readonly kind: 'access' },
  index: Expr,
  axis: number,
  place: Place,
): boolean {
  if (place.dead) return true;
  const tensor = bounds.tensors.get(access.tensor);
  const size = tensor?.shape[axis];
  if (tensor === undefined || size === undefined) return false;
  const { low, high } = intervalOf(bounds, index, place.env);
  const isAbove = low !== null && isNonNegative(low);
  const isBelow = high !== null && atMost(Sizes.add(high, Sizes.constant(1)), size);
  if (isAbove && isBelow) return true;
  if (!place.guarded) reportOutside(bounds, tensor, index, axis, { low, high });
  return false;
}

/** Certainly outside: all values beyond an end, or an index over a known range longer than the axis. */
function reportOutside(bounds: Bounds, tensor: TensorDecl, index: Expr, axis: number, { low, high }: Interval): void {
  const size = tensor.shape[axis] ?? [];
  const tooHigh = low !== null && atMost(size, low);
  const tooLow = high !== null && atMost(Sizes.add(high, Sizes.constant(1)), []);
  const overruns =
    index.kind === 'index' &&
    high !== null &&
    isNonNegative(Sizes.subtract(high, size)) &&
    Sizes.constantOf(high) !== null;
  if (!tooHigh && !tooLow && !overruns) return;
  const range =
    low !== null && high !== null && !Sizes.equal(low, high)
      ? `${Sizes.format(low)} … ${Sizes.format(high)}`
      : Sizes.format(low ?? high ?? []);
  const n = Sizes.constantOf(size);
  const valid =
    n === 0 ? 'it has no elements' : `valid are 0 … ${Sizes.format(Sizes.subtract(size, Sizes.constant(1)))}`;
  const shape = `[${tensor.shape.map(Sizes.format).join(', ')}]`;
  bounds.problems.push(
    diagnostic('E304', index.span, `the index is ${range}, outside axis ${axis + 1} of \`${tensor.name}\`: ${valid}`, {
      labels: [{ span: tensor.span, text: `\`${tensor.name}\` has shape ${shape}` }],
      help: overruns
        ? 'shorten the range, or guard the access with `if`'
        : 'indices count from 0; make the axis longer, or the index smaller',
    }),
  );
}

/** The interval of an i32 expression (bools and f32 have none). */
function intervalOf(bounds: Bounds, e: Expr, env: Env): Interval {
  bounds.budget--;
  if (e.type !== 'i32') return unknown;
  switch (e.kind) {
    case 'literal':
      return between(e.value, e.value);
    case 'size':
      return exactly(e.size);
    case 'index':
    case 'local':
      return env.get(e.name) ?? unknown;
    case 'access':
      return bounds.values.get(e.tensor) ?? unknown;
    case 'op':
      return ofOp(
        e.op,
        e.args.map((a) => intervalOf(bounds, a, env)),
        factsAt(bounds, env),
      );
    case 'select':
      return hull(
        intervalOf(bounds, e.then, refine(bounds, env, e.condition, true)),
        intervalOf(bounds, e.otherwise, refine(bounds, env, e.condition, false)),
      );
    case 'reduce':
      return ofReduce(bounds, e, env);
    case 'descend': {
      const walk = follow(bounds, e, env);
      return e.result === null ? unknown : intervalOf(bounds, e.result, new Map(env).set(e.node, walk.last));
    }
  }
}

/** What is known about sizes where these intervals hold. */
function factsAt(bounds: Bounds, env: Env): Facts {
  const hasDim = (size: Size, name: string): boolean => size.length > 0 && size.every((t) => t.dims.includes(name));
  return {
    fits: (size) => Sizes.constantOf(size) !== null || bounds.extents.some((x) => atMost(size, x)),
    isPositive: (size) => {
      if (atMost(Sizes.constant(1), size)) return true;
      const [only] = size;
      if (only === undefined || size.length > 1 || only.coefficient < 0) return false;
      // An index that exists, 0 ≤ i < N, says that N > 0, and so is every dim that all terms of N hold.
      const counts = [...env.values()].flatMap(({ low, high }) =>
        low !== null && high !== null && isNonNegative(low) ? [Sizes.add(high, Sizes.constant(1))] : [],
      );
      return only.dims.every((name) => counts.some((n) => hasDim(n, name)));
    },
  };
}

function ofReduce(bounds: Bounds, e: Expr & { readonly kind: 'reduce' }, env: Env): Interval {
  const count = Sizes.product(e.indices.map((i) => i.size));
  const times = Sizes.constantOf(count);
  const inner = new Map(env);
  for (const i of e.indices) inner.set(i.name, below(i.size));
  switch (e.op) {
    case 'argmax':
    case 'argmin':
      // Of nothing it is 0, which is below no size; so the size must be known to be above 0.
      return times === 0 ? between(0, 0) : times !== null ? below(count) : { low: [], high: null };
    case 'max':
    case 'min':
      return times !== null && times > 0 ? intervalOf(bounds, e.body, inner) : unknown;
    case 'sum': {
      const body = intervalOf(bounds, e.body, inner);
      return times === null ? unknown : ofOp('mul', [body, between(times, times)], factsAt(bounds, env));
    }
    case 'prod':
      return unknown;
  }
}

interface Walk {
  /** Union over the levels, as the body sees it. */
  readonly visited: Interval;
  /** After the last level. */
  readonly last: Interval;
  readonly levels: number | null;
}

/** The node of a descent, level by level. */
function follow(bounds: Bounds, e: Descend, env: Env): Walk {
  const levels = Sizes.constantOf(e.levels);
  if (levels === null) return { visited: unknown, last: unknown, levels };
  let node = intervalOf(bounds, e.init, env);
  let visited: Interval | null = null;
  for (let level = 0; level < levels; level++) {
    visited = visited === null ? node : hull(visited, node);
    if (bounds.budget <= 0 || (node.low === null && node.high === null))
      return { visited: unknown, last: unknown, levels };
    const next = intervalOf(bounds, e.next, withLets(bounds, e, new Map(env).set(e.node, node)));
    if (same(next, node)) return { visited, last: node, levels };
    node = next;
  }
  return { visited: visited ?? unknown, last: node, levels };
}

const sameEnd = (a: Size | null, b: Size | null): boolean => (a === null || b === null ? a === b : Sizes.equal(a, b));
const same = (a: Interval, b: Interval): boolean => sameEnd(a.low, b.low) && sameEnd(a.high, b.high);

function withLets(bounds: Bounds, e: Descend, env: Env): Env {
  const inner = new Map(env);
  for (const l of e.lets) inner.set(l.name, intervalOf(bounds, l.value, inner));
  return inner;
}

const opposite = { lt: 'ge', ge: 'lt', gt: 'le', le: 'gt', eq: 'ne', ne: 'eq' } as const;
const mirrored = { lt: 'gt', gt: 'lt', le: 'ge', ge: 'le', eq: 'eq', ne: 'ne' } as const;
type Comparison = keyof typeof opposite;
const isComparison = (op: string): op is Comparison => op in opposite;

/** What a condition that holds (or does not) says about the indices and locals it compares. */
function refine(bounds: Bounds, env: Env, condition: Expr, holds: boolean): Env {
  if (condition.kind !== 'op') return env;
  const [a, b] = condition.args;
  if (a === undefined) return env;
  if (condition.op === 'not') return refine(bounds, env, a, !holds);
  if (b === undefined) return env;
  if (condition.op === (holds ? 'and' : 'or')) return refine(bounds, refine(bounds, env, a, holds), b, holds);
  if (!isComparison(condition.op) || a.type !== 'i32') return env;
  const op = holds ? condition.op : opposite[condition.op];
  return limit(bounds, limit(bounds, env, a, op, b), b, mirrored[op], a);
}

/** env with `a op b` for an index or local a. */
function limit(bounds: Bounds, env: Env, a: Expr, op: Comparison, b: Expr): Env {
  if (a.kind !== 'index' && a.kind !== 'local') return env;
  const { low, high } = intervalOf(bounds, b, env);
  const one = Sizes.constant(1);
  const limits: { readonly [K in Comparison]: Interval } = {
    lt: { low: null, high: high === null ? null : Sizes.subtract(high, one) },
    le: { low: null, high },
    gt: { low: low === null ? null : Sizes.add(low, one), high: null },
    ge: { low, high: null },
    eq: { low, high },
    ne: unknown,
  };
  return new Map(env).set(a.name, both(env.get(a.name) ?? unknown, limits[op]));
}
