/**
 * A workgroup as loops see it that share one row among all its threads: teams of lanes, each of which computes one thing
 * together. Where a team is a subgroup, its folds are the machine's; where it is a part of one, they go through workgroup
 * memory. All threads must come to such a fold, so teams without anything left to do do the last thing again.
 */
import { type Expr as LayerExpr, type Size, Sizes } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import { foldOps, lowerExpr } from './expr.ts';
import { alphaKey } from './layer-expr.ts';
import { hasWalk } from './partition.ts';
import type { Scope } from './scope.ts';

type Fold = Extract<LayerExpr, { kind: 'reduce' }> & { readonly op: keyof typeof foldOps };

/** Threads of a workgroup, and how many of them, neighbours, are a team; both numbers are multiples of the next. */
export interface TeamShape {
  readonly subgroups: number;
  readonly lanes: number;
  readonly team: number;
}

const i32 = k.scalar('i32');
const builtin = (which: 'lane' | 'subgroup' | 'subgroup_lane'): Expr => ({ kind: 'builtin', which, type: i32 });

/** The thread within its workgroup. */
export const thread: Expr = builtin('lane');

export const workgroupBarrier: Stmt = { kind: 'barrier', scope: 'workgroup' };

/** How many teams a workgroup has. */
export const teamsOf = (shape: TeamShape): number => (shape.subgroups * shape.lanes) / shape.team;

export class Team {
  readonly threads: number;
  readonly count: number;
  readonly #shape: TeamShape;
  /** The team within its workgroup, and the lane within its team. */
  readonly #index: Expr;
  readonly #member: Expr;

  /** Writes what tells a thread its place into `scope`, which all loops of the teams must lie in. */
  constructor(shape: TeamShape, scope: Scope) {
    this.#shape = shape;
    this.threads = shape.subgroups * shape.lanes;
    this.count = teamsOf(shape);
    if (this.foldsInSubgroup) {
      this.#index = builtin('subgroup');
      this.#member = builtin('subgroup_lane');
      return;
    }
    const named = (base: string, value: Expr): Expr => {
      const name = scope.kernel.names.fresh(base);
      scope.emit(k.letStmt(name, value));
      return k.index(name);
    };
    this.#index = named('team', k.op('floordiv', thread, k.i32(shape.team)));
    this.#member = named('member', k.op('mod', thread, k.i32(shape.team)));
  }

  private get foldsInSubgroup(): boolean {
    return this.#shape.team === this.#shape.lanes;
  }

  /** Deals `count` things out to the threads, one each. */
  threadsOver(base: string, count: number, scope: Scope, fill: (inner: Scope, index: Expr) => void): void {
    const inner = scope.inner();
    if (count > this.threads) {
      dealt(base, k.i32(count), count, { first: thread, by: this.threads }, scope, fill);
      return;
    }
    fill(inner, count === 1 ? k.i32(0) : thread);
    if (count === this.threads) scope.emit(...inner.block);
    else scope.emit(when(k.op('lt', thread, k.i32(count)), inner.block));
  }

