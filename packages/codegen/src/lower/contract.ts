/**
 * Dense products with weights: y[rows…, o] = f(Σ x[rows…, i] · w[o, i]). A grid step computes a block of rows by a block
 * of columns. When f is dear (GELU), the raw sums of the block go to private memory first and f runs over them in a
 * loop of its own: the register tile then holds nothing but accumulators. Long sums are cut into stretches whose results
 * are added up there, too: operands of one stretch fit the nearest cache, and the rounding error of a float32 sum grows
 * with the length of a stretch, not of the whole.
 */
import { type Expr as LayerExpr, type LayerIR, Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel } from '../kernel-ir/types.ts';
import type { Blocking } from '../target.ts';
import { bindBlocks } from './blocks.ts';
import { lowerExpr } from './expr.ts';
import { alphaKey, textOf } from './layer-expr.ts';
import { type ContractUnit, outermostReductions } from './partition.ts';
import { KernelBuilder, Scope } from './scope.ts';
import { touchWeights } from './touch-weights.ts';

type Reduce = Extract<LayerExpr, { kind: 'reduce' }>;

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

export function lowerContract(unit: ContractUnit, layer: LayerIR, blocks: Blocking, name: string): Kernel {
  const { statement: s } = unit;
  const kernel = new KernelBuilder(layer);
  const scope = new Scope(kernel);
  const { names } = kernel;
  const grid = names.fresh('step');
  const body = scope.inner();
  const at = bindBlocks(s, unit.contraction.columnAxis, blocks, k.index(grid), body);
  if (blocks.touch !== undefined) {
    const sums = sumsOf(s);
    const isFirst = at.rest.kind === 'literal' ? k.bool(true) : k.op('eq', at.rest, k.i32(0));
    const columns = extentOf(at.columnAxis, at.columnBlock, blocks.columns);
    const from = k.mul(at.columnBlock, k.i32(blocks.columns));
    touchWeights(
      sums,
      unit.contraction,
      { columnAxis: at.columnAxis, from, columns, isFirst, every: blocks.touch },
      body,
    );
  }
  lowerBlock(s, { ...at, blocks }, body);
  scope.emit(k.loop(grid, k.i32(0), at.steps, body.block, { binding: 'grid', label: 'step' }));
  return kernel.finish(name, `contract: ${textOf(layer, s.span)}`, scope.block);
}

/** The sums of a statement, each once: an activation names its argument in several places. */
const sumsOf = (s: Statement): readonly Reduce[] => [
  ...new Map((outermostReductions(s.value) as readonly Reduce[]).map((sum) => [alphaKey(sum), sum])).values(),
];

/** In how many stretches a sum is computed. Sums over several indices stay whole. */
function stretchesOf(sum: Reduce, depth: number): number {
  const length = sum.indices.length === 1 ? Sizes.constantOf(sum.indices[0]?.size ?? Sizes.constant(0)) : null;
  return length === null ? 1 : Math.max(1, Math.ceil(length / depth));
}

/** Leaves a sum of every element of the block in a private buffer. */
function stageSum(sum: Reduce, buffer: string, at: Block, scope: Scope): void {
  const stretches = stretchesOf(sum, at.blocks.depth);
  if (stretches === 1) {
    overTile(at, scope, (inner, row, column) => inner.emit(k.store(buffer, [row, column], lowerExpr(sum, inner))));
    return;
  }
  const { names } = scope.kernel;
  const index = sum.indices[0] as Reduce['indices'][number];
  const length = Sizes.constantOf(index.size) ?? 0;
  const stretch = Math.ceil(length / stretches);
  const counter = names.fresh('stretch');
  const from = k.mul(k.index(counter), k.i32(stretch));
  // Columns outermost: a panel's weights are streamed in order, stretch after stretch, while the rows stay near.
  overColumns(at, scope, (columns, column) => {
    overRows(at, columns, (inner, row) => inner.emit(k.store(buffer, [row, column], k.f32(0))));
    const body = columns.inner();
    overRows(at, body, (inner, row) => addStretch(inner, row, column));
    columns.emit(k.loop(counter, k.i32(0), k.i32(stretches), body.block, { label: 'stretch' }));
  });

  function addStretch(inner: Scope, row: Expr, column: Expr): void {
    const partial = names.fresh('sum');
    const value = k.ref(partial, k.scalar('f32'));
    const place = names.fresh(index.name);
    const term = inner.inner();
    term.bind(index.name, k.add(from, k.index(place)));
    term.emit(k.assign(partial, k.add(value, lowerExpr(sum.body, term))));
    const end = length % stretch === 0 ? k.i32(stretch) : k.min(k.i32(stretch), k.sub(k.i32(length), from));
    inner.emit(
      k.varStmt(partial, k.f32(0)),
      k.loop(place, k.i32(0), end, term.block, { label: index.name }),
      k.store(buffer, [row, column], k.add(k.load(buffer, [row, column], k.scalar('f32')), value)),
    );
  }
}

