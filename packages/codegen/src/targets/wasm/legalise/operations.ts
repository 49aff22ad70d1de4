/**
 * Leaves only operations that a WebAssembly instruction exists for: integer min, max, abs, floor division and folds of vectors
 * become simpler operations.
 */
import { type Bind, rewriteBinding } from '../../../kernel-ir/bind.ts';
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, Kernel } from '../../../kernel-ir/types.ts';
import { Names } from '../../../kernel-ir/walk.ts';

/** Operations without an instruction, from those with one. */
export function legaliseOperations(kernel: Kernel): Kernel {
  const names = new Names(kernel);
  const body = rewriteBinding(kernel.body, names, (e, bind) => {
    if (e.kind === 'fold') return foldLanes(e, bind);
    return e.kind === 'op' ? legaliseOp(e, bind) : e;
  });
  return { ...kernel, body };
}

function foldLanes(e: Extract<Expr, { kind: 'fold' }>, bind: Bind): Expr {
  const value = bind('folded', e.value);
  const halves = (lanes: readonly number[]): Expr => {
    if (lanes.length === 1) return k.extract(value, lanes[0] as number);
    const even = lanes.filter((_, i) => i % 2 === 0);
    const odd = lanes.filter((_, i) => i % 2 === 1);
    const both = k.op(e.op, halves(even), halves(odd));
    // Integers have no instruction for the larger of two, as they have none elsewhere.
    return bind('half', both.kind === 'op' ? legaliseOp(both, bind) : both);
  };
  return halves(Array.from({ length: e.value.type.lanes }, (_, i) => i));
}

function legaliseOp(e: Extract<Expr, { kind: 'op' }>, bind: Bind): Expr {
  const scalarInteger = e.args[0]?.type.scalar === 'i32' && e.type.lanes === 1;
  const [a, b] = e.args as [Expr, Expr];
  if (!scalarInteger) return e;
  switch (e.op) {
    case 'min':
    case 'max': {
      const [x, y] = [bind('a', a), bind('b', b)];
      return k.op('select', k.op(e.op === 'min' ? 'lt' : 'gt', x, y), x, y);
    }
    case 'abs': {
      const x = bind('a', a);
      return k.op('select', k.op('lt', x, k.i32(0)), k.sub(k.i32(0), x), x);
    }
    case 'neg':
      return k.sub(k.i32(0), a);
    case 'mod': {
      // The machine's remainder has the sign of the dividend; the divisor is positive.
      const y = bind('b', b);
      const rest = bind('rest', { ...e, op: 'mod', args: [a, y] });
      return k.add(rest, k.op('bit_and', y, k.op('shr_s', rest, k.i32(31))));
    }
    case 'floordiv': {
      const [x, y] = [bind('a', a), bind('b', b)];
      const quotient = bind('quotient', { ...e, op: 'floordiv', args: [x, y] });
      const rest = k.sub(x, k.mul(quotient, y));
      return k.add(quotient, k.op('shr_s', rest, k.i32(31)));
    }
    default:
      return e;
  }
}
