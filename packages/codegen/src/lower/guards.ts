/**
 * Which accesses need no guard: those that lie inside their tensor wherever the loops around them run. The checker's
 * `inBounds` also counts on the conditions of branches around an access; code that evaluates both branches may not.
 */
import { childrenOf, type Expr, type LayerIR, type Size, Sizes } from '@espalier/ir';

/** Accesses whose every index is an index over that very axis, or a number inside it. */
export function unguardedAccesses(layer: LayerIR): ReadonlySet<Expr> {
  const found = new Set<Expr>();
  const shapes = new Map(layer.tensors.map((t) => [t.name, t.shape]));
  for (const s of layer.statements) {
    // Index names are unique within a statement.
    const ranges = new Map<string, Size>(s.axes.map((a) => [a.name, a.size]));
    const look = (e: Expr): void => {
      if (e.kind === 'reduce') for (const i of e.indices) ranges.set(i.name, i.size);
      if (e.kind === 'access') {
        const shape = shapes.get(e.tensor) ?? [];
        if (e.indices.every((index, axis) => isInside(index, shape[axis] ?? [], ranges))) found.add(e);
      }
      childrenOf(e).forEach(look);
    };
    look(s.value);
  }
  return found;
}

function isInside(index: Expr, size: Size, ranges: ReadonlyMap<string, Size>): boolean {
  if (index.kind === 'index') return Sizes.equal(ranges.get(index.name) ?? [], size);
  const known = Sizes.constantOf(size);
  return index.kind === 'literal' && known !== null && index.value >= 0 && index.value < known;
}
