/**
 * Leaves only what a WebAssembly instruction exists for: integer min, max, abs, floor division and folds of vectors become
 * simpler operations, f16 becomes bit arithmetic, private memory becomes places in the thread's scratch, and every index
 * a byte address (`indices[0]` of loads and stores, pointer included; `offset` in bytes).
 */
import { type SizeExpr, storageBytes } from '@espalier/artefact';
import { type Size, Sizes } from '@espalier/ir';
import { affine, constantPart, plus, scale, toExpr, withoutConstant } from '../../kernel-ir/affine.ts';
import { type Bind, rewriteBinding } from '../../kernel-ir/bind.ts';
import * as k from '../../kernel-ir/build.ts';
import { nonNegativeIn } from '../../kernel-ir/sign.ts';
import type { Expr, Kernel, KernelBuffer, Stmt } from '../../kernel-ir/types.ts';
import { children, mapExpressions, mapStatements, Names } from '../../kernel-ir/walk.ts';
import { toSizeExpr } from '../../size-expr.ts';

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

/** The pointer a buffer is addressed from. */
export const pointerOf = (buffer: string): string => `${buffer}.ptr`;

/** Bytes of private memory, each buffer 16-byte aligned. */
export function scratchSize(kernel: Kernel): SizeExpr {
  return privateBuffers(kernel).reduce<SizeExpr>((sum, b) => {
    const here: SizeExpr = ['*', ['ceildiv', toSizeExpr(bytesOf(b)), 16], 16];
    return sum === 0 ? here : ['+', sum, here];
  }, 0);
}

const privateBuffers = (kernel: Kernel): readonly KernelBuffer[] => kernel.buffers.filter((b) => b.space === 'private');

const bytesOf = (b: KernelBuffer): Size =>
  Sizes.multiply(Sizes.product(b.shape), Sizes.constant(storageBytes[b.storage]));

/** No buffer begins below this address: the runtime keeps the first bytes of its memory. */
const LOWEST_ADDRESS = 64;

/** Indices become byte addresses; private buffers get their place in the scratch memory. */
export function addressBytes(kernel: Kernel): Kernel {
  const buffers = new Map(kernel.buffers.map((b) => [b.name, b]));
  const isNonNegative = nonNegativeIn(kernel);
  const depth = depthsOf(kernel.body);
  const rank = (e: Expr): number =>
    e.kind === 'ref' ? (depth.get(e.name) ?? 0) : Math.max(0, ...children(e).map(rank));
  const address = (name: string, index: Expr, offset: number): { indices: readonly Expr[]; offset: number } => {
    const size = storageBytes[buffers.get(name)?.storage ?? 'f32'];
    const bytes = plus(scale(affine(index), size), affine(k.index(pointerOf(name))));
    const constant = constantPart(bytes) + offset * size;
    const moving = withoutConstant(bytes);
    const base = toExpr(moving, rank);
    // A base is unsigned and does not wrap when the offset is added, so what stands before the constant must be an address too.
    return constant >= 0 && (constant <= LOWEST_ADDRESS || isNonNegative(moving))
      ? { indices: [base], offset: constant }
      : { indices: [k.add(base, k.i32(constant))], offset: 0 };
  };
  const loads = mapExpressions(kernel.body, (e) => {
    if (e.kind !== 'load') return e;
    return { ...e, ...address(e.buffer, e.indices[0] as Expr, e.offset) };
  });
  const body = mapStatements(loads, (s) => {
    if (s.kind !== 'store') return s;
    return { ...s, ...address(s.buffer, s.indices[0] as Expr, s.offset) };
  });
  return { ...kernel, body: [...scratchPointers(kernel), ...body] };
}

function scratchPointers(kernel: Kernel): readonly Stmt[] {
  let at: Expr = k.index('.scratch');
  return privateBuffers(kernel).map((b) => {
    const here = k.letStmt(pointerOf(b.name), at);
    const known = Sizes.constantOf(bytesOf(b));
    const bytes =
      known === null
        ? k.op('bit_and', k.add(k.sizeExpr(bytesOf(b)), k.i32(15)), k.i32(-16))
        : k.i32(Math.ceil(known / 16) * 16);
    at = k.add(k.index(pointerOf(b.name)), bytes);
    return here;
  });
}

function depthsOf(body: readonly Stmt[], level = 0, found: Map<string, number> = new Map()): Map<string, number> {
  for (const s of body) {
    if (s.kind === 'for') {
      found.set(s.index, level + 1);
      depthsOf(s.body, level + 1, found);
    } else if (s.kind === 'if') {
      depthsOf(s.then, level, found);
      depthsOf(s.otherwise, level, found);
    } else if (s.kind === 'let' || s.kind === 'var') found.set(s.name, level);
  }
  return found;
}
