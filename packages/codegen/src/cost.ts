/** What a statement costs at least, from its definition alone: operations, and bytes if everything is touched once. */
import { type SizeExpr, storageBytes } from '@espalier/artefact';
import { type Expr, type LayerIR, type Size, Sizes, type Statement } from '@espalier/ir';
import { accessesOf, visit } from './lower/layer-expr.ts';
import { toSizeExpr } from './size-expr.ts';

/** Floating-point operations (a comparison, an exp or an erf counts one) and least bytes of a unit's statements. */
export function costOf(
  statements: readonly Statement[],
  layer: LayerIR,
): { readonly flops: SizeExpr; readonly bytes: SizeExpr } {
  const flops = statements.reduce<Size>(
    (sum, s) => Sizes.add(sum, Sizes.multiply(extent(s.axes), flopsOf(s.value))),
    [],
  );
  const inside = new Set(statements.map((s) => s.target));
  const bytes = new Map<string, Size>();
  const whole = (name: string): Size => {
    const t = layer.tensors.find((x) => x.name === name);
    return t === undefined ? [] : Sizes.multiply(Sizes.product(t.shape), Sizes.constant(storageBytes[t.storage]));
  };
  for (const s of statements) {
    bytes.set(s.target, whole(s.target));
    for (const access of accessesOf(s.value)) {
      // A gathered tensor is not touched as a whole: count the rows met, which the result bounds.
      const gathered = access.indices.some((i) => isComputed(i));
      if (!inside.has(access.tensor)) bytes.set(access.tensor, gathered ? whole(s.target) : whole(access.tensor));
    }
  }
  return {
    flops: toSizeExpr(flops),
    bytes: toSizeExpr([...bytes.values()].reduce<Size>(Sizes.add, [])),
  };
}

const extent = (axes: readonly { readonly size: Size }[]): Size => Sizes.product(axes.map((a) => a.size));

function isComputed(e: Expr): boolean {
  let computed = false;
  visit(e, (x) => {
    computed ||= x.kind === 'access' || x.kind === 'local';
  });
  return computed;
}

function flopsOf(e: Expr): Size {
  const many = (parts: readonly Expr[]): Size => parts.reduce<Size>((sum, p) => Sizes.add(sum, flopsOf(p)), []);
  switch (e.kind) {
    case 'op':
      return Sizes.add(many(e.args), Sizes.constant(e.args[0]?.type === 'f32' ? 1 : 0));
    case 'select':
      return many([e.condition, e.then, e.otherwise]);
    case 'reduce':
      return Sizes.multiply(extent(e.indices), Sizes.add(flopsOf(e.body), Sizes.constant(1)));
    case 'descend': {
      const node = many([...e.lets.map((l) => l.value), e.next, ...(e.yield === null ? [] : [e.yield])]);
      return Sizes.add(
        Sizes.multiply(e.levels, Sizes.add(node, Sizes.constant(e.yield === null ? 0 : 1))),
        flopsOf(e.init),
      );
    }
    default:
      return [];
  }
}
