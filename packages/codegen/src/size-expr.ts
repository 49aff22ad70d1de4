/** Sizes and grid extents as manifests write them. */
import type { SizeExpr } from '@espalier/artefact';
import type { Size } from '@espalier/ir';
import { printExpr } from './kernel-ir/print.ts';
import type { Expr, Kernel } from './kernel-ir/types.ts';

/** A size as manifests write it. */
export function toSizeExpr(size: Size): SizeExpr {
  const terms = size.map((term): SizeExpr => {
    const factors: SizeExpr[] = [...term.dims];
    if (term.coefficient !== 1 || factors.length === 0) factors.push(term.coefficient);
    return factors.reduce((a, b) => ['*', a, b]);
  });
  return terms.length === 0 ? 0 : terms.reduce((a, b) => ['+', a, b]);
}

/** The number of grid steps of a scheduled kernel: of threads that run alone, or of workgroups. */
export function gridOf(kernel: Kernel): SizeExpr {
  for (const s of kernel.body)
    if (s.kind === 'for' && (s.binding === 'grid' || s.binding === 'workgroup')) return extentOf(s.to);
  throw new Error(`${kernel.name} has no grid loop`);
}

function extentOf(e: Expr): SizeExpr {
  if (e.kind === 'literal') return e.value;
  if (e.kind === 'dim') return e.name;
  if (e.kind === 'op') {
    const [a, b] = e.args as [Expr, Expr];
    if (e.op === 'add') return ['+', extentOf(a), extentOf(b)];
    if (e.op === 'sub') return ['-', extentOf(a), extentOf(b)];
    if (e.op === 'mul') return ['*', extentOf(a), extentOf(b)];
    if (e.op === 'max' || e.op === 'min') return [e.op, extentOf(a), extentOf(b)];
    // ⌊(a + n − 1) / n⌋ is how blocks are counted.
    if (e.op === 'floordiv' && b.kind === 'literal' && a.kind === 'op' && a.op === 'add') {
      const [size, extra] = a.args as [Expr, Expr];
      if (extra.kind === 'literal' && extra.value === b.value - 1) return ['ceildiv', extentOf(size), b.value];
    }
  }
  throw new Error(`a grid of ${printExpr(e)} steps can't be written in a manifest`);
}
