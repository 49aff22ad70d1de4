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
  divide,
  multiply,
  plus,
  residue,
  toExpr,
  withoutConstant,
} from '../kernel-ir/affine.ts';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer, Stmt } from '../kernel-ir/types.ts';
import {
  blocksOf,
  children,
  expressionsOf,
  visitStatements,
  withBlocks,
  withChildren,
  withExpressions,
} from '../kernel-ir/walk.ts';
import { multiplesOf } from '../schedule/memory.ts';

/** How deep in the loops each name is settled: address arithmetic is ordered by it. */
function depths(kernel: Kernel): Map<string, number> {
  const depth = new Map<string, number>();
  const walk = (body: readonly Stmt[], level: number): void => {
    for (const s of body) {
      if (s.kind === 'for') {
        depth.set(s.index, level + 1);
        walk(s.body, level + 1);
      } else if (s.kind === 'if') {
        walk(s.then, level);
        walk(s.otherwise, level);
      } else if (s.kind === 'let' || s.kind === 'var') depth.set(s.name, level);
    }
  };
  walk(kernel.body, 0);
  return depth;
}

interface Context {
  readonly buffers: ReadonlyMap<string, KernelBuffer>;
  readonly multiples: ReadonlyMap<string, number>;
  readonly rank: (e: Expr) => number;
}

/** Every load and store has one index afterwards. */
export function flatten(kernel: Kernel): Kernel {
  const depth = depths(kernel);
  const rankOf = (e: Expr): number =>
    e.kind === 'ref' ? (depth.get(e.name) ?? 0) : Math.max(0, ...children(e).map(rankOf));
  const context: Context = {
    buffers: new Map(kernel.buffers.map((b) => [b.name, b])),
    multiples: multiplesOf(kernel.body),
    rank: rankOf,
  };
  const body = kernel.body.map((s) => flattenStmt(s, context));
  return { ...kernel, body };
}

function flattenStmt(s: Stmt, context: Context): Stmt {
  const changed = withExpressions(
    s,
    expressionsOf(s).map((e) => flattenExpr(e, context)),
  );
  const inner = withBlocks(
    changed,
    blocksOf(changed).map((block) => block.map((x) => flattenStmt(x, context))),
  );
  if (inner.kind !== 'store') return inner;
  const { index, offset } = place(inner.buffer, inner.indices, context);
  return { ...inner, indices: [index], offset: inner.offset + offset };
}

function flattenExpr(e: Expr, context: Context): Expr {
  const inner = withChildren(
    e,
    children(e).map((c) => flattenExpr(c, context)),
  );
  if (inner.kind !== 'load') return inner;
  const { index, offset } = place(inner.buffer, inner.indices, context);
  return { ...inner, indices: [index], offset: inner.offset + offset };
}

function place(name: string, indices: readonly Expr[], context: Context): { index: Expr; offset: number } {
  const buffer = context.buffers.get(name);
  if (buffer === undefined) throw new Error(`no buffer ${name}`);
  const flat = physicalIndex(buffer, indices, context.multiples);
  return { index: toExpr(withoutConstant(flat), context.rank), offset: constantPart(flat) };
}

function physicalIndex(buffer: KernelBuffer, indices: readonly Expr[], multiples: ReadonlyMap<string, number>): Affine {
  let flat: Affine = new Map();
  const extents = physicalExtents(buffer.layout, buffer);
  const parts = buffer.layout.map((d) => {
    const at = affine(indices[d.axis] as Expr);
    if (d.part === 'whole') return at;
    const inner = residue(at, d.block, multiples);
    if (inner !== null) {
      if (d.part === 'inner') return affine(k.i32(inner));
      // (at − inner) / block, exactly: the division is taken back by the stride below whenever that is a multiple.
      return plus(at, affine(k.i32(-inner)));
    }
    const index = indices[d.axis] as Expr;
    return affine(k.op(d.part === 'outer' ? 'floordiv' : 'mod', index, k.i32(d.block)));
  });
  buffer.layout.forEach((d, i) => {
    const stride = extents.slice(i + 1).reduce<Affine>(multiply, affine(k.i32(1)));
    const known = d.part === 'outer' && residue(affine(indices[d.axis] as Expr), d.block, multiples) !== null;
    // The inner block is a factor of the outer dimension's stride, so the exact division above is made good here.
    flat = plus(flat, multiply(parts[i] as Affine, known && d.part === 'outer' ? divide(stride, d.block) : stride));
  });
  return flat;
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
  const look = (e: Expr): void => {
    if (e.kind === 'load') used.add(e.buffer);
    children(e).forEach(look);
  };
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'store') used.add(s.buffer);
    else if (s.kind === 'mma') for (const name of [s.accumulator, s.a, s.b]) used.add(name);
    else if (s.kind === 'fragment') for (const name of [s.fragment, s.buffer]) if (name !== null) used.add(name);
    expressionsOf(s).forEach(look);
  });
  return used;
}
