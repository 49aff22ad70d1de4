/** How much there is to compute in a case: scalar operations by the meaning of its layers, whatever a compiler makes of them. */
import { childrenOf, type Expr, type LayerIR, Sizes } from '@espalier/ir';
import type { Case } from './case.ts';

type Dims = ReadonlyMap<string, number>;

const product = (sizes: readonly Sizes.Size[], dims: Dims): number =>
  sizes.reduce((n, size) => n * Sizes.evaluate(size, dims), 1);

/** Operations of one evaluation; of a choice both branches count. */
function operations(expr: Expr, dims: Dims): number {
  const inside = childrenOf(expr).reduce((sum, child) => sum + operations(child, dims), 0);
  if (expr.kind === 'reduce')
    return (
      (1 + inside) *
      product(
        expr.indices.map((index) => index.size),
        dims,
      )
    );
  if (expr.kind === 'descend') return (1 + inside) * Sizes.evaluate(expr.levels, dims);
  return expr.kind === 'op' || expr.kind === 'access' ? 1 + inside : inside;
}

const ofLayer = (layer: LayerIR, dims: Dims): number =>
  layer.statements.reduce(
    (sum, { axes, value }) =>
      sum +
      (1 + operations(value, dims)) *
        product(
          axes.map((axis) => axis.size),
          dims,
        ),
    0,
  );

/** Scalar operations and element accesses of a case, with its recording nodes. */
export function workOf(one: Case): number {
  const outer = new Map(Object.entries(one.dims));
  return [...one.subject.graph.nodes, ...one.subject.watched.recorders].reduce((sum, node) => {
    const dims = new Map([...node.dims].map(([name, size]) => [name, Sizes.evaluate(size, outer)]));
    return sum + ofLayer(node.layer, dims);
  }, 0);
}
