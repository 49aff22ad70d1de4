/**
 * Dense products on a lane machine: a workgroup computes a tile of rows × columns. Stretches of x and of the weights are
 * staged through workgroup memory, depth first, so that each is read from global memory once a tile; every lane keeps a
 * part of the tile in registers. Sums of equal length (the two of a gated layer) are computed in one pass and share x.
 */
import { type Expr as LayerExpr, type LayerIR, type Size, Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import type { Tile } from '../target.ts';
import { bindBlocks } from './blocks.ts';
import { lowerExpr } from './expr.ts';
import { alphaKey, textOf } from './layer-expr.ts';
import { type ContractUnit, outermostReductions } from './partition.ts';
import { KernelBuilder, Scope } from './scope.ts';
import { multiplyLanes } from './tile-lanes.ts';
import { multiplyMatrixUnits } from './tile-matrix.ts';

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
  /** [lane rows, lane columns], of one lane. */
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

export function lowerTile(unit: ContractUnit, layer: LayerIR, tile: Tile, name: string): Kernel {
  const { statement: s } = unit;
  const kernel = new KernelBuilder(layer);
  const scope = new Scope(kernel);
  const body = scope.inner();
  const grid = kernel.names.fresh('tile');
  const at = bindBlocks(s, unit.contraction.columnAxis, tile, k.index(grid), body);
  const place: TilePlace = {
    tile,
    rowAxis: at.rowAxis,
    columnAxis: at.columnAxis,
    row: k.mul(at.rowBlock, k.i32(tile.rows)),
    column: k.mul(at.columnBlock, k.i32(tile.columns)),
  };
  const sums = new Map<string, Reduce>();
  for (const sum of outermostReductions(s.value) as readonly Reduce[]) sums.set(alphaKey(sum), sum);
  const results = new Map<string, string>();
  for (const group of byLength(sums)) multiply(group, place, body, results);
  epilogue(s, place, results, body);
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
  const tiled = group.map(([key, sum]): TiledSum => {
    const named = sum.indices[0]?.name ?? '';
    const parts = operands(sum, place.columnAxis.name);
    const stage = (side: 'x' | 'w', factors: readonly LayerExpr[]): string => {
      const id = `${side} ${factors.map((f) => alphaKey(f, new Map([[named, '%0']]))).join('*')}`;
      const known = staged.get(id);
      if (known !== undefined) return known.buffer;
      const across = side === 'x' ? tile.rows : tile.columns;
      // A little more than the tile, so that lanes which write a column of it meet different memory banks.
      const extents = byRows(side, tile) ? [across, tile.depth + 4] : [tile.depth, across + 4];
      const shape = extents.map(Sizes.constant);
      const buffer = kernel.scratch(`${side}_tile`, shape, 'f32', 'workgroup');
      staged.set(id, { side, factors, index: named, buffer });
      return buffer;
    };
    const result = kernel.scratch('sums', [Sizes.constant(tile.laneRows), Sizes.constant(tile.laneColumns)], 'f32');
    results.set(key, result);
    return { x: stage('x', parts.x), w: stage('w', parts.w), result };
  });
  const depth = kernel.names.fresh('depth');
  const round = scope.inner();
  for (const operand of staged.values()) stageOperand(operand, index.size, k.index(depth), place, round);
  const barrier: Stmt = { kind: 'barrier', scope: 'workgroup' };
  round.emit(barrier);
  const { before, after } =
    tile.matrix === undefined
      ? multiplyLanes(tiled, tile, round)
      : multiplyMatrixUnits(tiled, tile, tile.matrix, round);
  // The next stretch may be written when everybody has read this one.
  round.emit(barrier);
  scope.emit(
    ...before,
    k.loop(depth, k.i32(0), k.sizeExpr(index.size), round.block, { step: tile.depth, label: 'depth' }),
    ...after,
  );
}

/** Lanes read x depth first, as they do the weights; a fragment of x is a block of its rows. */
const byRows = (side: 'x' | 'w', tile: Tile): boolean => side === 'x' && tile.matrix !== undefined;

interface Staged {
  readonly side: 'x' | 'w';
  readonly factors: readonly LayerExpr[];
  /** The sum's index, as this operand names it. */
  readonly index: string;
  readonly buffer: string;
}

/** Fills an operand's stretch of workgroup memory. What lies outside along the depth is 0; rows and columns outside are never stored. */
function stageOperand(operand: Staged, length: Size, depth: Expr, place: TilePlace, scope: Scope): void {
  const { tile } = place;
  const { names, layer } = scope.kernel;
  const isX = operand.side === 'x';
  const across = isX ? tile.rows : tile.columns;
  const axis = isX ? place.rowAxis : place.columnAxis;
  const [only] = operand.factors;
  const known = Sizes.constantOf(length);
  const whole = known !== null && known % tile.depth === 0;
  const width = whole && operand.factors.length === 1 && readsInOrder(only, operand.index, layer) ? 4 : 1;
  const perRow = tile.depth / width;
  const threads = tile.subgroups * tile.lanes;
  const [part, id, line, along] = ['part', 'id', isX ? 'row' : 'column', 'along'].map((n) => names.fresh(n)) as [
    string,
    string,
    string,
    string,
  ];
  const inner = scope.inner();
  inner.emit(
    k.letStmt(id, k.add(k.mul(k.index(part), k.i32(threads)), lane)),
    k.letStmt(line, k.op('floordiv', k.index(id), k.i32(perRow))),
    k.letStmt(along, k.mul(k.op('mod', k.index(id), k.i32(perRow)), k.i32(width))),
  );
  const lineAt = k.add(isX ? place.row : place.column, k.index(line));
  const size = Sizes.constantOf(axis.size);
  const fits = size !== null && size % across === 0;
  inner.bind(axis.name, fits ? lineAt : k.min(lineAt, k.sub(k.sizeExpr(axis.size), k.i32(1))));
  const depthAt = k.add(depth, k.index(along));
  inner.bind(operand.index, whole ? depthAt : k.min(depthAt, k.sub(k.sizeExpr(length), k.i32(1))));
  const values = operand.factors.map((f) => lowerExpr(f, inner));
  const product = values.length === 0 ? k.f32(1) : values.reduce(k.mul);
  const at = (along: Expr): readonly Expr[] =>
    byRows(operand.side, tile) ? [k.index(line), along] : [along, k.index(line)];
  if (width === 4 && product.kind === 'load') {
    const value = names.fresh('four');
    const type = k.vector('f32', 4);
    inner.emit(k.letStmt(value, { ...product, type }));
    for (let j = 0; j < 4; j++) {
      const element = k.extract(k.ref(value, type), j);
      inner.emit(k.store(operand.buffer, at(k.add(k.index(along), k.i32(j))), element));
    }
  } else {
    const value = whole ? product : k.op('select', k.op('lt', depthAt, k.sizeExpr(length)), product, k.f32(0));
    inner.emit(k.store(operand.buffer, at(k.index(along)), value));
  }
  const elements = across * perRow;
  if (elements % threads === 0) {
    scope.emit(k.loop(part, k.i32(0), k.i32(elements / threads), inner.block, { label: `${operand.side}_part` }));
    return;
  }
  const head = inner.block.slice(0, 1);
  const rest = inner.block.slice(1);
  const guarded: Stmt = {
    kind: 'if',
    condition: k.op('lt', k.index(id), k.i32(elements)),
    then: rest,
    otherwise: [],
  };
  const parts = k.i32(Math.ceil(elements / threads));
  scope.emit(k.loop(part, k.i32(0), parts, [...head, guarded], { label: `${operand.side}_part` }));
}

/** Whether four neighbours along `index` are four neighbours in memory, and begin where four begin. */
function readsInOrder(e: LayerExpr | undefined, index: string, layer: LayerIR): boolean {
  if (e?.kind !== 'access') return false;
  const decl = layer.tensors.find((t) => t.name === e.tensor);
  const last = e.indices.at(-1);
  const width = Sizes.constantOf(decl?.shape.at(-1) ?? Sizes.constant(0));
  if (decl === undefined || decl.storage !== 'f32' || width === null || width % 4 !== 0) return false;
  const elsewhere = e.indices.slice(0, -1).some((i) => i.kind === 'index' && i.name === index);
  return last?.kind === 'index' && last.name === index && !elsewhere;
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
  columns.emit(within(column, place.columnAxis.size, inner.block));
  rows.emit(
    within(row, place.rowAxis.size, [
      k.loop(n, k.i32(0), k.i32(tile.laneColumns), columns.block, { label: 'lane_columns' }),
    ]),
  );
  scope.emit(k.loop(m, k.i32(0), k.i32(tile.laneRows), rows.block, { label: 'lane_rows' }));
}

const within = (name: string, size: Size, then: readonly Stmt[]): Stmt => ({
  kind: 'if',
  condition: k.op('lt', k.index(name), k.sizeExpr(size)),
  then,
  otherwise: [],
});
