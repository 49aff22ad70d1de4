/** Rewriting expressions into ones that need a name first: the lets go in front of the statement that uses them. */
import * as k from './build.ts';
import type { Expr, Stmt } from './types.ts';
import { blocksOf, expressionsOf, mapExpr, type Names, withBlocks, withExpressions } from './walk.ts';

/** Gives a value a name in front of the current statement; values at hand are returned as they are. */
export type Bind = (base: string, value: Expr) => Expr;

/** Rebuilds every expression bottom-up; `change` may name values on the way. */
export function rewriteBinding(
  body: readonly Stmt[],
  names: Names,
  change: (e: Expr, bind: Bind) => Expr,
): readonly Stmt[] {
  return body.flatMap((s) => {
    const before: Stmt[] = [];
    const bind: Bind = (base, value) => {
      if (value.kind === 'ref' || value.kind === 'literal' || value.kind === 'dim') return value;
      const name = names.fresh(base);
      before.push(k.letStmt(name, value));
      return k.ref(name, value.type);
    };
    const changed = withExpressions(
      s,
      expressionsOf(s).map((e) => mapExpr(e, (x) => change(x, bind))),
    );
    return [
      ...before,
      withBlocks(
        changed,
        blocksOf(changed).map((block) => rewriteBinding(block, names, change)),
      ),
    ];
  });
}
