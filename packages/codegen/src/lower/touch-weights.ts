/**
 * Weights of a block, read in order before they are used. A register tile wants a line of weights every dozen cycles and waits for
 * most of them when they come from memory: what is wanted next stands behind hundreds of multiplications. Loads of which
 * nothing is used stand side by side, so that many lines are on their way at once.
 */
import type { Expr as LayerExpr, Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr } from '../kernel-ir/types.ts';
import type { Blocking } from '../target.ts';
import { lowerExpr } from './expr.ts';
import { accessesOf } from './layer-expr.ts';
import type { Contraction } from './partition.ts';
import type { Scope } from './scope.ts';

type Reduce = Extract<LayerExpr, { kind: 'reduce' }>;
type Access = Extract<LayerExpr, { kind: 'access' }>;

/** Loops that do nothing but touch have labels that begin so. */
export const TOUCHING = 'touch';

export interface TouchedBlock {
  readonly columnAxis: Statement['axes'][number];
  /** The block's first column, and how many it has. */
  readonly from: Expr;
  readonly columns: Expr;
  /** Says of a grid step that the one before it had other weights. */
  readonly isFirst: Expr;
  readonly every: NonNullable<Blocking['touch']>;
}

/** Touches the weights of all sums in the columns of a block, in the first grid step that reads them. */
export function touchWeights(sums: readonly Reduce[], { weights }: Contraction, at: TouchedBlock, scope: Scope): void {
  const inner = scope.inner();
  // What is stored in another type is widened when it is read, from places that a target may choose.
  const names = new Set(weights.map((w) => w.tensor).filter((name) => scope.kernel.tensor(name).storage === 'f32'));
  if (names.size === 0) return;
  // A weight may stand on both sides of the product: what rows read of it is no column's.
  const column = at.columnAxis.name;
  const ofColumns = (access: Access): boolean =>
    names.has(access.tensor) && access.indices.some((i) => i.kind === 'index' && i.name === column);
  for (const sum of sums)
    for (const access of accessesOf(sum.body)) if (ofColumns(access)) touch(sum, access, at, inner);
  if (at.isFirst.kind === 'literal') scope.emit(...inner.block);
  else scope.emit({ kind: 'if', condition: at.isFirst, then: inner.block, otherwise: [] });
}

function touch(sum: Reduce, access: LayerExpr, { columnAxis, from, columns, every }: TouchedBlock, scope: Scope): void {
  const { names } = scope.kernel;
  const column = names.fresh(columnAxis.name);
  const inColumns = scope.inner();
  inColumns.bind(columnAxis.name, k.add(from, k.index(column)));
  const overIndices = (at: number, around: Scope): void => {
    const index = sum.indices[at];
    if (index === undefined) {
      const place = lowerExpr(access, around);
      if (place.kind === 'load') around.emit(k.touch(place.buffer, place.indices));
      return;
    }
    const name = names.fresh(index.name);
    const inner = around.inner();
    inner.bind(index.name, k.index(name));
    overIndices(at + 1, inner);
    const step = at === sum.indices.length - 1 ? every.depth : 1;
    around.emit(
      k.loop(name, k.i32(0), k.sizeExpr(index.size), inner.block, { step, label: `${TOUCHING}_${index.name}` }),
    );
  };
  overIndices(0, inColumns);
  const options = { step: every.columns, label: `${TOUCHING}_${columnAxis.name}` };
  scope.emit(k.loop(column, k.i32(0), columns, inColumns.block, options));
}
