/**
 * Dense products on a lane machine: a workgroup computes a tile of rows × columns. Stretches of x and of the weights are
 * staged through workgroup memory, depth first, so that each is read from global memory once a tile; every lane keeps a
 * part of the tile in registers (tile-stages.ts says how). Sums of equal length (the two of a gated layer) are computed in one pass and share x.
 */
import { type Expr as LayerExpr, type LayerIR, type Size, Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import { type Expr, elementBytes, type Kernel, type Stmt } from '../kernel-ir/types.ts';
import type { Tile } from '../target.ts';
import { bindBlocks } from './blocks.ts';
import { lowerExpr } from './expr.ts';
import { alphaKey, textOf } from './layer-expr.ts';
import { type ContractUnit, outermostReductions } from './partition.ts';
import { KernelBuilder, Scope } from './scope.ts';
import { multiplyLanes } from './tile-lanes.ts';
import { heldCount, matrixEpilogue, multiplyMatrixUnits, stagedAs } from './tile-matrix.ts';
import { memoryOf, type Staged, Stages } from './tile-stages.ts';

type Reduce = Extract<LayerExpr, { kind: 'reduce' }>;
type Axis = Statement['axes'][number];

const lane: Expr = { kind: 'builtin', which: 'lane', type: k.scalar('i32') };

/** Whether every sum of a contraction runs over a single index: what tiles are made for. */
export const isTileable = (unit: ContractUnit): boolean =>
  outermostReductions(unit.statement.value).every((e) => e.kind === 'reduce' && e.indices.length === 1);

/** A sum being computed: the staged operands it multiplies, and the private buffer its tile part ends in. */
export interface TiledSum {
  readonly x: string;
  readonly w: string;
  /** Where the stretch at hand begins along the first axis of each. */
  readonly first: { readonly x: Expr; readonly w: Expr };
  /** [lane rows, lane columns] of one lane, or [results] where the machine says which it holds. */
  readonly result: string;
}

/** Where a workgroup's tile lies. */
export interface TilePlace {
  readonly tile: Tile;
  readonly rowAxis: Axis;
  readonly columnAxis: Axis;
  /** First row and column. */
  readonly row: Expr;
  readonly column: Expr;
}

/** Bytes of workgroup memory that a contraction takes in such tiles: every operand of every sum lies there. */
export function tileBytes(unit: ContractUnit, tile: Tile): number {
  const { statement: s, contraction } = unit;
  const column = s.axes[contraction.columnAxis]?.name ?? '';
  const element = elementBytes[stagedAs[tile.matrix?.precision ?? 'f32']];
  const bytesOf = (side: 'x' | 'w'): number =>
    Math.ceil((memoryOf(side, tile).shape.reduce((a, b) => a * b, 1) * element) / 16) * 16;
  const staged = byLength(sumsOf(s)).flatMap((group) => {
    const ids = group.flatMap(([, sum]) => {
      const { x, w } = operands(sum, column);
      return [stagedId('x', x, sum), stagedId('w', w, sum)];
    });
    return [...new Set(ids)];
  });
  return staged.reduce((bytes, id) => bytes + bytesOf(id.startsWith('x') ? 'x' : 'w'), 0);
}

/** What an operand is told apart by: the same for sums that name their index otherwise. */
const stagedId = (side: 'x' | 'w', factors: readonly LayerExpr[], sum: Reduce): string =>
  `${side} ${factors.map((f) => alphaKey(f, new Map([[sum.indices[0]?.name ?? '', '%0']]))).join('*')}`;

/** The different sums of a statement. */
const sumsOf = (s: Statement): ReadonlyMap<string, Reduce> =>
  new Map((outermostReductions(s.value) as readonly Reduce[]).map((sum) => [alphaKey(sum), sum]));

export function lowerTile(unit: ContractUnit, layer: LayerIR, tile: Tile, name: string): Kernel {
  const { statement: s } = unit;
  const kernel = new KernelBuilder(layer);
  const scope = new Scope(kernel);
  const body = scope.inner();
  const grid = kernel.names.fresh('tile');
  const at = bindBlocks(s, unit.contraction.columnAxis, tile, k.index(grid), body, 'columns');
  const place: TilePlace = {
    tile,
    rowAxis: at.rowAxis,
    columnAxis: at.columnAxis,
    row: k.mul(at.rowBlock, k.i32(tile.rows)),
    column: k.mul(at.columnBlock, k.i32(tile.columns)),
  };
  const results = new Map<string, string>();
  for (const group of byLength(sumsOf(s))) multiply(group, place, body, results);
  if (tile.matrix === undefined) epilogue(s, place, results, body);
  else matrixEpilogue(s, place, tile.matrix, results, body);
  scope.emit(k.loop(grid, k.i32(0), at.steps, body.block, { binding: 'workgroup', label: 'tile' }));
  const finished = kernel.finish(name, `contract: ${textOf(layer, s.span)}`, scope.block);
  return { ...finished, workgroup: { subgroups: tile.subgroups, lanes: tile.lanes } };
}

type Group = readonly (readonly [key: string, sum: Reduce])[];

function byLength(sums: ReadonlyMap<string, Reduce>): readonly Group[] {
  const groups: { readonly size: Size; readonly members: [string, Reduce][] }[] = [];
  for (const entry of sums) {
    const size = entry[1].indices[0]?.size ?? Sizes.constant(0);
    const group = groups.find((g) => Sizes.equal(g.size, size));
    if (group === undefined) groups.push({ size, members: [entry] });
    else group.members.push(entry);
  }
  return groups.map((g) => g.members);
}

/** The factors of a sum's body that the columns index, and the rest. */
function operands(sum: Reduce, column: string): { readonly x: readonly LayerExpr[]; readonly w: readonly LayerExpr[] } {
  const factors: LayerExpr[] = [];
  const split = (e: LayerExpr): void => {
    if (e.kind === 'op' && e.op === 'mul') e.args.forEach(split);
    else factors.push(e);
  };
  split(sum.body);
  const isW = (e: LayerExpr): boolean =>
    e.kind === 'access' && e.indices.some((i) => i.kind === 'index' && i.name === column);
  return { x: factors.filter((f) => !isW(f)), w: factors.filter(isW) };
}

/** Computes the sums of a group, and notes the buffers that hold them. */
function multiply(group: Group, place: TilePlace, scope: Scope, results: Map<string, string>): void {
  const { tile } = place;
  const { kernel } = scope;
  const first = group[0]?.[1] as Reduce;
  const index = first.indices[0] as Reduce['indices'][number];
  const staged = new Map<string, Staged>();
  const tiled = group.map(([key, sum]): Omit<TiledSum, 'first'> => {
    const named = sum.indices[0]?.name ?? '';
    const parts = operands(sum, place.columnAxis.name);
    const stage = (side: 'x' | 'w', factors: readonly LayerExpr[]): string => {
      const id = stagedId(side, factors, sum);
      const known = staged.get(id);
      if (known !== undefined) return known.buffer;
      const { shape, layout } = memoryOf(side, tile);
      const storage = stagedAs[tile.matrix?.precision ?? 'f32'];
      const buffer = kernel.scratch(`${side}_tile`, shape.map(Sizes.constant), storage, 'workgroup', layout);
      staged.set(id, { side, factors, index: named, buffer });
      return buffer;
    };
    const extents = tile.matrix === undefined ? [tile.laneRows, tile.laneColumns] : [heldCount(tile, tile.matrix)];
    const result = kernel.scratch('sums', extents.map(Sizes.constant), 'f32');
    results.set(key, result);
    return { x: stage('x', parts.x), w: stage('w', parts.w), result };
  });
  const depth = kernel.names.fresh('depth');
  const round = scope.inner();
  const stages = new Stages([...staged.values()], index.size, place);
  const begin = stages.fill(k.index(depth), scope, round);
  const sums = tiled.map((sum): TiledSum => ({ ...sum, first: begin }));
  const { before, after } =
    tile.matrix === undefined ? multiplyLanes(sums, tile, round) : multiplyMatrixUnits(sums, tile, tile.matrix, round);
  stages.release(round);
  scope.emit(
    ...before,
    k.loop(depth, k.i32(0), k.sizeExpr(index.size), round.block, { step: tile.depth, label: 'depth' }),
    ...after,
  );
}

/** Row or column m of a lane's part, within the tile. Columns lie in runs of four, the runs of neighbouring lanes side by side. */
export function rowOfLane(tile: Tile, m: Expr): Expr {
  const across = tile.columns / tile.laneColumns;
  return k.add(k.mul(k.op('floordiv', lane, k.i32(across)), k.i32(tile.laneRows)), m);
}
export function columnOfLane(tile: Tile, n: Expr): Expr {
  const across = tile.columns / tile.laneColumns;
  const run = k.mul(k.op('floordiv', n, k.i32(4)), k.i32(4 * across));
  const within = k.add(k.mul(k.op('mod', lane, k.i32(across)), k.i32(4)), k.op('mod', n, k.i32(4)));
  return k.add(run, within);
}

/** The statement's value for each element of the lane's part, from its sums. */
function epilogue(s: Statement, place: TilePlace, results: ReadonlyMap<string, string>, scope: Scope): void {
  const { tile } = place;
  const { kernel } = scope;
  const target = kernel.global(s.target, 'write');
  const [m, n, row, column] = ['m', 'n', place.rowAxis.name, place.columnAxis.name].map((x) =>
    kernel.names.fresh(x),
  ) as [string, string, string, string];
  const rows = scope.inner();
  rows.emit(k.letStmt(row, k.add(place.row, rowOfLane(tile, k.index(m)))));
  rows.bind(place.rowAxis.name, k.index(row));
  const columns = rows.inner();
  columns.emit(k.letStmt(column, k.add(place.column, columnOfLane(tile, k.index(n)))));
  columns.bind(place.columnAxis.name, k.index(column));
  const inner = columns.inner();
  for (const [key, buffer] of results) inner.cache(key, k.load(buffer, [k.index(m), k.index(n)], k.scalar('f32')));
  const value = lowerExpr(s.value, inner);
  inner.emit(
    k.store(
      target,
      s.axes.map((a) => inner.lookup(a.name)),
      value,
    ),
  );
  columns.emit(within(k.index(column), place.columnAxis.size, inner.block));
  rows.emit(
    within(k.index(row), place.rowAxis.size, [
      k.loop(n, k.i32(0), k.i32(tile.laneColumns), columns.block, { label: 'lane_columns' }),
    ]),
  );
  scope.emit(k.loop(m, k.i32(0), k.i32(tile.laneRows), rows.block, { label: 'lane_rows' }));
}

export const within = (at: Expr, size: Size, then: readonly Stmt[]): Stmt => ({
  kind: 'if',
  condition: k.op('lt', at, k.sizeExpr(size)),
  then,
  otherwise: [],
});
