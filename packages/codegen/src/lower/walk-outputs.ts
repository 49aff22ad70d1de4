/**
 * The outputs of walks that are over, one sum each over the levels in their order, kept in a register. Two rows at a time read what
 * their nodes hold once, as far down as they went the same way.
 */
import type { Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import { isMentioned } from './deferred-walk.ts';
import { type DescendExpr, lowerExpr } from './expr.ts';
import { alphaKey } from './layer-expr.ts';
import type { Saved } from './level-walk.ts';
import type { WalkChain } from './rows.ts';
import type { Scope } from './scope.ts';

/** A statement over walks, and its axes that are not rows. */
export interface WalkStatement {
  readonly statement: Statement;
  readonly rest: Statement['axes'];
  readonly chain: WalkChain;
}

/** A row whose walk is over. */
export interface WalkedRow {
  /** Binds the row axes. */
  bind(scope: Scope): void;
  /** Its place in each part of what was saved. */
  readonly columns: readonly Expr[];
}

const int = k.scalar('i32');

/** Writes the outputs of one row, or of two, from what each part of the walk has left, upper levels first. */
export function writeOutputs(
  { statement, rest, chain }: WalkStatement,
  rows: readonly WalkedRow[],
  parts: readonly Saved[],
  scope: Scope,
): void {
  const { names } = scope.kernel;
  const { descent } = chain;
  const shared = parts.map((saved, part) => (rows.length === 1 ? null : sharedLevels(saved, part)));
  scope.loops(rest, (output) => {
    const own = rows.map((row) => {
      const inner = output.inner();
      row.bind(inner);
      return { inner, row, total: names.fresh('walked') };
    });
    for (const { total } of own) output.emit(k.varStmt(total, k.f32(0)));
    const levels = (saved: Saved, part: number, from: Expr, to: Expr, together: boolean): void => {
      const level = names.fresh('level');
      const node = names.fresh(descent.node);
      const body: Stmt[] = [];
      for (const [i, { inner, row, total }] of own.entries()) {
        const at = inner.inner();
        const place = [k.index(level), row.columns[part] as Expr];
        for (const { part: value, buffer } of saved.parts) at.substitute(value, k.load(buffer, place, k.scalar('f32')));
        const locals = saved.locals.map((l) => ({
          ...l,
          local: together && l.name === descent.node ? node : names.fresh(l.name),
        }));
        for (const { name, local, scalar } of locals) at.bind(name, k.ref(local, k.scalar(scalar)));
        const sum = k.ref(total, k.scalar('f32'));
        at.emit(k.assign(total, k.add(sum, lowerExpr(descent.yield as NonNullable<DescendExpr['yield']>, at))));
        // What the parts alone are made from is not read again, and the node of all rows once.
        for (const { local, buffer, scalar } of locals)
          if (isMentioned(local, at.block) && !(local === node && i > 0))
            body.push(k.letStmt(local, k.load(buffer, place, k.scalar(scalar))));
        body.push(...at.block);
      }
      output.emit(k.loop(level, from, to, body, { label: 'level' }));
    };
    for (const [part, saved] of parts.entries()) {
      const same = shared[part] ?? null;
      const end = k.i32(saved.levels);
      if (same === null) levels(saved, part, k.i32(0), end, false);
      else {
        levels(saved, part, k.i32(0), same, true);
        levels(saved, part, same, end, false);
      }
    }
    for (const { inner, total } of own) {
      inner.cache(alphaKey(chain.whole), k.ref(total, k.scalar('f32')));
      const value = lowerExpr(statement.value, inner);
      const indices = statement.axes.map((a) => inner.lookup(a.name));
      inner.emit(k.store(scope.kernel.global(statement.target, 'write'), indices, value));
      output.emit(...inner.block);
    }
  });

  /** Writes how many levels from the first of a part on all rows stood at one node; null where no nodes were saved. */
  function sharedLevels(saved: Saved, part: number): Expr | null {
    const nodes = saved.locals.find((l) => l.name === descent.node)?.buffer;
    if (nodes === undefined) return null;
    const same = names.fresh('same');
    const level = names.fresh('level');
    const [first, ...others] = rows.map((row) => k.load(nodes, [k.index(level), row.columns[part] as Expr], int));
    const condition = others.reduce(
      (all, node) => k.op('and', all, k.op('eq', node, first as Expr)),
      k.op('eq', k.index(same), k.index(level)),
    );
    const then = [k.assign(same, k.add(k.index(level), k.i32(1)))];
    scope.emit(k.varStmt(same, k.i32(0)));
    const body: Stmt[] = [{ kind: 'if', condition, then, otherwise: [] }];
    scope.emit(k.loop(level, k.i32(0), k.i32(saved.levels), body, { label: 'compared' }));
    return k.index(same);
  }
}