  /**
   * Deals `count` things out to the teams. All lanes of a team run what `fill` writes into `inner`; what it returns, one of them
   * does, once for each thing.
   */
  teamsOver(base: string, count: number, scope: Scope, fill: (inner: Scope, index: Expr) => readonly Stmt[]): void {
    const { names } = scope.kernel;
    const goes = Math.ceil(count / this.count);
    const go = names.fresh('go');
    const inner = scope.inner();
    const item = goes === 1 ? this.#index : k.add(k.mul(k.index(go), k.i32(this.count)), this.#index);
    const even = count % this.count === 0;
    const first = k.op('eq', this.#member, k.i32(0));
    const isThere = k.op('lt', item, k.i32(count));
    if (even || this.foldsInSubgroup) {
      const name = names.fresh(base);
      const body = inner.inner();
      const done = fill(body, k.index(name));
      const all = [...body.block, when(first, done)];
      inner.emit(k.letStmt(name, item), ...(even ? all : [when(k.op('lt', k.index(name), k.i32(count)), all)]));
    } else {
      const name = names.fresh(base);
      inner.emit(k.letStmt(name, k.min(item, k.i32(count - 1))));
      const done = fill(inner, k.index(name));
      inner.emit(when(k.op('and', first, isThere), done));
    }
    // Before the next go writes what a fold reads in memory, everybody must have read it.
    if (goes > 1 && !this.foldsInSubgroup) inner.emit(workgroupBarrier);
    if (goes === 1) scope.emit(...inner.block);
    else scope.emit(k.loop(go, k.i32(0), k.i32(goes), inner.block));
  }

  /**
   * Computes the sums, products and extremes of an expression that are reached through operations alone, each by a whole team,
   * and has `scope` know them. `wanted` says which.
   */
  reduceIn(e: LayerExpr, scope: Scope, wanted: (fold: Fold) => boolean = () => true): void {
    for (const reduce of reductionsIn(e)) {
      const key = alphaKey(reduce);
      if (wanted(reduce) && scope.cached(key) === null) scope.cache(key, this.reduce(reduce, scope));
    }
  }

  private reduce(e: Fold, scope: Scope): Expr {
    const { names } = scope.kernel;
    const op = foldOps[e.op];
    const type = k.scalar(e.type);
    const name = names.fresh(`${e.op}_part`);
    const part = k.ref(name, type);
    const [longest, ...others] = [...e.indices].sort((a, b) => lengthOf(b.size) - lengthOf(a.size));
    scope.emit(k.varStmt(name, k.identityOf(op, e.type)));
    const each = (inner: Scope): void => inner.emit(k.assign(name, k.op(op, part, lowerExpr(e.body, inner))));
    scope.loops(others, (inner) => {
      if (longest === undefined) return;
      if (this.foldsInSubgroup) {
        const index = names.fresh(longest.name);
        const body = inner.inner();
        body.bind(longest.name, k.index(index));
        each(body);
        const to = k.sizeExpr(longest.size);
        inner.emit(k.loop(index, k.i32(0), to, body.block, { binding: 'lane', label: longest.name }));
        return;
      }
      const stride = { first: this.#member, by: this.#shape.team };
      const known = Sizes.constantOf(longest.size);
      dealt(longest.name, k.sizeExpr(longest.size), known, stride, inner, (body, index) => {
        body.bind(longest.name, index);
        each(body);
      });
    });
    if (this.foldsInSubgroup) {
      const total = names.fresh(e.op);
      scope.emit(k.letStmt(total, { kind: 'subgroup_fold', op, value: part, type }));
      return k.ref(total, type);
    }
    const parts = scope.kernel.scratch('parts', [Sizes.constant(this.threads)], e.type, 'workgroup');
    const total = names.fresh(e.op);
    const other = names.fresh('other');
    const first = k.mul(this.#index, k.i32(this.#shape.team));
    const add = k.assign(total, k.op(op, k.ref(total, type), k.load(parts, [k.add(first, k.index(other))], type)));
    scope.emit(
      k.store(parts, [thread], part),
      workgroupBarrier,
      k.varStmt(total, k.load(parts, [first], type)),
      k.loop(other, k.i32(1), k.i32(this.#shape.team), [add]),
    );
    return k.ref(total, type);
  }
}

/** Bytes of workgroup memory that the folds of an expression take. */
export const foldBytes = (e: LayerExpr, shape: TeamShape): number =>
  shape.team === shape.lanes ? 0 : reductionsIn(e).length * shape.subgroups * shape.lanes * 4;

/** Sums and their like that an expression always computes, except of walks. */
export function reductionsIn(e: LayerExpr): readonly Fold[] {
  if (e.kind === 'op') return e.args.flatMap(reductionsIn);
  return isFold(e) && !hasWalk(e) ? [e] : [];
}

const isFold = (e: LayerExpr): e is Fold => e.kind === 'reduce' && e.op !== 'argmax' && e.op !== 'argmin';

/** Sizes that only the run knows count as long. */
const lengthOf = (size: Size): number => Sizes.constantOf(size) ?? Number.POSITIVE_INFINITY;

/** A loop over every `by`-th index from `first` on; of a whole number of rounds, where that is known, so that it can be unrolled. */
function dealt(
  base: string,
  to: Expr,
  known: number | null,
  { first, by }: { readonly first: Expr; readonly by: number },
  scope: Scope,
  fill: (inner: Scope, index: Expr) => void,
): void {
  const { names } = scope.kernel;
  const name = names.fresh(base);
  const inner = scope.inner();
  fill(inner, k.index(name));
  if (known === null || known % by !== 0) {
    scope.emit(k.loop(name, first, to, inner.block, { step: by, label: base }));
    return;
  }
  const round = names.fresh('part');
  const index = k.letStmt(name, k.add(k.mul(k.index(round), k.i32(by)), first));
  scope.emit(k.loop(round, k.i32(0), k.i32(known / by), [index, ...inner.block], { label: base }));
}

export const when = (condition: Expr, then: readonly Stmt[]): Stmt => ({ kind: 'if', condition, then, otherwise: [] });
