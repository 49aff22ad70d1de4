/**
 * Walks that are finished before anything they yield is computed: each level leaves its node, and the numbers its yield needs, in
 * private memory. What is dear in a yield and the same for all outputs (an activation) is then computed for all levels at once,
 * and each output is one sum over all levels of all trees, kept in a register, in the order in which the walk would have
 * added it up: the bits are the same as when yields are added as they come.
 */
import { childrenOf, type Expr as LayerExpr, type Size, Sizes } from '@espalier/ir';
import { mentions } from '../kernel-ir/affine.ts';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import { visitExpressions } from '../kernel-ir/walk.ts';
import { type DescendExpr, lowerExpr, walk } from './expr.ts';
import { mentionsAny, visit } from './layer-expr.ts';
import type { Scope } from './scope.ts';

type Range = { readonly name: string; readonly size: Size };

/** A sum over walks: Σ over `sums` of what each walk yields. */
export interface SummedWalk {
  readonly sums: readonly Range[];
  readonly descent: DescendExpr;
}

/** Most numbers a walk may leave behind for each thing its yield needs: a tenth of the nearest cache. */
const MOST_SAVED = 1024;

/** Writes a walk into `tree`; at each level `visit` writes what is done there, where the names that its yield uses have their meaning. */
export type TakeWalk = (tree: Scope, visit: (node: Scope, level: Expr) => void) => void;

/**
 * Writes the walks into `body`, which must not be entered when there are no outputs. Returns what writes the sum for one output
 * into the scope of that output's indices, `rest`; null when the walk's shape does not allow it, and nothing was written.
 * `take`: how a walk is taken, if not from its first level to its last.
 */
export function deferWalk(
  { sums, descent }: SummedWalk,
  rest: ReadonlySet<string>,
  body: Scope,
  take: TakeWalk = (tree, visit) => void walk(descent, tree, visit),
): ((output: Scope) => Expr) | null {
  const { yield: yielded } = descent;
  const extents = [...sums.map((s) => Sizes.constantOf(s.size)), Sizes.constantOf(descent.levels)];
  const count = extents.reduce<number>((product, n) => product * (n ?? Number.POSITIVE_INFINITY), 1);
  if (yielded === null || descent.type !== 'f32' || !(count >= 1 && count <= MOST_SAVED)) return null;
  const locals = yieldLocals(descent);
  if (locals.some((l) => l.type === 'bool')) return null;

  const { kernel } = body;
  const shape = [...sums.map((s) => s.size), descent.levels];
  const saved = locals.map((l) => ({
    ...l,
    buffer: kernel.scratch(`${l.name}_at`, shape, l.type === 'i32' ? 'i32' : 'f32'),
  }));
  const place = (scope: Scope, level: Expr): readonly Expr[] => [...sums.map((s) => scope.lookup(s.name)), level];
  body.loops(sums, (tree) => {
    take(tree, (node, level) => {
      for (const { name, buffer } of saved) node.emit(k.store(buffer, place(node, level), node.lookup(name)));
    });
  });

  /** A loop over levels in which the yield's locals stand for what was saved. */
  const overLevels = (scope: Scope, fill: (at: Scope, level: Expr) => void): void => {
    const level = kernel.names.fresh('level');
    const at = scope.inner();
    const locals = saved.map((l) => ({
      ...l,
      local: kernel.names.fresh(l.name),
      scalar: k.scalar(l.type === 'i32' ? 'i32' : 'f32'),
    }));
    for (const { name, local, scalar } of locals) at.bind(name, k.ref(local, scalar));
    fill(at, k.index(level));
    // What no longer depends on a number does not read it.
    at.block.unshift(
      ...locals
        .filter(({ local }) => isMentioned(local, at.block))
        .map(({ local, buffer, scalar }) => k.letStmt(local, k.load(buffer, place(at, k.index(level)), scalar))),
    );
    scope.emit(k.loop(level, k.i32(0), k.sizeExpr(descent.levels), at.block));
  };

  const ready = partsApart(descent, rest).map((part) => ({
    part,
    buffer: kernel.scratch('yielded', shape, 'f32'),
  }));
  if (ready.length > 0)
    body.loops(sums, (tree) =>
      overLevels(tree, (at, level) => {
        for (const { part, buffer } of ready) at.emit(k.store(buffer, place(at, level), lowerExpr(part, at)));
      }),
    );

  return (output) => {
    const total = kernel.names.fresh('walked');
    const sum = k.ref(total, k.scalar('f32'));
    output.emit(k.varStmt(total, k.f32(0)));
    output.loops(sums, (tree) =>
      overLevels(tree, (at, level) => {
        for (const { part, buffer } of ready) at.substitute(part, k.load(buffer, place(at, level), k.scalar('f32')));
        at.emit(k.assign(total, k.add(sum, lowerExpr(yielded, at))));
      }),
    );
    return sum;
  };
}

/** Whether statements read a name. */
export function isMentioned(name: string, body: readonly Stmt[]): boolean {
  const only = new Set([name]);
  let found = false;
  visitExpressions(body, (e) => {
    found ||= mentions(e, only);
  });
  return found;
}

/** The walk's own names that its yield uses. */
export function yieldLocals(descent: DescendExpr): readonly { name: string; type: LayerExpr['type'] }[] {
  const used = new Set<string>();
  visit(descent.yield ?? descent.init, (e) => {
    if (e.kind === 'index' || e.kind === 'local') used.add(e.name);
  });
  const all = [
    { name: descent.node, type: descent.init.type },
    ...descent.lets.map((l) => ({ name: l.name, type: l.value.type })),
  ];
  return all.filter((l) => used.has(l.name));
}

/** The largest parts of a walk's yield that are the same for all outputs (`rest`), depend on the walk, and take some computing. */
export const partsApart = (
  descent: DescendExpr,
  rest: ReadonlySet<string>,
): readonly Extract<LayerExpr, { kind: 'op' | 'select' }>[] =>
  descent.yield === null
    ? []
    : apartFrom(descent.yield, rest, new Set([descent.node, ...descent.lets.map((l) => l.name)]));

function apartFrom(
  e: LayerExpr,
  rest: ReadonlySet<string>,
  locals: ReadonlySet<string>,
): readonly Extract<LayerExpr, { kind: 'op' | 'select' }>[] {
  if (!mentionsAny(e, locals)) return [];
  if ((e.kind === 'op' || e.kind === 'select') && e.type === 'f32' && !mentionsAny(e, rest)) return [e];
  // What a sum or a walk names inside the yield means nothing outside of it.
  const inside = new Set([...rest, ...namesBoundBy(e)]);
  return childrenOf(e).flatMap((child) => apartFrom(child, inside, locals));
}

/** Names that an expression gives meaning to for its own parts. */
function namesBoundBy(e: LayerExpr): readonly string[] {
  if (e.kind === 'reduce') return e.indices.map((i) => i.name);
  return e.kind === 'descend' ? [e.node, ...e.lets.map((l) => l.name)] : [];
}
