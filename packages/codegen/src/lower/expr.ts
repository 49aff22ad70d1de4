/**
 * Lowering of Layer IR expressions to Kernel IR. Elementwise parts become expressions; reductions, descents, guarded
 * branches and checked accesses become statements of the current block, and the expression names their result.
 */
import { type Expr as LayerExpr, type Size, Sizes } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import { accessesOf, alphaKey, placeOf, textOf } from './layer-expr.ts';
import type { Scope } from './scope.ts';

type Access = Extract<LayerExpr, { kind: 'access' }>;
type Reduce = Extract<LayerExpr, { kind: 'reduce' }>;
export type DescendExpr = Extract<LayerExpr, { kind: 'descend' }>;

export function lowerExpr(e: LayerExpr, scope: Scope): Expr {
  const known = scope.standIn(e);
  if (known !== null) return known;
  switch (e.kind) {
    case 'literal':
      return e.type === 'f32' ? k.f32(e.value) : e.type === 'i32' ? k.i32(e.value) : k.bool(e.value !== 0);
    case 'index':
    case 'local':
      return scope.lookup(e.name);
    case 'size':
      return k.sizeExpr(e.size);
    case 'access':
      return lowerAccess(e, scope);
    case 'op':
      return lowerOp(e, scope);
    case 'select':
      return lowerSelect(e, scope);
    case 'reduce':
    case 'descend': {
      const key = alphaKey(e);
      const known = scope.cached(key);
      if (known !== null) return known;
      const value = e.kind === 'reduce' ? lowerReduce(e, scope) : lowerDescend(e, scope);
      scope.cache(key, value);
      return value;
    }
  }
}

function lowerOp(e: Extract<LayerExpr, { kind: 'op' }>, scope: Scope): Expr {
  const args = e.args.map((a) => lowerExpr(a, scope));
  const [a, b] = args;
  if ((e.op !== 'floordiv' && e.op !== 'mod') || a === undefined || b === undefined) return k.op(e.op, ...args);
  if (scope.kernel.mustCheck(e)) {
    const { layer } = scope.kernel;
    const divisor = e.args[1];
    const text = divisor?.kind === 'size' ? Sizes.format(divisor.size) : textOf(layer, divisor?.span ?? e.span);
    const fault = scope.kernel.fault(`${text} is below 1 and divides`, placeOf(layer, divisor?.span ?? e.span));
    scope.emit({ kind: 'check', condition: k.op('ge', b, k.i32(1)), fault });
  }
  // What follows a failed check must not trap; nor must what is hoisted out of a loop that does not run.
  return k.op(e.op, a, b.kind === 'literal' && b.value !== 0 ? b : k.max(b, k.i32(1)));
}

function lowerAccess(e: Access, scope: Scope): Expr {
  const handle = scope.handle(e.tensor);
  if (handle.kind === 'value') return handle.expr;
  const decl = scope.kernel.tensor(e.tensor);
  const conditions: Expr[] = [];
  const indices = handle.axes.map((axis) => {
    const index = lowerExpr(e.indices[axis] as LayerExpr, scope);
    if (e.inBounds[axis] === true) return index;
    const checked = checkedIndex(e, axis, index, scope);
    conditions.push(checked.isInside);
    return checked.index;
  });
  const type = k.scalar(decl.storage === 'f32' || decl.storage === 'f16' ? 'f32' : 'i32');
  const value = k.load(handle.buffer, indices, type);
  // Runtimes leave room where a tensor they fill is empty. What the kernel writes itself has none, and nothing may be read there.
  return conditions.length > 0 && scope.kernel.isWritten(handle.buffer) ? loadInside(value, conditions, scope) : value;
}

/** The value where all conditions hold, else 0. */
function loadInside(value: Expr, conditions: readonly Expr[], scope: Scope): Expr {
  const name = scope.kernel.names.fresh('inside');
  const condition = conditions.reduce((a, b) => k.op('and', a, b));
  scope.emit(k.varStmt(name, { kind: 'literal', value: 0, type: value.type }), {
    kind: 'if',
    condition,
    then: [k.assign(name, value)],
    otherwise: [],
  });
  return k.ref(name, value.type);
}

