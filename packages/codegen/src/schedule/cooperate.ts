/**
 * The step `cooperate`: a subgroup takes a grid step together. Loops whose iterations are independent are dealt out to its
 * lanes; what is folded over such a loop is folded over the lanes after it; everything else all lanes compute alike.
 * Private arrays find their place by how they are used: an array whose elements are each touched by one lane only is
 * split among the lanes' registers, one that all lanes fill alike stays with each, the others are shared.
 */
import * as k from '../kernel-ir/build.ts';
import { divergence } from '../kernel-ir/divergence.ts';
import { printExpr } from '../kernel-ir/print.ts';
import type { Expr, FoldOp, Kernel, Stmt } from '../kernel-ir/types.ts';
import { mapBlocks, mapExpr, Names, visitExpr, visitExpressions, visitStatements } from '../kernel-ir/walk.ts';
import { type Homes, homesOf, withHomes } from './cooperate-memory.ts';
import { dependence } from './memory.ts';
import { ceilDivide, gridLoop, withGrid } from './spread.ts';
import { partialsOf, tripOf, VectoriseError } from './vectorise.ts';

type For = Extract<Stmt, { kind: 'for' }>;

export interface Cooperate {
  readonly subgroups: number;
  readonly lanes: number;
  /** Bytes of workgroup memory that shared arrays may take; beyond, they live in scratch memory. */
  readonly memory: number;
  /** Most workgroups; with more grid steps than subgroups each takes several, one after another. Bounds scratch memory. */
  readonly workgroups?: number;
}

const subgroupLane: Expr = { kind: 'builtin', which: 'subgroup_lane', type: k.scalar('i32') };
const subgroup: Expr = { kind: 'builtin', which: 'subgroup', type: k.scalar('i32') };

/** The kernel with each grid step shared by a subgroup, or why not: also where it can't be shown that all lanes reach a fold together. */
export function cooperateOnGrid(kernel: Kernel, options: Cooperate): Kernel | string {
  const shareWith = (sharePicked: boolean): Kernel | string => {
    const shared = shareGrid(kernel, { ...options, sharePicked });
    return typeof shared === 'string' ? shared : (divergence(shared) ?? shared);
  };
  const shared = shareWith(true);
  // What is shared is fenced by barriers, where lanes may not part; what each lane keeps needs none.
  return typeof shared === 'string' ? shareWith(false) : shared;
}

function shareGrid(kernel: Kernel, options: Cooperate & { readonly sharePicked: boolean }): Kernel | string {
  const found = gridLoop(kernel);
  if (found === null || kernel.workgroup !== undefined) return 'the kernel has no grid left to share';
  const { loop, at } = found;
  const dealt = loopsToDeal(loop.body, options.lanes);
  if (dealt.size === 0) return 'no loop of a grid step can be dealt out to lanes';
  const names = new Names(kernel);
  const homes = homesOf(kernel, loop.body, dealt, options);
  const body = new Dealer(dealt, homes, names).block(loop.body);
  const group = names.fresh('group');
  const step = (first: Expr): readonly Stmt[] => {
    const row = k.add(k.mul(first, k.i32(options.subgroups)), options.subgroups === 1 ? k.i32(0) : subgroup);
    const named = k.letStmt(loop.index, row);
    if (options.subgroups === 1 && options.workgroups === undefined) return [named, ...body];
    const condition = k.op('lt', k.index(loop.index), loop.to);
    return [named, { kind: 'if', condition, then: body, otherwise: [] }];
  };
  const needed = ceilDivide(loop.to, options.subgroups);
  const bound = (to: Expr, inner: readonly Stmt[]): Kernel => {
    const placed = withHomes({ ...kernel, body: inner }, homes, options);
    const group0 = k.loop(group, k.i32(0), to, placed.body, { binding: 'workgroup', label: 'group' });
    return {
      ...placed,
      body: withGrid(kernel, at, [group0]),
      workgroup: { subgroups: options.subgroups, lanes: options.lanes },
    };
  };
  if (options.workgroups === undefined) return bound(needed, step(k.index(group)));
  const round = names.fresh('round');
  const first = k.add(k.mul(k.index(round), k.i32(options.workgroups)), k.index(group));
  const rounds = k.loop(round, k.i32(0), ceilDivide(needed, options.workgroups), step(first), { label: 'round' });
  return bound(k.min(needed, k.i32(options.workgroups)), [rounds]);
}

