/** The pass `fuse-multiply-add`: a·b + c on f32 becomes `fma`, which targets print as one instruction or as two. */
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel } from '../kernel-ir/types.ts';
import { mapExpressions } from '../kernel-ir/walk.ts';

const isProduct = (e: Expr | undefined): e is Extract<Expr, { kind: 'op' }> =>
  e?.kind === 'op' && e.op === 'mul' && e.type.scalar === 'f32';

export function fuseMultiplyAdd(kernel: Kernel): Kernel {
  const body = mapExpressions(kernel.body, (e) => {
    if (e.kind !== 'op' || e.op !== 'add' || e.type.scalar !== 'f32') return e;
    const [a, b] = e.args as [Expr, Expr];
    const product = isProduct(b) ? b : isProduct(a) ? a : null;
    if (product === null) return e;
    const other = product === b ? a : b;
    return k.op('fma', product.args[0] as Expr, product.args[1] as Expr, other);
  });
  return { ...kernel, body };
}
