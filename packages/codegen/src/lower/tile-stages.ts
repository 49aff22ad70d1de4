/**
 * How stretches of a tile's operands come into workgroup memory. With one stage: all threads fill it, meet, multiply, and
 * meet again before they fill it anew. With two: what a thread brings of the next stretch waits in its registers, asked for before
 * the stretch at hand is multiplied, so that memory's latency passes meanwhile. It is then put where the stretch before
 * last was, which everybody has left, since all have met in between.
 */
import { type Layout, rowMajor } from '@espalier/artefact';
import { type Expr as LayerExpr, type LayerIR, type Size, Sizes } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import { type Expr, elementBytes, type Stmt } from '../kernel-ir/types.ts';
import type { Tile } from '../target.ts';
import { lowerExpr } from './expr.ts';
import type { Scope } from './scope.ts';
import { thread, when, workgroupBarrier } from './team.ts';
import type { TilePlace } from './tile.ts';
import { stagedAs } from './tile-matrix.ts';

/** An operand of a sum: `buffer` holds its stretches. */
export interface Staged {
  readonly side: 'x' | 'w';
  readonly factors: readonly LayerExpr[];
  /** The sum's index, as this operand names it. */
  readonly index: string;
  readonly buffer: string;
}

/** How many stretches workgroup memory holds. */
export const stagesOf = (tile: Tile): number => tile.stages ?? 1;

/** Where a stretch lies in workgroup memory: as an array of these extents, physically in this order. */
interface StretchMemory {
  readonly shape: readonly [number, number];
  readonly layout: Layout;
}

/**
 * Lanes read both operands depth first: the row or column changes from element to element. Matrix units read runs along the depth, so
 * that is how both lie for them, though the weights are still an array of depth × columns. All lines are a little longer than they need to
 * be (16 bytes, and lines are an odd number of these), so that lanes which go down a column meet different memory banks.
 */
export function memoryOf(side: 'x' | 'w', tile: Tile): StretchMemory {
  const across = side === 'x' ? tile.rows : tile.columns;
  const stages = stagesOf(tile);
  if (tile.matrix === undefined) return { shape: [tile.depth * stages, across + 4], layout: rowMajor(2) };
  const spare = 16 / elementBytes[stagedAs[tile.matrix.precision]];
  if (side === 'x') return { shape: [across * stages, tile.depth + spare], layout: rowMajor(2) };
  const layout: Layout = [
    { part: 'whole', axis: 1 },
    { part: 'whole', axis: 0 },
  ];
  return { shape: [tile.depth * stages + spare, across], layout };
}

/** The operands of sums of one length, in one tile. */
export class Stages {
  readonly #operands: readonly Staged[];
  readonly #length: Size;
  readonly #place: TilePlace;

  constructor(operands: readonly Staged[], length: Size, place: TilePlace) {
    this.#operands = operands;
    this.#length = length;
    this.#place = place;
  }