/** An index nothing proved in range: checked when it runs, and clamped so that a failed check reads no foreign memory. */
function checkedIndex(
  e: Access,
  axis: number,
  index: Expr,
  scope: Scope,
): { readonly index: Expr; readonly isInside: Expr } {
  const layer = scope.kernel.layer;
  const size = scope.kernel.tensor(e.tensor).shape[axis] ?? Sizes.constant(0);
  const span = e.indices[axis]?.span ?? e.span;
  const message = `${textOf(layer, span) || 'an index'} lies outside axis ${axis} of ${e.tensor}, 0 … ${Sizes.format(Sizes.subtract(size, Sizes.constant(1)))}`;
  const fault = scope.kernel.fault(message, placeOf(layer, span));
  const name = scope.kernel.names.fresh('at');
  const at = k.index(name);
  const end = k.sizeExpr(size);
  const isInside = k.op('and', k.op('ge', at, k.i32(0)), k.op('lt', at, end));
  scope.emit(k.letStmt(name, index), { kind: 'check', condition: isInside, fault });
  return { index: k.max(k.i32(0), k.min(at, k.sub(end, k.i32(1)))), isInside };
}

/** Whether a branch reads what only its condition keeps inside a tensor. */
const guards = (e: Extract<LayerExpr, { kind: 'select' }>, scope: Scope): boolean =>
  [...accessesOf(e.then), ...accessesOf(e.otherwise)].some(
    (access) => scope.handle(access.tensor).kind === 'memory' && !scope.kernel.needsNoGuard(access),
  );

function lowerSelect(e: Extract<LayerExpr, { kind: 'select' }>, scope: Scope): Expr {
  const condition = lowerExpr(e.condition, scope);
  const then = scope.inner();
  const otherwise = scope.inner();
  const a = lowerExpr(e.then, then);
  const b = lowerExpr(e.otherwise, otherwise);
  if (then.block.length === 0 && otherwise.block.length === 0 && !guards(e, scope))
    return k.op('select', condition, a, b);
  const name = scope.kernel.names.fresh('chosen');
  const zero: Expr = { kind: 'literal', value: 0, type: a.type };
  scope.emit(k.varStmt(name, zero), {
    kind: 'if',
    condition,
    then: [...then.block, k.assign(name, a)],
    otherwise: [...otherwise.block, k.assign(name, b)],
  });
  return k.ref(name, a.type);
}

export const foldOps = { sum: 'add', prod: 'mul', max: 'max', min: 'min' } as const;

function lowerReduce(e: Reduce, scope: Scope): Expr {
  if (e.op === 'argmax' || e.op === 'argmin') return lowerArg(e, scope);
  const op = foldOps[e.op];
  const name = scope.kernel.names.fresh(e.op);
  const accumulator = k.ref(name, k.scalar(e.type));
  scope.emit(k.varStmt(name, k.identityOf(op, e.type)));
  scope.loops(e.indices, (body) => {
    body.emit(k.assign(name, k.op(op, accumulator, lowerExpr(e.body, body))));
  });
  return accumulator;
}

function lowerArg(e: Reduce, scope: Scope): Expr {
  const { names } = scope.kernel;
  const type = e.body.type === 'i32' ? 'i32' : 'f32';
  const best = names.fresh('best');
  const at = names.fresh('best_at');
  const better = e.op === 'argmax' ? 'gt' : 'lt';
  scope.emit(k.varStmt(best, k.identityOf(e.op === 'argmax' ? 'max' : 'min', type)), k.varStmt(at, k.i32(0)));
  scope.loops(e.indices, (body) => {
    const candidate = names.fresh('candidate');
    const ref = k.ref(candidate, k.scalar(type));
    body.emit(k.letStmt(candidate, lowerExpr(e.body, body)), {
      kind: 'if',
      condition: k.op(better, ref, k.ref(best, k.scalar(type))),
      then: [k.assign(best, ref), k.assign(at, body.lookup(e.indices[0]?.name ?? ''))],
      otherwise: [],
    });
  });
  return k.index(at);
}

function lowerDescend(e: DescendExpr, scope: Scope): Expr {
  const type = k.scalar(e.type);
  const total = scope.kernel.names.fresh('walked');
  if (e.yield !== null) scope.emit(k.varStmt(total, { kind: 'literal', value: 0, type }));
  const result = walk(e, scope, (body) => {
    if (e.yield !== null) body.emit(k.assign(total, k.add(k.ref(total, type), lowerExpr(e.yield, body))));
  });
  return result ?? k.ref(total, type);
}

/** Writes the walk itself; `visit` writes what happens at each node of which level. Gives the walk's result, when it has one. */
export function walk(e: DescendExpr, scope: Scope, visit: (body: Scope, level: Expr) => void): Expr | null {
  const node = walkLevels(e, scope, { from: 0, to: e.levels, start: null }, visit);
  if (e.result === null) return null;
  const after = scope.inner();
  after.bind(e.node, node);
  const value = lowerExpr(e.result, after);
  const name = scope.kernel.names.fresh('reached');
  scope.emit(...after.block, k.letStmt(name, value));
  return k.ref(name, value.type);
}

/** Some levels of a walk: from where it begins, or from the node `start`. */
interface Levels {
  readonly from: number;
  readonly to: Size | number;
  readonly start: Expr | null;
}

