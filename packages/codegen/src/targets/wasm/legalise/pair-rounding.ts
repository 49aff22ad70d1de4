/**
 * Vectors are rounded to integers by adding and subtracting 1.5 · 2^23, for an engine that fuses neighbours and can't fuse its rounding
 * instruction: everything that led to one would stay in 128 bits. Exact below 2^22 in size, and nothing larger is rounded
 * (`KernelOp`); a result of −0 becomes 0. Scalars keep the instruction and round alike.
 */
import * as k from '../../../kernel-ir/build.ts';
import type { Kernel } from '../../../kernel-ir/types.ts';
import { mapExpressions } from '../../../kernel-ir/walk.ts';

const SHIFTER = 12582912;

export function pairRounding(kernel: Kernel): Kernel {
  const body = mapExpressions(kernel.body, (e) => {
    const value = e.kind === 'op' && e.op === 'nearest' ? e.args[0] : undefined;
    if (value === undefined || e.type.lanes === 1) return e;
    const shifter = k.splat(k.f32(SHIFTER), e.type.lanes);
    return k.op('sub', k.op('add', value, shifter), shifter);
  });
  return { ...kernel, body };
}
