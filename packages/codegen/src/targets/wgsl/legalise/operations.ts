/**
 * Leaves operations that WGSL has an expression for and can't mistake: division and remainder that round to zero only
 * where that is the floor, folds of vectors as pairs, constants folded.
 */
import { affine } from '../../../kernel-ir/affine.ts';
import { type Bind, rewriteBinding } from '../../../kernel-ir/bind.ts';
import * as k from '../../../kernel-ir/build.ts';
import { nonNegativeIn } from '../../../kernel-ir/sign.ts';
import type { Expr, Kernel } from '../../../kernel-ir/types.ts';
import { Names } from '../../../kernel-ir/walk.ts';
import { foldConstant } from './constants.ts';

type Op = Extract<Expr, { kind: 'op' }>;

export function legaliseOperations(kernel: Kernel): Kernel {
  const isNonNegative = nonNegativeIn(kernel);
  const surely = (e: Expr): boolean => e.type.lanes === 1 && isNonNegative(affine(e));
  const body = rewriteBinding(kernel.body, new Names(kernel), (e, bind) => {
    if (e.kind === 'fold') return foldLanes(e, bind);
    if (e.kind !== 'op') return e;
    if (e.op === 'floordiv' || e.op === 'mod') return divide(e, surely, bind);
    return toInteger(foldConstant(e), bind);
  });
  return { ...kernel, body };
}

/**
 * Not-a-number becomes 0: WGSL leaves open what it becomes, and says of no value that it is not a number, but bits tell. What is
 * too large becomes the largest integer, where WGSL stops at the largest that is an f32, too.
 */
function toInteger(e: Expr, bind: Bind): Expr {
  if (e.kind !== 'op' || e.op !== 'to_i32' || e.args[0]?.type.scalar !== 'f32') return e;
  const { lanes } = e.type;
  const value = bind('real', e.args[0]);
  const magnitude = k.op('bit_and', k.op('bits_of', value), k.splat(k.i32(0x7fffffff), lanes));
  const isNumber = k.op('le', magnitude, k.splat(k.i32(0x7f800000), lanes));
  const tooLarge = k.op('ge', value, k.splat(k.f32(2 ** 31), lanes));
  const integer = k.op('select', tooLarge, k.splat(k.i32(2 ** 31 - 1), lanes), k.op('to_i32', value));
  return k.op('select', isNumber, integer, k.splat(k.i32(0), lanes));
}

/** (0∘2) ∘ (1∘3). */
function foldLanes(e: Extract<Expr, { kind: 'fold' }>, bind: Bind): Expr {
  const value = bind('folded', e.value);
  const part = (lanes: readonly number[]): Expr => {
    if (lanes.length === 1) return k.extract(value, lanes[0] as number);
    return k.op(e.op, part(lanes.filter((_, i) => i % 2 === 0)), part(lanes.filter((_, i) => i % 2 === 1)));
  };
  return part(Array.from({ length: e.value.type.lanes }, (_, i) => i));
}

/** The machine's quotient rounds to zero and its remainder has the dividend's sign; divisors are positive. */
function divide(e: Op, surely: (e: Expr) => boolean, bind: Bind): Expr {
  const [a, b] = e.args as [Expr, Expr];
  // A divisor of 0 stands only in loops that don't run, but a constant one is no program at all.
  if (b.kind === 'literal' && b.value === 0) return k.i32(0);
  // Of powers of two, shifts and masks are the floor for either sign, and cheaper than a signed division.
  if (b.kind === 'literal' && Number.isInteger(Math.log2(b.value)))
    return e.op === 'mod' ? k.op('bit_and', a, k.i32(b.value - 1)) : k.op('shr_s', a, k.i32(Math.log2(b.value)));
  if (surely(a)) return e;
  const ones = k.splat(k.i32(31), e.type.lanes);
  const [x, y] = [bind('dividend', a), bind('divisor', b)];
  if (e.op === 'mod') {
    const rest = bind('rest', { ...e, args: [x, y] });
    return k.add(rest, k.op('bit_and', y, k.op('shr_s', rest, ones)));
  }
  const quotient = bind('quotient', { ...e, args: [x, y] });
  return k.add(quotient, k.op('shr_s', k.sub(x, k.mul(quotient, y)), ones));
}