/** Whether the iterations of a loop may be run by different lanes. Those of a vectorised loop take as many elements as it steps over. */
function dealable(loop: For): boolean {
  if (loop.binding !== 'serial' || widestAccess(loop.body) > loop.step) return false;
  if (dependence(loop.index, loop.body) !== null) return false;
  try {
    partialsOf(loop);
    return true;
  } catch (error) {
    if (error instanceof VectoriseError) return false;
    throw error;
  }
}

/** Most elements that an access of what is written takes at once. */
function widestAccess(body: readonly Stmt[]): number {
  const written = new Set<string>();
  let widest = 1;
  visitStatements(body, (s) => {
    if (s.kind !== 'store') return;
    written.add(s.buffer);
    widest = Math.max(widest, s.value.type.lanes);
  });
  visitExpressions(body, (e) => {
    if (e.kind === 'load' && written.has(e.buffer)) widest = Math.max(widest, e.type.lanes);
  });
  return widest;
}

/** The loops to deal out: the outermost that keep the lanes busy; short ones only where nothing inside them is longer. */
function loopsToDeal(body: readonly Stmt[], lanes: number): ReadonlySet<For> {
  const chosen = new Set<For>();
  const consider = (block: readonly Stmt[]): boolean => {
    let any = false;
    for (const s of block) {
      if (s.kind === 'if') any = [consider(s.then), consider(s.otherwise)].includes(true) || any;
      if (s.kind !== 'for') continue;
      const trip = tripOf(s) ?? Number.POSITIVE_INFINITY;
      const may = trip > 1 && dealable(s);
      if (may && trip * 2 >= lanes) {
        chosen.add(s);
        any = true;
      } else if (consider(s.body)) any = true;
      else if (may) {
        chosen.add(s);
        any = true;
      }
    }
    return any;
  };
  consider(body);
  return chosen;
}

/** Rewrites what a subgroup does together. */
class Dealer {
  readonly #dealt: ReadonlySet<For>;
  readonly #homes: Homes;
  readonly #names: Names;
  /** Vectors that a dealt loop folds into and that are then folded themselves, and what each lane holds of them. */
  readonly #foldedLater = new Map<string, string>();

  constructor(dealt: ReadonlySet<For>, homes: Homes, names: Names) {
    this.#dealt = dealt;
    this.#homes = homes;
    this.#names = names;
  }

  /** A block that all lanes run alike. */
  block(body: readonly Stmt[]): readonly Stmt[] {
    const result: Stmt[] = [];
    for (const [i, s] of body.entries()) {
      for (const x of this.statement(s, body.slice(0, i), body.slice(i + 1))) {
        if (x.kind === 'barrier' && result.at(-1)?.kind === 'barrier') continue;
        result.push(x);
      }
    }
    return result;
  }