  /**
   * Writes into `round`, the body of the loop over `depth`, what brings the stretch there, and into `before` what must happen before the
   * loop. Gives where the stretch begins along the first axis of the operands' buffers.
   */
  fill(depth: Expr, before: Scope, round: Scope): { readonly x: Expr; readonly w: Expr } {
    const { tile } = this.#place;
    if (stagesOf(tile) === 1) {
      for (const operand of this.#operands) {
        const at = new Operand(operand, this.#length, this.#place, round.kernel.layer);
        at.overParts(round, (inner, part) => at.put(part, at.fetch(depth, part, inner), k.i32(0), inner));
      }
      round.emit(workgroupBarrier);
      return { x: k.i32(0), w: k.i32(0) };
    }
    const { kernel } = before;
    const turn = kernel.names.fresh('turn');
    const first = (side: 'x' | 'w'): Expr =>
      k.mul(k.index(turn), k.i32(side === 'x' && tile.matrix !== undefined ? tile.rows : tile.depth));
    const ahead = this.#operands.map((operand) => {
      const at = new Operand(operand, this.#length, this.#place, round.kernel.layer);
      const buffer = kernel.scratch(`${operand.side}_ahead`, [at.parts, at.width].map(Sizes.constant), 'f32');
      return { at, side: operand.side, buffer };
    });
    const fetch = (from: Expr, scope: Scope): void => {
      for (const { at, buffer } of ahead)
        at.overParts(scope, (inner, part) =>
          inner.emit(k.store(buffer, [part.number, k.i32(0)], at.fetch(from, part, inner))),
        );
    };
    const start = before.inner();
    fetch(k.i32(0), start);
    const length = k.sizeExpr(this.#length);
    if ((Sizes.constantOf(this.#length) ?? 0) > 0) before.emit(...start.block);
    else before.emit(when(k.op('gt', length, k.i32(0)), start.block));

    round.emit(k.letStmt(turn, k.op('mod', k.op('floordiv', depth, k.i32(tile.depth)), k.i32(2))));
    for (const { at, side, buffer } of ahead)
      at.overParts(round, (inner, part) => {
        const value = k.load(buffer, [part.number, k.i32(0)], k.vector('f32', at.width));
        at.put(part, value, first(side), inner);
      });
    round.emit(workgroupBarrier);
    const next = k.add(depth, k.i32(tile.depth));
    const following = round.inner();
    fetch(next, following);
    round.emit(when(k.op('lt', next, length), following.block));
    return { x: first('x'), w: first('w') };
  }

  /** Writes into `round` what must happen when a stretch has been multiplied. */
  release(round: Scope): void {
    // The next stretch may be written when everybody has read this one.
    if (stagesOf(this.#place.tile) === 1) round.emit(workgroupBarrier);
  }
}

/** A thread's part of an operand's stretch: neighbours along the depth, one or four. */
interface Part {
  readonly number: Expr;
  /** Row or column within the tile. */
  readonly line: Expr;
  /** Place within the stretch. */
  readonly along: Expr;
}

/** How the threads deal out an operand's stretch. What lies outside along the depth is 0; rows and columns outside are never stored. */
class Operand {
  /** Neighbours that a thread brings at once, and how often it does. */
  readonly width: number;
  readonly parts: number;
  readonly #operand: Staged;
  readonly #length: Size;
  readonly #place: TilePlace;
  readonly #across: number;
  /** Whether every stretch is full. */
  readonly #isWhole: boolean;

  constructor(operand: Staged, length: Size, place: TilePlace, layer: LayerIR) {
    const { tile } = place;
    this.#operand = operand;
    this.#length = length;
    this.#place = place;
    this.#across = operand.side === 'x' ? tile.rows : tile.columns;
    const known = Sizes.constantOf(length);
    const [only] = operand.factors;
    this.#isWhole = known !== null && known % tile.depth === 0;
    this.width = this.#isWhole && operand.factors.length === 1 && readsInOrder(only, operand.index, layer) ? 4 : 1;
    this.parts = Math.ceil((this.#across * tile.depth) / this.width / (tile.subgroups * tile.lanes));
  }

  /** A loop over a thread's parts. */
  overParts(scope: Scope, fill: (inner: Scope, part: Part) => void): void {
    const { tile } = this.#place;
    const { side } = this.#operand;
    const { names } = scope.kernel;
    const threads = tile.subgroups * tile.lanes;
    const perRow = tile.depth / this.width;
    const [part, id] = [names.fresh('part'), names.fresh('id')];
    const [line, along] = [names.fresh(side === 'x' ? 'row' : 'column'), names.fresh('along')];
    const inner = scope.inner();
    const number = k.letStmt(id, k.add(k.mul(k.index(part), k.i32(threads)), thread));
    inner.emit(
      k.letStmt(line, k.op('floordiv', k.index(id), k.i32(perRow))),
      k.letStmt(along, k.mul(k.op('mod', k.index(id), k.i32(perRow)), k.i32(this.width))),
    );
    fill(inner, { number: k.index(part), line: k.index(line), along: k.index(along) });
    const elements = this.#across * perRow;
    const isEven = elements % threads === 0;
    const body = isEven ? inner.block : [when(k.op('lt', k.index(id), k.i32(elements)), inner.block)];
    scope.emit(k.loop(part, k.i32(0), k.i32(this.parts), [number, ...body], { label: `${side}_part` }));
  }

  /** A part of the stretch that begins at `depth`, as it stands in global memory: one value, or four. */
  fetch(depth: Expr, part: Part, scope: Scope): Expr {
    const { side, factors, index } = this.#operand;
    const axis = side === 'x' ? this.#place.rowAxis : this.#place.columnAxis;
    const length = k.sizeExpr(this.#length);
    const lineAt = k.add(side === 'x' ? this.#place.row : this.#place.column, part.line);
    const size = Sizes.constantOf(axis.size);
    const fits = size !== null && size % this.#across === 0;
    scope.bind(axis.name, fits ? lineAt : k.min(lineAt, k.sub(k.sizeExpr(axis.size), k.i32(1))));
    const depthAt = k.add(depth, part.along);
    scope.bind(index, this.#isWhole ? depthAt : k.min(depthAt, k.sub(length, k.i32(1))));
    const values = factors.map((f) => lowerExpr(f, scope));
    const product = values.length === 0 ? k.f32(1) : values.reduce(k.mul);
    if (this.width > 1 && product.kind === 'load') return { ...product, type: k.vector('f32', this.width) };
    return this.#isWhole ? product : k.op('select', k.op('lt', depthAt, length), product, k.f32(0));
  }

  /** Puts a part's values into the stretch that begins at `first` along the buffer's first axis. */
  put(part: Part, value: Expr, first: Expr, scope: Scope): void {
    const { side, buffer } = this.#operand;
    const isByRows = side === 'x' && this.#place.tile.matrix !== undefined;
    const store = (along: Expr, what: Expr): Stmt => {
      const [outer, inner] = isByRows ? [part.line, along] : [along, part.line];
      return k.store(buffer, [k.add(outer, first), inner], what);
    };
    // Neighbours along the depth are neighbours there, too, or each goes to a line of its own.
    if (this.width === 1 || this.#place.tile.matrix !== undefined) {
      scope.emit(store(part.along, value));
      return;
    }
    const name = scope.kernel.names.fresh('four');
    scope.emit(k.letStmt(name, value));
    for (let j = 0; j < this.width; j++)
      scope.emit(store(k.add(part.along, k.i32(j)), k.extract(k.ref(name, value.type), j)));
  }
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
