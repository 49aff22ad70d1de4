/** Copies of statements whose own names are new, so that names stay unique in the kernel. */
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import { mapExpressions, mapStatements, type Names, namesDefined } from '../kernel-ir/walk.ts';

/** A copy in which everything the statements define has a fresh name; `bindings` as for `copied`. */
export function renamed(body: readonly Stmt[], names: Names, bindings?: ReadonlyMap<string, Expr>): readonly Stmt[] {
  const next = new Map<string, string>();
  for (const name of namesDefined(body)) next.set(name, names.fresh(name.replace(/_\d+$/, '')));
  return copied(body, next, bindings);
}

/** The statements with names replaced, where they are defined and where they are used. */
export const rename = (body: readonly Stmt[], next: ReadonlyMap<string, string>): readonly Stmt[] => copied(body, next);

/** The statements with names replaced, and other names by expressions (`bindings`). */
export function copied(
  body: readonly Stmt[],
  next: ReadonlyMap<string, string>,
  bindings?: ReadonlyMap<string, Expr>,
): readonly Stmt[] {
  const used = mapExpressions(body, (e) => {
    if (e.kind !== 'ref') return e;
    const name = next.get(e.name);
    if (name === undefined) return bindings?.get(e.name) ?? e;
    return name === e.name ? e : { ...e, name };
  });
  return mapStatements(used, (s) => {
    if (s.kind === 'for') {
      const index = next.get(s.index);
      return index === undefined || index === s.index ? s : { ...s, index };
    }
    if (s.kind !== 'let' && s.kind !== 'var' && s.kind !== 'assign') return s;
    const name = next.get(s.name);
    return name === undefined || name === s.name ? s : { ...s, name };
  });
}
