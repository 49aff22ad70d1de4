/**
 * Dense products with weights: y[rows…, o] = f(Σ x[rows…, i] · w[o, i]). A grid step computes a block of rows by a block
 * of columns. When f is dear (GELU), the raw sums of the block go to private memory first and f runs over them in a
 * loop of its own: the register tile then holds nothing but accumulators.
 */
import { type Expr as LayerExpr, type LayerIR, type Size, Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import { lowerExpr } from './expr.ts';
import { alphaKey, textOf } from './layer-expr.ts';
import { outermostReductions, type Unit } from './partition.ts';
import { KernelBuilder, Scope } from './scope.ts';

/** How a contraction is cut into grid steps; part of its schedule. */
export interface ContractBlocks {
  readonly rows: number;
  readonly columns: number;
}

type ContractUnit = Extract<Unit, { kind: 'contract' }>;

const DEAR: ReadonlySet<string> = new Set(['exp', 'ln', 'tanh', 'erf', 'div', 'sqrt']);

function isDear(e: LayerExpr): boolean {
  let dear = false;
  const search = (x: LayerExpr): void => {
    if (x.kind === 'op' && DEAR.has(x.op)) dear = true;
    if (x.kind === 'op') x.args.forEach(search);
    if (x.kind === 'select') [x.condition, x.then, x.otherwise].forEach(search);
  };
  search(e);
  return dear;
}

export function lowerContract(unit: ContractUnit, layer: LayerIR, blocks: ContractBlocks, name: string): Kernel {
  const { statement: s } = unit;
  const kernel = new KernelBuilder(layer);
  const scope = new Scope(kernel);
  const { names } = kernel;
  const columnAxis = s.axes[unit.contraction.columnAxis] as Statement['axes'][number];
  const rowAxis = s.axes[unit.contraction.columnAxis - 1] as Statement['axes'][number];
  const outerAxes = s.axes.slice(0, unit.contraction.columnAxis - 1);

  const columnBlocks = blockCount(columnAxis.size, blocks.columns);
  const rowBlocks = blockCount(rowAxis.size, blocks.rows);
  const outer = k.sizeExpr(Sizes.product(outerAxes.map((a) => a.size)));
  const grid = names.fresh('step');
  const body = scope.inner();

  // Column blocks outermost: the packed panel of a block stays in cache while the rows pass.
  const perColumn = k.mul(rowBlocks, outer);
  const split = (value: Expr, by: Expr): [Expr, Expr] => {
    if (by.kind === 'literal' && by.value === 1) return [value, k.i32(0)];
    const divisor = by.kind === 'literal' ? by : k.max(by, k.i32(1));
    const [quotient, rest] = [names.fresh('block'), names.fresh('rest')];
    body.emit(k.letStmt(quotient, k.op('floordiv', value, divisor)), k.letStmt(rest, k.op('mod', value, divisor)));
    return [k.index(quotient), k.index(rest)];
  };
  const [columnBlock, rest] = split(k.index(grid), perColumn);
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
  lowerBlock(s, { columnAxis, rowAxis, columnBlock, rowBlock, blocks }, body);
  const steps = k.mul(columnBlocks, perColumn);
  scope.emit(k.loop(grid, k.i32(0), steps, body.block, { binding: 'grid', label: 'step' }));
  return kernel.finish(name, `contract: ${textOf(layer, s.span)}`, scope.block);
}

const blockCount = (size: Size, block: number): Expr =>
  k.op('floordiv', k.add(k.sizeExpr(size), k.i32(block - 1)), k.i32(block));

interface Block {
  readonly columnAxis: Statement['axes'][number];
  readonly rowAxis: Statement['axes'][number];
  readonly columnBlock: Expr;
  readonly rowBlock: Expr;
  readonly blocks: ContractBlocks;
}

/** Loops over the columns and rows of one block; `fill` gets a scope in which both axes are bound. */
function overBlock(at: Block, outermost: 'columns' | 'rows', scope: Scope, fill: (inner: Scope, row: Expr, column: Expr) => void): void {
  const { names } = scope.kernel;
  const extent = (axis: Statement['axes'][number], block: Expr, by: number): Expr => {
    const known = Sizes.constantOf(axis.size);
    if (known !== null && known % by === 0) return k.i32(by);
    return k.min(k.i32(by), k.sub(k.sizeExpr(axis.size), k.mul(block, k.i32(by))));
  };
  const column = names.fresh(at.columnAxis.name);
  const row = names.fresh(at.rowAxis.name);
  const outer = scope.inner();
  const inner = outer.inner();
  inner.bind(at.columnAxis.name, k.add(k.mul(at.columnBlock, k.i32(at.blocks.columns)), k.index(column)));
  inner.bind(at.rowAxis.name, k.add(k.mul(at.rowBlock, k.i32(at.blocks.rows)), k.index(row)));
  fill(inner, k.index(row), k.index(column));
  const overRows = (body: readonly Stmt[]): Stmt =>
    k.loop(row, k.i32(0), extent(at.rowAxis, at.rowBlock, at.blocks.rows), body, { label: 'rows' });
  const overColumns = (body: readonly Stmt[]): Stmt =>
    k.loop(column, k.i32(0), extent(at.columnAxis, at.columnBlock, at.blocks.columns), body, { label: 'columns' });
  outer.emit(outermost === 'columns' ? overRows(inner.block) : overColumns(inner.block));
  scope.emit(outermost === 'columns' ? overColumns(outer.block) : overRows(outer.block));
}

function lowerBlock(s: Statement, at: Block, scope: Scope): void {
  const target = scope.kernel.global(s.target, 'write');
  const write = (inner: Scope): void => {
    inner.emit(k.store(target, s.axes.map((a) => inner.lookup(a.name)), lowerExpr(s.value, inner)));
  };
  if (!isDear(s.value)) {
    overBlock(at, 'columns', scope, write);
    return;
  }
  const staged = new Map<string, string>();
  const shape = [Sizes.constant(at.blocks.rows), Sizes.constant(at.blocks.columns)];
  for (const sum of outermostReductions(s.value)) {
    const key = alphaKey(sum);
    if (staged.has(key)) continue;
    const buffer = scope.kernel.scratch('sums', shape, 'f32');
    staged.set(key, buffer);
    overBlock(at, 'columns', scope, (inner, row, column) => inner.emit(k.store(buffer, [row, column], lowerExpr(sum, inner))));
  }
  overBlock(at, 'rows', scope, (inner, row, column) => {
    for (const [key, buffer] of staged) inner.cache(key, k.load(buffer, [row, column], k.scalar('f32')));
    write(inner);
  });
}