  private statement(given: Stmt, preceding: readonly Stmt[], following: readonly Stmt[]): readonly Stmt[] {
    const s = this.foldParts(given);
    if (s.kind === 'for' && this.#dealt.has(s)) return this.fenced(s, this.deal(s, preceding, following));
    if (s.kind === 'for' || s.kind === 'if') return [mapBlocks(s, (b) => this.block(b))];
    if (s.kind === 'store' && this.#homes.kind(s.buffer) !== 'each') {
      // All lanes hold the value; one of them writes it down.
      const first = k.op('eq', subgroupLane, k.i32(0));
      return this.fenced(s, [{ kind: 'if', condition: first, then: [s], otherwise: [] }]);
    }
    return [s];
  }

  /** Where a vector of partial results becomes one number, that number is folded over the lanes: one fold instead of four. */
  private foldParts(s: Stmt): Stmt {
    if (this.#foldedLater.size === 0 || s.kind !== 'assign') return s;
    const value = mapExpr(s.value, (e) => {
      const part = e.kind === 'fold' && e.value.kind === 'ref' ? this.#foldedLater.get(e.value.name) : undefined;
      if (e.kind !== 'fold' || part === undefined) return e;
      return { kind: 'subgroup_fold', op: e.op, value: k.fold(e.op, k.ref(part, e.value.type)), type: e.type };
    });
    return k.assign(s.name, value);
  }

  /** Barriers around a statement that writes what other lanes read: they must have read the old, and will see the new. */
  private fenced(s: Stmt, replacement: readonly Stmt[]): readonly Stmt[] {
    if (!this.#homes.writesShared(s)) return replacement;
    const barrier: Stmt = { kind: 'barrier', scope: 'subgroup' };
    return [barrier, ...replacement, barrier];
  }

  private deal(loop: For, preceding: readonly Stmt[], following: readonly Stmt[]): readonly Stmt[] {
    const partials = partialsOf(loop);
    const before: Stmt[] = [];
    const after: Stmt[] = [];
    const parts = new Map<string, string>();
    for (const [name, p] of partials) {
      const part = this.#names.fresh(`${name}_part`);
      parts.set(name, part);
      before.push(k.varStmt(part, k.splat(k.identityOf(p.op, p.type.scalar), p.type.lanes)));
      if (p.type.lanes > 1 && startsEmpty(name, p.op, preceding) && isOnlyFolded(name, p.op, following)) {
        this.#foldedLater.set(name, part);
        continue;
      }
      const together: Expr = { kind: 'subgroup_fold', op: p.op, value: k.ref(part, p.type), type: p.type };
      after.push(k.assign(name, k.op(p.op, k.ref(name, p.type), together)));
    }
    return [...before, { ...loop, binding: 'lane', body: renameAssigned(loop.body, parts) }, ...after];
  }
}

/** Whether a vector holds nothing yet after these statements of its block: it is defined there, as the operation's identity, and left so. */
function startsEmpty(name: string, op: FoldOp, preceding: readonly Stmt[]): boolean {
  const at = preceding.findLastIndex((s) => s.kind === 'var' && s.name === name);
  const defined = preceding[at];
  if (defined?.kind !== 'var') return false;
  const empty = k.splat(k.identityOf(op, defined.type.scalar), defined.type.lanes);
  if (printExpr(defined.init) !== printExpr(empty)) return false;
  let isAssigned = false;
  visitStatements(preceding.slice(at + 1), (s) => {
    if (s.kind === 'assign' && s.name === name) isAssigned = true;
  });
  return !isAssigned;
}

/** Whether all that statements after a loop do with a vector is fold it, by the loop's operation, into a variable of that block. */
function isOnlyFolded(name: string, op: FoldOp, following: readonly Stmt[]): boolean {
  let uses = 0;
  let folds = 0;
  visitExpressions(following, (e) => {
    if (e.kind === 'ref' && e.name === name) uses++;
  });
  for (const s of following)
    if (s.kind === 'assign')
      visitExpr(s.value, (e) => {
        if (e.kind === 'fold' && e.op === op && e.value.kind === 'ref' && e.value.name === name) folds++;
      });
  return uses > 0 && uses === folds;
}

/** Folds go to the lane's own part. */
function renameAssigned(body: readonly Stmt[], parts: ReadonlyMap<string, string>): readonly Stmt[] {
  if (parts.size === 0) return body;
  return body.map((s) => {
    const inner = mapBlocks(s, (b) => renameAssigned(b, parts));
    const part = inner.kind === 'assign' ? parts.get(inner.name) : undefined;
    if (inner.kind !== 'assign' || part === undefined || inner.value.kind !== 'op') return inner;
    const own = k.ref(part, inner.value.type);
    const args = inner.value.args.map((a) => (a.kind === 'ref' && a.name === inner.name ? own : a));
    return k.assign(part, k.op(inner.value.op, ...args));
  });
}
