/** Where the elements that a lane holds of an accumulator stand. The order in which it holds them: tile by tile, down each, along its run. */
import * as k from './build.ts';
import type { Expr, HeldTile } from './types.ts';

/** How often the lanes of a subgroup stand below each other in a tile. */
export const turnsOf = ({ rows, columns, run }: HeldTile, lanes: number): number => (rows * columns) / (lanes * run);

/** Whether the lanes of a subgroup fill a tile: whole runs to a row, whole rows of lanes, all of them standing in it equally often. */
export const fillsTile = (tile: HeldTile, lanes: number): boolean =>
  [tile.run, tile.columns / tile.run, (lanes * tile.run) / tile.columns, turnsOf(tile, lanes)].every(
    (n) => Number.isInteger(n) && n >= 1,
  );

/** Row and column, within its tile, of the first element of a lane's run; `turn` counts downwards. */
export function heldAt(
  tile: HeldTile,
  lanes: number,
  lane: Expr,
  turn: Expr,
): { readonly row: Expr; readonly column: Expr } {
  const across = tile.columns / tile.run;
  return {
    row: k.add(k.mul(turn, k.i32(lanes / across)), k.op('floordiv', lane, k.i32(across))),
    column: k.mul(k.op('mod', lane, k.i32(across)), k.i32(tile.run)),
  };
}

/** All elements of a fragment of rows × columns that a lane holds, in its order. */
export function heldBy(
  tile: HeldTile,
  lanes: number,
  lane: number,
  rows: number,
  columns: number,
): readonly { readonly row: number; readonly column: number }[] {
  const across = tile.columns / tile.run;
  const places: { row: number; column: number }[] = [];
  for (let r = 0; r < rows; r += tile.rows)
    for (let c = 0; c < columns; c += tile.columns)
      for (let turn = 0; turn < turnsOf(tile, lanes); turn++)
        for (let i = 0; i < tile.run; i++)
          places.push({
            row: r + turn * (lanes / across) + Math.floor(lane / across),
            column: c + (lane % across) * tile.run + i,
          });
  return places;
}
