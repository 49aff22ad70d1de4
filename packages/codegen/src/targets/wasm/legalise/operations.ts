/**
 * Leaves only operations that a WebAssembly instruction exists for: integer min, max, abs, floor division and folds of vectors
 * become simpler operations, f16 becomes bit arithmetic.
 */
import { type Bind, rewriteBinding } from '../../../kernel-ir/bind.ts';
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, Kernel } from '../../../kernel-ir/types.ts';
import { Names } from '../../../kernel-ir/walk.ts';

/** Operations without an instruction, from those with one. */
export function legaliseOperations(kernel: Kernel): Kernel {
  const names = new Names(kernel);
  const storages = new Map(kernel.buffers.map((b) => [b.name, b.storage]));
  const body = rewriteBinding(kernel.body, names, (e, bind) => {
    if (e.kind === 'fold') return foldLanes(e, bind);
    if (e.kind === 'load' && storages.get(e.buffer) === 'f16' && e.type.scalar === 'f32') return widenHalf(e, bind);
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
    return bind('half', k.op(e.op, halves(even), halves(odd)));
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

/** f16 bits to f32: exact, denormals, infinities and NaN included. */
function widenHalf(e: Extract<Expr, { kind: 'load' }>, bind: Bind): Expr {
  const { lanes } = e.type;
  const constant = (value: number): Expr => k.splat(k.i32(value), lanes);
  const bits = bind('half', { ...e, type: k.vector('i32', lanes) });
  const magnitude = bind('magnitude', k.op('bit_and', bits, constant(0x7fff)));
  const shifted = bind('shifted', k.op('shl', magnitude, constant(13)));
  // Exponents are rebiased by a multiplication, which also normalises denormals.
  const finite = k.op('bits_of', k.op('mul', k.op('from_bits', shifted), k.splat(k.f32(2 ** 112), lanes)));
  const special = k.op('bit_or', shifted, constant(0x7f800000));
  const value = k.op('select', k.op('ge', magnitude, constant(0x7c00)), special, finite);
  const sign = k.op('shl', k.op('bit_and', bits, constant(0x8000)), constant(16));
  return k.op('from_bits', k.op('bit_or', value, sign));
}
