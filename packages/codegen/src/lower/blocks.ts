/** Cutting a contraction into blocks of rows × columns, and finding a grid step's block. */
import { type Size, Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr } from '../kernel-ir/types.ts';
import type { Scope } from './scope.ts';

export interface BlockPlace {
  readonly columnAxis: Statement['axes'][number];
  readonly rowAxis: Statement['axes'][number];
  readonly columnBlock: Expr;
  readonly rowBlock: Expr;
  /** Which of the grid steps it is that have its columns, where rows are what changes from one step to the next. */
  readonly rest: Expr;
  /** How many grid steps there are. */
  readonly steps: Expr;
}

export const blockCount = (size: Size, block: number): Expr =>
  k.op('floordiv', k.add(k.sizeExpr(size), k.i32(block - 1)), k.i32(block));

/**
 * Decodes `step` in `body`, which binds the axes outside rows and columns. `inner`: what changes from one step to the next. With rows, the
 * panel of weights of a block stays in a thread's cache while the rows pass; with columns, workgroups that run side by side share
 * the rows they read, of which there are more than any cache holds.
 */
export function bindBlocks(
  s: Statement,
  columnAt: number,
  blocks: { readonly rows: number; readonly columns: number },
  step: Expr,
  body: Scope,
  inner: 'rows' | 'columns' = 'rows',
): BlockPlace {
  const { names } = body.kernel;
  const columnAxis = s.axes[columnAt] as Statement['axes'][number];
  const rowAxis = s.axes[columnAt - 1] as Statement['axes'][number];
  const outerAxes = s.axes.slice(0, columnAt - 1);
  const columnBlocks = blockCount(columnAxis.size, blocks.columns);
  const rowBlocks = blockCount(rowAxis.size, blocks.rows);
  const outer = k.sizeExpr(Sizes.product(outerAxes.map((a) => a.size)));
  const perColumn = k.mul(rowBlocks, outer);
  const split = (value: Expr, by: Expr): [Expr, Expr] => {
    if (by.kind === 'literal' && by.value === 1) return [value, k.i32(0)];
    const divisor = by.kind === 'literal' ? by : k.max(by, k.i32(1));
    const [quotient, rest] = [names.fresh('block'), names.fresh('rest')];
    body.emit(k.letStmt(quotient, k.op('floordiv', value, divisor)), k.letStmt(rest, k.op('mod', value, divisor)));
    return [k.index(quotient), k.index(rest)];
  };
  const [columnBlock, rest] =
    inner === 'rows' ? split(step, perColumn) : ([...split(step, columnBlocks)].reverse() as [Expr, Expr]);
  const [outerStep, rowBlock] = outerAxes.length === 0 ? [k.i32(0), rest] : split(rest, rowBlocks);
  let remaining = outerStep;
  for (let a = outerAxes.length - 1; a >= 0; a--) {
    const axis = outerAxes[a] as Statement['axes'][number];
    if (a === 0) body.bind(axis.name, remaining);
    else {
      const [quotient, place] = split(remaining, k.sizeExpr(axis.size));
      body.bind(axis.name, place);
      remaining = quotient;
    }
  }
  return { columnAxis, rowAxis, columnBlock, rowBlock, rest, steps: k.mul(columnBlocks, perColumn) };
}