/** Writes some levels of a walk. Gives the node reached. */
export function walkLevels(
  e: DescendExpr,
  scope: Scope,
  { from, to, start }: Levels,
  visit: (body: Scope, level: Expr) => void,
): Expr {
  const { names } = scope.kernel;
  const node = names.fresh(e.node);
  scope.emit(k.varStmt(node, start ?? lowerExpr(e.init, scope)));
  const level = names.fresh('level');
  const body = scope.inner();
  body.bind(e.node, k.index(node));
  body.emit(k.assign(node, walkNode(e, body, k.index(level), visit)));
  const end = typeof to === 'number' ? k.i32(to) : k.sizeExpr(to);
  if (!(end.kind === 'literal' && end.value <= from)) scope.emit(k.loop(level, k.i32(from), end, body.block));
  return k.index(node);
}

/** Writes what happens at one node, to which the walk's name for it is bound in `body`. Gives the next node. */
export function walkNode(e: DescendExpr, body: Scope, level: Expr, visit: (body: Scope, level: Expr) => void): Expr {
  for (const l of e.lets) {
    const name = body.kernel.names.fresh(l.name);
    const value = lowerExpr(l.value, body);
    body.emit(k.letStmt(name, value));
    body.bind(l.name, k.ref(name, value.type));
  }
  if (e.trace !== null) record(e, e.trace, level, body);
  visit(body, level);
  return lowerExpr(e.next, body);
}

const comparisons: ReadonlySet<string> = new Set(['eq', 'ne', 'lt', 'le', 'gt', 'ge']);

/**
 * Left minus right side of the comparison whose sides are closest, among those that decide `x`: of a choice, those of its
 * condition and of the branch that was taken. Null when no numbers are compared.
 */
function closestComparison(x: LayerExpr, lets: DescendExpr['lets'], scope: Scope): Expr | null {
  const closest = (parts: readonly LayerExpr[]): Expr | null =>
    parts.map((part) => closestComparison(part, lets, scope)).reduce(closer, null);
  if (x.kind === 'local') {
    // A decision may have a name: lets that are no f32 are part of it.
    const named = x.type === 'f32' ? undefined : lets.find((l) => l.name === x.name);
    return named === undefined ? null : closestComparison(named.value, lets, scope);
  }
  if (x.kind === 'access') return closest(x.indices);
  if (x.kind === 'op' && comparisons.has(x.op)) {
    const [left, right] = x.args.map((a) => lowerExpr(a, scope));
    return left === undefined || right === undefined || left.type.scalar !== 'f32' ? null : k.sub(left, right);
  }
  if (x.kind === 'op') return closest(x.args);
  return x.kind === 'select' ? closestOfChoice(x, lets, scope) : null;
}

function closer(a: Expr | null, b: Expr | null): Expr | null {
  if (a === null || b === null) return a ?? b;
  return k.op('select', k.op('lt', k.op('abs', b), k.op('abs', a)), b, a);
}

function closestOfChoice(
  x: Extract<LayerExpr, { kind: 'select' }>,
  lets: DescendExpr['lets'],
  scope: Scope,
): Expr | null {
  const condition = closestComparison(x.condition, lets, scope);
  const branches = [x.then, x.otherwise].map((branch) => {
    const inner = scope.inner();
    return { inner, score: closestComparison(branch, lets, inner) };
  });
  if (branches.every(({ score }) => score === null)) return condition;
  // Infinitely far apart: what a branch without a comparison adds to the choice.
  const far = k.f32(Number.POSITIVE_INFINITY);
  const name = scope.kernel.names.fresh('hung');
  const hung = k.ref(name, k.scalar('f32'));
  const start = condition ?? far;
  const [then = [], otherwise = []] = branches.map(({ inner, score }) =>
    score === null ? [] : [...inner.block, k.assign(name, closer(hung, score) ?? hung)],
  );
  scope.emit(k.varStmt(name, start), { kind: 'if', condition: lowerExpr(x.condition, scope), then, otherwise });
  return condition === null ? k.op('select', k.op('eq', hung, far), k.f32(0), hung) : hung;
}

/** Stores the node and the score at this level. */
export function record(e: DescendExpr, trace: NonNullable<DescendExpr['trace']>, level: Expr, body: Scope): void {
  const at = [...trace.indices.map((i) => body.lookup(i.name)), level];
  const score = closestComparison(e.next, e.lets, body);
  const stores: Stmt[] = [
    k.store(body.kernel.global(trace.nodes, 'write'), at, body.lookup(e.node)),
    k.store(body.kernel.global(trace.scores, 'write'), at, score ?? k.f32(0)),
  ];
  body.emit(...stores);
}
