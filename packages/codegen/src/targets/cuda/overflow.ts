/**
 * Which i32 expressions may overflow. Kernel IR arithmetic wraps; signed arithmetic in C must not overflow. Sizes and
 * indices don't, or nothing would fit in memory; what was read from memory or converted may be any number.
 */
import type { Expr, Kernel } from '../../kernel-ir/types.ts';
import { children, visitStatements } from '../../kernel-ir/walk.ts';

/** Tells of an i32 expression of the kernel whether data, not only sizes and indices, went into it. */
export function dataIn(kernel: Kernel): (e: Expr) => boolean {
  const sources: { readonly name: string; readonly value: Expr }[] = [];
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'let' || s.kind === 'assign') sources.push({ name: s.name, value: s.value });
    else if (s.kind === 'var') sources.push({ name: s.name, value: s.init });
    else if (s.kind === 'for') sources.push({ name: s.index, value: s.from });
  });
  const named = new Set<string>();
  const fromData = (e: Expr): boolean => {
    switch (e.kind) {
      case 'literal':
      case 'dim':
      case 'builtin':
        return false;
      case 'ref':
        return named.has(e.name);
      case 'load':
        return true;
      case 'op':
        if (e.op === 'to_i32') return e.args[0]?.type.scalar !== 'bool';
        if (e.op === 'bits_of') return true;
        // A choice made by data of two sizes is a size.
        return (e.op === 'select' ? e.args.slice(1) : e.args).some(fromData);
      default:
        return children(e).some(fromData);
    }
  };
  for (let settled = false; !settled; ) {
    settled = true;
    for (const { name, value } of sources) {
      if (value.type.scalar !== 'i32' || named.has(name) || !fromData(value)) continue;
      named.add(name);
      settled = false;
    }
  }
  return fromData;
}
