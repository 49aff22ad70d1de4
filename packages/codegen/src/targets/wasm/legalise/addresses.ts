/**
 * Private memory becomes places in the thread's scratch, and every index a byte address (`indices[0]` of loads, stores and touches,
 * pointer included; `offset` in bytes).
 */
import type { SizeExpr } from '@espalier/artefact';
import { type Size, Sizes } from '@espalier/ir';
import { affine, constantPart, depthIn, plus, scale, withoutConstant, writeOnce } from '../../../kernel-ir/affine.ts';
import * as k from '../../../kernel-ir/build.ts';
import { nonNegativeIn } from '../../../kernel-ir/sign.ts';
import { type Expr, elementBytes, type Kernel, type KernelBuffer, type Stmt } from '../../../kernel-ir/types.ts';
import { mapExpressions, mapStatements } from '../../../kernel-ir/walk.ts';
import { toSizeExpr } from '../../../size-expr.ts';

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
  Sizes.multiply(Sizes.product(b.shape), Sizes.constant(elementBytes[b.storage]));

/** No buffer begins below this address: the runtime keeps the first bytes of its memory. */
const LOWEST_ADDRESS = 64;

/** Indices become byte addresses; private buffers get their place in the scratch memory. */
export function addressBytes(kernel: Kernel): Kernel {
  const buffers = new Map(kernel.buffers.map((b) => [b.name, b]));
  const isNonNegative = nonNegativeIn(kernel);
  const write = writeOnce(depthIn(kernel.body));
  const address = (name: string, index: Expr, offset: number): { indices: readonly Expr[]; offset: number } => {
    const size = elementBytes[buffers.get(name)?.storage ?? 'f32'];
    const bytes = plus(scale(affine(index), size), affine(k.index(pointerOf(name))));
    const constant = constantPart(bytes) + offset * size;
    const moving = withoutConstant(bytes);
    const base = write(moving);
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
    if (s.kind !== 'store' && s.kind !== 'touch') return s;
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
