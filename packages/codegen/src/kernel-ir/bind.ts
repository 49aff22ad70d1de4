/** Rewriting expressions into ones that need a name first: the lets go in front of the statement that uses them. */
import * as k from './build.ts';
import type { Expr, Stmt } from './types.ts';
import { flatMapBlock, mapBlocks, mapChildren, mapOwnExpressions, type Names } from './walk.ts';

/** Gives a value a name in front of the current statement; values at hand are returned as they are. */
export type Bind = (base: string, value: Expr) => Expr;

/**
 * Rebuilds every expression bottom-up; `change` may name values on the way. Whether it leaves an expression as it is must follow from
 * the expression alone: one left alone is not looked at again where it stands once more.
 */
export function rewriteBinding(
  body: readonly Stmt[],
  names: Names,
  change: (e: Expr, bind: Bind) => Expr,
): readonly Stmt[] {
  const settled = new Set<Expr>();
  let before: Stmt[] = [];
  const bind: Bind = (base, value) => {
    if (value.kind === 'ref' || value.kind === 'literal' || value.kind === 'dim') return value;
    const name = names.fresh(base);
    before.push(k.letStmt(name, value));
    return k.ref(name, value.type);
  };
  const rebuild = (e: Expr): Expr => {
    if (settled.has(e)) return e;
    const bound = before.length;
    const changed = change(mapChildren(e, rebuild), bind);
    if (changed === e && before.length === bound) settled.add(e);
    return changed;
  };
  const statement = (s: Stmt): Stmt | readonly Stmt[] => {
    before = [];
    const changed = mapOwnExpressions(s, rebuild);
    const lets = before;
    const inner = mapBlocks(changed, block);
    return lets.length === 0 ? inner : [...lets, inner];
  };
  const block = (statements: readonly Stmt[]): readonly Stmt[] => flatMapBlock(statements, statement);
  return block(body);
}
