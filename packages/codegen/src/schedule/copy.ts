/** Copies of statements whose own names are new, so that names stay unique in the kernel. */
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import {
  blocksOf,
  expressionsOf,
  mapExpr,
  type Names,
  namesDefined,
  withBlocks,
  withExpressions,
} from '../kernel-ir/walk.ts';

/** A copy in which everything the statements define has a fresh name. */
export function renamed(body: readonly Stmt[], names: Names): readonly Stmt[] {
  const next = new Map<string, string>();
  for (const name of namesDefined(body)) next.set(name, names.fresh(name.replace(/_\d+$/, '')));
  return rename(body, next);
}

/** The statements with names replaced, where they are defined and where they are used. */
export function rename(body: readonly Stmt[], next: ReadonlyMap<string, string>): readonly Stmt[] {
  const use = (e: Expr): Expr =>
    mapExpr(e, (x) => (x.kind === 'ref' && next.has(x.name) ? { ...x, name: next.get(x.name) as string } : x));
  const name = (old: string): string => next.get(old) ?? old;
  return body.map((s) => {
    const changed = withExpressions(s, expressionsOf(s).map(use));
    const inner = withBlocks(
      changed,
      blocksOf(changed).map((block) => rename(block, next)),
    );
    if (inner.kind === 'for') return { ...inner, index: name(inner.index) };
    if (inner.kind === 'let' || inner.kind === 'var' || inner.kind === 'assign')
      return { ...inner, name: name(inner.name) };
    return inner;
  });
}