interface Block {
  readonly columnAxis: Statement['axes'][number];
  readonly rowAxis: Statement['axes'][number];
  readonly columnBlock: Expr;
  readonly rowBlock: Expr;
  readonly blocks: Blocking;
}

/** How much of a block an axis fills: all of it where the size is a whole number of blocks. */
function extentOf(axis: Statement['axes'][number], block: Expr, by: number): Expr {
  const known = Sizes.constantOf(axis.size);
  if (known !== null && known % by === 0) return k.i32(by);
  return k.min(k.i32(by), k.sub(k.sizeExpr(axis.size), k.mul(block, k.i32(by))));
}

/** A loop over the columns of a block; the layer's column index is bound in its body. */
function overColumns(at: Block, scope: Scope, fill: (inner: Scope, column: Expr) => void): void {
  const name = scope.kernel.names.fresh(at.columnAxis.name);
  const inner = scope.inner();
  inner.bind(at.columnAxis.name, k.add(k.mul(at.columnBlock, k.i32(at.blocks.columns)), k.index(name)));
  fill(inner, k.index(name));
  const extent = extentOf(at.columnAxis, at.columnBlock, at.blocks.columns);
  scope.emit(k.loop(name, k.i32(0), extent, inner.block, { label: 'columns' }));
}

/** A loop over the rows of a block; the layer's row index is bound in its body. */
function overRows(at: Block, scope: Scope, fill: (inner: Scope, row: Expr) => void): void {
  const name = scope.kernel.names.fresh(at.rowAxis.name);
  const inner = scope.inner();
  inner.bind(at.rowAxis.name, k.add(k.mul(at.rowBlock, k.i32(at.blocks.rows)), k.index(name)));
  fill(inner, k.index(name));
  scope.emit(k.loop(name, k.i32(0), extentOf(at.rowAxis, at.rowBlock, at.blocks.rows), inner.block, { label: 'rows' }));
}

/** Both loops, columns outside: the order of a register tile. */
const overTile = (at: Block, scope: Scope, fill: (inner: Scope, row: Expr, column: Expr) => void): void =>
  overColumns(at, scope, (columns, column) => overRows(at, columns, (inner, row) => fill(inner, row, column)));

function lowerBlock(s: Statement, at: Block, scope: Scope): void {
  const target = scope.kernel.global(s.target, 'write');
  const write = (inner: Scope): void => {
    inner.emit(
      k.store(
        target,
        s.axes.map((a) => inner.lookup(a.name)),
        lowerExpr(s.value, inner),
      ),
    );
  };
  const sums = sumsOf(s);
  if (!isDear(s.value) && sums.every((sum) => stretchesOf(sum, at.blocks.depth) === 1)) {
    overTile(at, scope, (inner) => write(inner));
    return;
  }
  const staged = new Map<string, string>();
  const shape = [Sizes.constant(at.blocks.rows), Sizes.constant(at.blocks.columns)];
  for (const sum of sums) {
    const buffer = scope.kernel.scratch('sums', shape, 'f32');
    staged.set(alphaKey(sum), buffer);
    stageSum(sum, buffer, at, scope);
  }
  overRows(at, scope, (rows, row) =>
    overColumns(at, rows, (inner, column) => {
      for (const [key, buffer] of staged) inner.cache(key, k.load(buffer, [row, column], k.scalar('f32')));
      write(inner);
    }),
  );
}
