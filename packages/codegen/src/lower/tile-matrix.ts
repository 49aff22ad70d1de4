/**
 * A tile by matrix units: each subgroup accumulates a part of it in one fragment, from fragments of the staged operands, and each lane
 * computes the statement's value for the results it holds, which never leave its registers.
 */
import { Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import { heldAt, turnsOf } from '../kernel-ir/held.ts';
import type { Expr, KernelStorage, MmaPrecision, Stmt } from '../kernel-ir/types.ts';
import type { MatrixUnits, Tile } from '../target.ts';
import { lowerExpr } from './expr.ts';
import type { Scope } from './scope.ts';
import { type TiledSum, type TilePlace, within } from './tile.ts';

const subgroup: Expr = { kind: 'builtin', which: 'subgroup', type: k.scalar('i32') };
const subgroupLane: Expr = { kind: 'builtin', which: 'subgroup_lane', type: k.scalar('i32') };

/** How operands lie in workgroup memory: rounded once, when they come. */
export const stagedAs: Readonly<Record<MmaPrecision, KernelStorage>> = {
  f32: 'f32',
  tf32: 'tf32',
  bf16: 'bf16',
  f16: 'f16',
};

/** A subgroup's part of a tile: where it begins in it, and its extents. */
function partOf(tile: Tile, { subgroupsAcross }: MatrixUnits) {
  const rows = (tile.rows * subgroupsAcross) / tile.subgroups;
  const columns = tile.columns / subgroupsAcross;
  return {
    rows,
    columns,
    row: k.mul(k.op('floordiv', subgroup, k.i32(subgroupsAcross)), k.i32(rows)),
    column: k.mul(k.op('mod', subgroup, k.i32(subgroupsAcross)), k.i32(columns)),
  };
}

/** Emits one stretch's products into `round`; gives what comes before and after all stretches. Results end in each lane's `sum.result`. */
export function multiplyMatrixUnits(
  sums: readonly TiledSum[],
  tile: Tile,
  units: MatrixUnits,
  round: Scope,
): { readonly before: readonly Stmt[]; readonly after: readonly Stmt[] } {
  const { kernel } = round;
  const before: Stmt[] = [];
  const after: Stmt[] = [];
  const { rows, columns, row, column } = partOf(tile, units);
  const { depth, precision } = units;
  const fragment = (base: string, down: number, across: number): string =>
    kernel.scratch(base, [Sizes.constant(down), Sizes.constant(across)], 'f32', 'subgroup');
  const load = (name: string, buffer: string, indices: readonly Expr[]): Stmt => ({
    kind: 'fragment',
    move: 'load',
    fragment: name,
    buffer,
    indices,
  });
  const at = kernel.names.fresh('i');
  const loaded = new Map<string, string>();
  const body: Stmt[] = [];
  const operand = (base: 'a' | 'b', buffer: string, extents: readonly [number, number], indices: readonly Expr[]) => {
    const known = loaded.get(buffer);
    if (known !== undefined) return known;
    const name = fragment(base, ...extents);
    loaded.set(buffer, name);
    body.push(load(name, buffer, indices));
    return name;
  };
  for (const sum of sums) {
    const accumulator = fragment('c', rows, columns);
    before.push({ kind: 'fragment', move: 'zero', fragment: accumulator, buffer: null, indices: [] });
    const a = operand('a', sum.x, [rows, depth], [k.add(row, sum.first.x), k.index(at)]);
    const b = operand('b', sum.w, [depth, columns], [k.add(k.index(at), sum.first.w), column]);
    body.push({ kind: 'mma', accumulator, a, b, rows, columns, depth, precision });
    after.push({
      kind: 'fragment',
      move: 'take',
      fragment: accumulator,
      buffer: sum.result,
      indices: [],
      held: units.held,
    });
  }
  round.emit(k.loop(at, k.i32(0), k.i32(tile.depth), body, { step: depth, label: 'product' }));
  return { before, after };
}

/** How many results a lane holds. */
export function heldCount(tile: Tile, units: MatrixUnits): number {
  const { rows, columns } = partOf(tile, units);
  return (rows * columns) / tile.lanes;
}

/** The statement's value for each result that a lane holds. */
export function matrixEpilogue(
  s: Statement,
  place: TilePlace,
  units: MatrixUnits,
  results: ReadonlyMap<string, string>,
  scope: Scope,
): void {
  const { tile } = place;
  const { kernel } = scope;
  const { held } = units;
  const part = partOf(tile, units);
  const [down, across] = [part.rows / held.rows, part.columns / held.columns];
  const turns = turnsOf(held, tile.lanes);
  const [r, turn, c, i] = ['r', 'turn', 'c', 'i'].map((x) => k.index(kernel.names.fresh(x))) as [
    Expr,
    Expr,
    Expr,
    Expr,
  ];
  const row = kernel.names.fresh(place.rowAxis.name);
  const at = heldAt(held, tile.lanes, subgroupLane, turn);
  const rows = scope.inner();
  const rowAt = k.add(k.add(part.row, k.mul(r, k.i32(held.rows))), at.row);
  rows.emit(k.letStmt(row, k.add(place.row, rowAt)));
  rows.bind(place.rowAxis.name, k.index(row));
  const columns = rows.inner();
  const columnAt = k.add(k.add(part.column, k.mul(c, k.i32(held.columns))), at.column);
  const first = kernel.names.fresh('first');
  columns.emit(k.letStmt(first, k.add(place.column, columnAt)));
  const each = columns.inner();
  each.bind(place.columnAxis.name, k.add(k.index(first), i));
  const number = k.add(k.mul(k.add(k.mul(k.add(k.mul(r, k.i32(across)), c), k.i32(turns)), turn), k.i32(held.run)), i);
  for (const [key, buffer] of results) each.cache(key, k.load(buffer, [number], k.scalar('f32')));
  const value = lowerExpr(s.value, each);
  const indices = s.axes.map((a) => each.lookup(a.name));
  each.emit(k.store(kernel.global(s.target, 'write'), indices, value));
  const isWhole = (Sizes.constantOf(place.columnAxis.size) ?? 1) % held.run === 0;
  const loop = (index: Expr, count: number, body: readonly Stmt[], label: string): Stmt =>
    k.loop(index.kind === 'ref' ? index.name : '', k.i32(0), k.i32(count), body, { label });
  const run = (body: readonly Stmt[]): Stmt => loop(i, held.run, body, 'run');
  // Neighbours stand in the matrix together or not at all, where its width is a multiple of a run.
  if (isWhole) columns.emit(within(k.index(first), place.columnAxis.size, [run(each.block)]));
  else columns.emit(run([within(k.add(k.index(first), i), place.columnAxis.size, each.block)]));
  rows.emit(within(k.index(row), place.rowAxis.size, [loop(c, across, columns.block, 'held_columns')]));
  scope.emit(loop(r, down, [loop(turn, turns, rows.block, 'turn')], 'held_rows'));
}
