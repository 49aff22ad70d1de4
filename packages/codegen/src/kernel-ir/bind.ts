/** Rewriting expressions into ones that need a name first: the lets go in front of the statement that uses them. */
import * as k from './build.ts';
import type { Expr, Stmt } from './types.ts';
import { flatMapBlock, mapBlocks, mapExpr, mapOwnExpressions, type Names } from './walk.ts';

/** Gives a value a name in front of the current statement; values at hand are returned as they are. */
export type Bind = (base: string, value: Expr) => Expr;

/** Rebuilds every expression bottom-up; `change` may name values on the way. */
export function rewriteBinding(
  body: readonly Stmt[],
  names: Names,
  change: (e: Expr, bind: Bind) => Expr,
): readonly Stmt[] {
  const block = (statements: readonly Stmt[]): readonly Stmt[] => flatMapBlock(statements, statement);
  const statement = (s: Stmt): Stmt | readonly Stmt[] => {
    const before: Stmt[] = [];
    const bind: Bind = (base, value) => {
      if (value.kind === 'ref' || value.kind === 'literal' || value.kind === 'dim') return value;
      const name = names.fresh(base);
      before.push(k.letStmt(name, value));
      return k.ref(name, value.type);
    };
    const changed = mapOwnExpressions(s, (e) => mapExpr(e, (x) => change(x, bind)));
    const inner = mapBlocks(changed, block);
    return before.length === 0 ? inner : [...before, inner];
  };
  return block(body);
}
