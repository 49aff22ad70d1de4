/**
 * Rows: statements fused row by row. One grid step computes one row of every statement in the unit; results that only
 * the unit uses stay in values or private arrays. Covers maps, gathers, row reductions (norms, softmax) and walks.
 *
 * A walk whose route does not depend on the remaining axes is walked once a row, and what its nodes yield is added to an
 * array over those axes (`descend`): the choice of a node is never repeated for each output.
 */

import type { LayerIR } from '@espalier/ir';
import { type Expr as LayerExpr, type Size, Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import { mapStatements, substitute } from '../kernel-ir/walk.ts';
import type { Form } from '../target.ts';
import { blockCount } from './blocks.ts';
import { deferWalk, type SummedWalk } from './deferred-walk.ts';
import { type DescendExpr, lowerExpr, walk } from './expr.ts';
import { alphaKey, mentionsAny, textOf, visit } from './layer-expr.ts';
import type { RowStatement, RowsUnit } from './partition.ts';
import { KernelBuilder, Scope } from './scope.ts';

/** Elements a grid step takes when a unit has a single axis and nothing to reduce. */
const MAP_BLOCK = 1024;

/** How rows are lowered: see the form of this name. */
type RowsForm = Pick<Extract<Form, { form: 'rows' }>, 'together' | 'deferred' | 'clamped'>;
const ALONE: RowsForm = { together: 1 };

/** What to call a unit: the most specific of the strategies its statements need. */
function strategyOf(unit: RowsUnit): string {
  let strategy = 'map';
  const order = ['map', 'gather', 'rowwise', 'descend'];
  const raise = (to: string): void => {
    if (order.indexOf(to) > order.indexOf(strategy)) strategy = to;
  };
  for (const { statement } of unit.statements) {
    visit(statement.value, (e) => {
      if (e.kind === 'descend') raise('descend');
      else if (e.kind === 'reduce') raise('rowwise');
      else if (e.kind === 'access' && e.indices.some((i) => i.kind === 'access')) raise('gather');
    });
  }
  return strategy;
}

/**
 * Lowers a unit. `exported`: tensors that must reach memory (outputs, and what other units read).
 */
export function lowerRows(
  unit: RowsUnit,
  layer: LayerIR,
  exported: ReadonlySet<string>,
  name: string,
  { together, deferred = false, clamped = false }: RowsForm = ALONE,
): Kernel {
  const kernel = new KernelBuilder(layer);
  const scope = new Scope(kernel);
  const rows = rowSizes(unit);
  const blocked = blockedAxis(unit);
  if (blocked !== null) lowerBlocked(blocked, scope);
  else if (together > 1 && rows.length > 0) lowerTogether(unit, rows, { together, deferred, clamped }, exported, scope);
  else {
    const grid = kernel.names.fresh('row');
    const body = scope.inner();
    const places = decodeGrid(k.index(grid), rows.map(k.sizeExpr), body);
    for (const member of unit.statements) lowerMember(member, places, body, exported, deferred);
    scope.emit(k.loop(grid, k.i32(0), k.sizeExpr(Sizes.product(rows)), body.block, { binding: 'grid', label: 'row' }));
  }
  const text = unit.statements.map((m) => textOf(layer, m.statement.span)).join('; ');
  return kernel.finish(name, `${strategyOf(unit)}: ${text}`, scope.block);
}

/** The sizes of a unit's row axes: it has as many rows as their product. */
export function rowSizes(unit: RowsUnit): readonly Size[] {
  const first = unit.statements[0] as RowStatement;
  return first.rowAxes.map((axis) => first.statement.axes[axis]?.size ?? Sizes.constant(1));
}

/** A single map over one axis is dealt out in blocks. */
function blockedAxis(unit: RowsUnit): Statement | null {
  const [only, more] = unit.statements;
  if (only === undefined || more !== undefined || only.statement.axes.length !== 1) return null;
  let plain = true;
  visit(only.statement.value, (e) => {
    plain &&= e.kind !== 'reduce' && e.kind !== 'descend';
  });
  return plain ? only.statement : null;
}

function lowerBlocked(s: Statement, scope: Scope): void {
  const { names } = scope.kernel;
  const axis = s.axes[0] as Statement['axes'][number];
  const size = k.sizeExpr(axis.size);
  const block = names.fresh('block');
  const from = k.mul(k.index(block), k.i32(MAP_BLOCK));
  const outer = scope.inner();
  const inner = outer.inner();
  const at = names.fresh(axis.name);
  const place = k.add(from, k.index(at));
  inner.bind(axis.name, place);
  const value = lowerExpr(s.value, inner);
  inner.emit(k.store(scope.kernel.global(s.target, 'write'), [place], value));
  outer.emit(k.loop(at, k.i32(0), k.min(k.i32(MAP_BLOCK), k.sub(size, from)), inner.block, { label: axis.name }));
  const blocks = k.op('floordiv', k.add(size, k.i32(MAP_BLOCK - 1)), k.i32(MAP_BLOCK));
  scope.emit(k.loop(block, k.i32(0), blocks, outer.block, { binding: 'grid', label: 'block' }));
}

/** A grid step takes neighbours along the last row axis, which share what depends on the other row axes alone. */
function lowerTogether(
  unit: RowsUnit,
  rows: readonly Size[],
  { together, deferred, clamped }: Required<RowsForm>,
  exported: ReadonlySet<string>,
  scope: Scope,
): void {
  const { names } = scope.kernel;
  const grid = names.fresh('step');
  const body = scope.inner();
  const last = rows.at(-1) as Size;
  const extents = [...rows.slice(0, -1).map(k.sizeExpr), blockCount(last, together)];
  const places = decodeGrid(k.index(grid), extents, body);
  const from = k.mul(places.at(-1) as Expr, k.i32(together));
  const to = k.min(k.add(from, k.i32(together)), k.sizeExpr(last));
  const row = names.fresh('row');
  const inner = body.inner();
  const beside = names.fresh('beside');
  const asked = k.add(from, k.index(beside));
  if (clamped) inner.emit(k.letStmt(row, k.min(asked, k.sub(k.sizeExpr(last), k.i32(1)))));
  const here = [...places.slice(0, -1), k.index(row)];
  for (const member of unit.statements) lowerMember(member, here, inner, exported, deferred);
  body.emit(
    clamped
      ? k.loop(beside, k.i32(0), k.i32(together), unlessBeyond(inner.block, row, asked, k.sizeExpr(last)), {
          label: 'rows',
        })
      : k.loop(row, from, to, inner.block, { label: 'rows' }),
  );
  const steps = extents.reduce((product, extent) => k.mul(product, extent));
  scope.emit(k.loop(grid, k.i32(0), steps, body.block, { binding: 'grid', label: 'step' }));
}

/** The statements, in which what is stored by `row` is stored by `asked`, and only where that is a row. What is read there is of the last row. */
function unlessBeyond(body: readonly Stmt[], row: string, asked: Expr, rows: Expr): readonly Stmt[] {
  const isOf = (s: Stmt): boolean => s.kind === 'store' && s.indices.some((i) => i.kind === 'ref' && i.name === row);
  const real = new Map([[row, asked]]);
  return mapStatements(body, (s) => {
    if (s.kind !== 'store' || !isOf(s)) return s;
    const [moved] = substitute([k.store(s.buffer, s.indices, k.i32(0))], real);
    const indices = moved?.kind === 'store' ? moved.indices : s.indices;
    return { kind: 'if', condition: k.op('lt', asked, rows), then: [{ ...s, indices }], otherwise: [] };
  });
}

/** The index of each row axis from the grid step. */
export function decodeGrid(grid: Expr, extents: readonly Expr[], body: Scope): readonly Expr[] {
  if (extents.length <= 1) return extents.map(() => grid);
  let rest = grid;
  const places: Expr[] = new Array(extents.length);
  for (let r = extents.length - 1; r >= 0; r--) {
    const size = extents[r] as Expr;
    const divisor = size.kind === 'literal' ? k.i32(Math.max(1, size.value)) : k.max(size, k.i32(1));
    const place = body.kernel.names.fresh(`row_${r}`);
    const remaining = body.kernel.names.fresh('rest');
    body.emit(k.letStmt(place, r === 0 ? rest : k.op('mod', rest, divisor)));
    places[r] = k.index(place);
    if (r > 0) {
      body.emit(k.letStmt(remaining, k.op('floordiv', rest, divisor)));
      rest = k.index(remaining);
    }
  }
  return places;
}

function lowerMember(
  member: RowStatement,
  places: readonly Expr[],
  body: Scope,
  exported: ReadonlySet<string>,
  deferred: boolean,
): void {
  const { statement: s, rowAxes } = member;
  rowAxes.forEach((axis, row) => {
    body.bind(s.axes[axis]?.name ?? '', places[row] as Expr);
  });
  const restAxes = s.axes.map((_, i) => i).filter((i) => !rowAxes.includes(i));
  const rest = restAxes.map((i) => s.axes[i] as Statement['axes'][number]);
  const decl = body.kernel.tensor(s.target);
  const storage = decl.storage === 'i32' ? 'i32' : 'f32';
  const isExported = exported.has(s.target);
  const everyAxis = s.axes.map((a) => a.name);

  if (rest.length === 0) {
    const value = lowerExpr(s.value, body);
    const name = body.kernel.names.fresh(s.target);
    body.emit(k.letStmt(name, value));
    body.provide(s.target, { kind: 'value', expr: k.ref(name, value.type) });
    if (isExported)
      body.emit(
        k.store(
          body.kernel.global(s.target, 'write'),
          everyAxis.map((a) => body.lookup(a)),
          k.ref(name, value.type),
        ),
      );
    return;
  }
  const target = isExported
    ? body.kernel.global(s.target, 'write')
    : body.kernel.scratch(
        s.target,
        rest.map((a) => a.size),
        storage,
      );
  const write = (inner: Scope, value: Expr): void => {
    const axes = isExported ? s.axes : rest;
    inner.emit(
      k.store(
        target,
        axes.map((a) => inner.lookup(a.name)),
        value,
      ),
    );
  };
  const walks = hoistableWalks(
    s,
    rest.map((a) => a.name),
  );
  const taken = walks.map((chain) => takeWalk(chain, rest, deferred, body));
  body.loops(rest, (inner) => write(inner, lowerWithWalks(s.value, taken, inner)));
  if (!isExported) body.provide(s.target, { kind: 'memory', buffer: target, axes: restAxes });
}

/** Σ over indices of a walk, as it stands in a statement's value. */
export interface WalkChain extends SummedWalk {
  readonly whole: LayerExpr;
}

/** A walk that has been taken, and what reads one of its results. */
interface WalkTaken {
  readonly whole: LayerExpr;
  readonly read: (output: Scope) => Expr;
}

/** Walks that yield, under nothing but sums, whose route does not depend on the remaining axes. */
export function hoistableWalks(s: Statement, rest: readonly string[]): readonly WalkChain[] {
  const names = new Set(rest);
  const found: WalkChain[] = [];
  const search = (e: LayerExpr): void => {
    const chain = chainOf(e);
    if (chain !== null && !routeMentions(chain.descent, names)) found.push(chain);
    else if (e.kind === 'op') e.args.forEach(search);
  };
  search(s.value);
  return found;
}

function chainOf(e: LayerExpr): WalkChain | null {
  const sums: { name: string; size: Size }[] = [];
  let inner = e;
  while (inner.kind === 'reduce' && inner.op === 'sum') {
    sums.push(...inner.indices);
    inner = inner.body;
  }
  return inner.kind === 'descend' && inner.yield !== null ? { whole: e, sums, descent: inner } : null;
}

const routeMentions = (d: DescendExpr, names: ReadonlySet<string>): boolean =>
  [d.init, d.next, ...d.lets.map((l) => l.value)].some((e) => mentionsAny(e, names));

/** Takes a walk once for all outputs; each yield is added to an array over them as it comes, or all of them after the walk. */
function takeWalk(
  chain: WalkChain,
  rest: readonly { readonly name: string; readonly size: Size }[],
  deferred: boolean,
  body: Scope,
): WalkTaken {
  const walked = body.inner();
  const read = deferred ? deferWalk(chain, new Set(rest.map((a) => a.name)), walked) : null;
  const taken = read ?? addYields(chain, rest, body, walked);
  body.emit(...whereWanted(rest, walked.block));
  return { whole: chain.whole, read: taken };
}

/** A walk that no element asks for must not be taken: its accesses may have nothing to read. */
export function whereWanted(rest: readonly { readonly size: Size }[], walk: readonly Stmt[]): readonly Stmt[] {
  const isWanted = rest
    .filter((a) => (Sizes.constantOf(a.size) ?? 0) === 0)
    .map((a) => k.op('gt', k.sizeExpr(a.size), k.i32(0)))
    .reduce<Expr | null>((all, one) => (all === null ? one : k.op('and', all, one)), null);
  return isWanted === null ? walk : [{ kind: 'if', condition: isWanted, then: walk, otherwise: [] }];
}

/** Writes the array, zeroed, into `body`, and into `walked` the walks that add to it. */
function addYields(
  chain: WalkChain,
  rest: readonly { readonly name: string; readonly size: Size }[],
  body: Scope,
  walked: Scope,
): (output: Scope) => Expr {
  const type = chain.descent.type;
  const sizes = rest.map((a) => a.size);
  const accumulator = body.kernel.scratch('walked', sizes, type);
  const zero = type === 'f32' ? k.f32(0) : k.i32(0);
  const at = (scope: Scope): readonly Expr[] => rest.map((a) => scope.lookup(a.name));
  body.loops(rest, (inner) => inner.emit(k.store(accumulator, at(inner), zero)));
  walked.loops(chain.sums, (tree) => {
    walk(chain.descent, tree, (node) => {
      node.loops(rest, (inner) => {
        const yielded = lowerExpr(chain.descent.yield as LayerExpr, inner);
        inner.emit(k.store(accumulator, at(inner), k.add(k.load(accumulator, at(inner), k.scalar(type)), yielded)));
      });
    });
  });
  return (output) => k.load(accumulator, at(output), k.scalar(type));
}

/** The statement's value, with each hoisted walk read where it was left. */
function lowerWithWalks(e: LayerExpr, walks: readonly WalkTaken[], scope: Scope): Expr {
  for (const { whole, read } of walks) scope.cache(alphaKey(whole), read(scope));
  return lowerExpr(e, scope);
}
