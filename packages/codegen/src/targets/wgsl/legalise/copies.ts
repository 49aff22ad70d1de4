/**
 * Names that only repeat another name, as sharing and hoisting leave them, are replaced by it. A loop's index may keep a
 * second name: that one says what it counts.
 */
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../../../kernel-ir/types.ts';
import { mapStatements, substitute, visitStatements } from '../../../kernel-ir/walk.ts';

export function forwardCopies(kernel: Kernel): Kernel {
  const lets = new Set<string>();
  const copies = new Map<string, Expr>();
  visitStatements(kernel.body, (s) => {
    if (s.kind !== 'let') return;
    lets.add(s.name);
    const { value } = s;
    if (value.kind === 'literal' || value.kind === 'dim') copies.set(s.name, value);
    else if (value.kind === 'ref' && lets.has(value.name))
      copies.set(s.name, copies.get(value.name) ?? k.ref(value.name, value.type));
  });
  if (copies.size === 0) return kernel;
  const isCopy = (s: Stmt): boolean => s.kind === 'let' && copies.has(s.name);
  return {
    ...kernel,
    body: substitute(
      mapStatements(kernel.body, (s) => (isCopy(s) ? [] : s)),
      copies,
    ),
  };
}
