/**
 * The pass `flatten`: indices per axis become one index into the buffer's physical order, in canonical form: what outer
 * loops fix first, what inner loops move last, the constant apart in `offset`. Packed layouts are resolved here, without
 * a division where the index is known modulo the block.
 */
import type { Layout } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import {
  type Affine,
  affine,
  constantPart,
  depthIn,
  divide,
  multiply,
  plus,
  residue,
  withoutConstant,
  writeOnce,
} from '../kernel-ir/affine.ts';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer } from '../kernel-ir/types.ts';
import { mapExpressions, mapStatements, visitExpressions, visitStatements } from '../kernel-ir/walk.ts';
import { multiplesOf } from '../schedule/memory.ts';

/** A buffer with what every access to it needs: the strides of its physical order. */
interface Shaped {
  readonly buffer: KernelBuffer;
  readonly strides: readonly Affine[];
}

interface Context {
  readonly buffers: ReadonlyMap<string, Shaped>;
  readonly multiples: ReadonlyMap<string, number>;
  readonly write: (a: Affine) => Expr;
}

/** Every load and store has one index afterwards. */
export function flatten(kernel: Kernel): Kernel {
  const context: Context = {
    buffers: new Map(kernel.buffers.map((b) => [b.name, { buffer: b, strides: stridesOf(b) }])),
    multiples: multiplesOf(kernel.body),
    write: writeOnce(depthIn(kernel.body)),
  };
  const loads = mapExpressions(kernel.body, (e) => {
    if (e.kind !== 'load') return e;
    const { index, offset } = place(e.buffer, e.indices, context);
    return { ...e, indices: [index], offset: e.offset + offset };
  });
  const body = mapStatements(loads, (s) => {
    if (s.kind !== 'store' && s.kind !== 'touch') return s;
    const { index, offset } = place(s.buffer, s.indices, context);
    return { ...s, indices: [index], offset: s.offset + offset };
  });
  return { ...kernel, body };
}

function place(name: string, indices: readonly Expr[], context: Context): { index: Expr; offset: number } {
  const shaped = context.buffers.get(name);
  if (shaped === undefined) throw new Error(`no buffer ${name}`);
  const flat = physicalIndex(shaped, indices, context.multiples);
  return { index: context.write(withoutConstant(flat)), offset: constantPart(flat) };
}

function physicalIndex(
  { buffer, strides }: Shaped,
  indices: readonly Expr[],
  multiples: ReadonlyMap<string, number>,
): Affine {
  let flat: Affine = affine(k.i32(0));
  buffer.layout.forEach((d, i) => {
    const index = indices[d.axis] as Expr;
    const at = affine(index);
    const stride = strides[i] as Affine;
    if (d.part === 'whole') {
      flat = plus(flat, multiply(at, stride));
      return;
    }
    const inner = residue(at, d.block, multiples);
    if (inner === null) {
      const part = affine(k.op(d.part === 'outer' ? 'floordiv' : 'mod', index, k.i32(d.block)));
      flat = plus(flat, multiply(part, stride));
    } else if (d.part === 'inner') flat = plus(flat, multiply(affine(k.i32(inner)), stride));
    else {
      // (at − inner) / block, exactly: the inner block is a factor of the outer dimension's stride, so the division is done there.
      flat = plus(flat, multiply(plus(at, affine(k.i32(-inner))), divide(stride, d.block)));
    }
  });
  return flat;
}

/** By how many elements a step along each dimension of the physical order moves. */
function stridesOf(buffer: KernelBuffer): readonly Affine[] {
  const extents = physicalExtents(buffer.layout, buffer);
  return extents.map((_, i) => extents.slice(i + 1).reduce<Affine>(multiply, affine(k.i32(1))));
}

function physicalExtents(layout: Layout, buffer: KernelBuffer): readonly Affine[] {
  return layout.map((d) => {
    if (d.part === 'inner') return affine(k.i32(d.block));
    const size = buffer.shape[d.axis] ?? Sizes.constant(1);
    if (d.part === 'whole') return affine(k.sizeExpr(size));
    return affine(k.op('floordiv', k.add(k.sizeExpr(size), k.i32(d.block - 1)), k.i32(d.block)));
  });
}

/** The names of buffers a kernel still uses. */
export function usedBuffers(kernel: Kernel): ReadonlySet<string> {
  const used = new Set<string>();
  visitExpressions(kernel.body, (e) => {
    if (e.kind === 'load') used.add(e.buffer);
  });
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'store' || s.kind === 'touch') used.add(s.buffer);
    else if (s.kind === 'mma') for (const name of [s.accumulator, s.a, s.b]) used.add(name);
    else if (s.kind === 'fragment') for (const name of [s.fragment, s.buffer]) if (name !== null) used.add(name);
  });
  return used;
}
