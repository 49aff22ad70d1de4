/** The sizes in which a GPU is given work: tiles of dense products, by lanes or tensor cores, and walks of few rows. */
import type { HeldTile, MmaPrecision } from '../../kernel-ir/types.ts';
import type { SharingChoice, SortingChoice, SubtreeChoice, TileChoice } from '../../schedule/lane-variants.ts';
import type { Form, Tile } from '../../target.ts';
import { SHARED_BYTES, WARP } from './capabilities.ts';

/** Tiles of dense products whose operands are of this precision. */
export const tilesFor = (precision: MmaPrecision): readonly TileChoice[] =>
  precision === 'f32' ? TILES : matrixTiles(precision);

/**
 * Products by lanes. The larger a tile, the fewer there are: with few rows small ones keep more of the machine busy. Sizes were compared on an
 * H100 at 128, 1,024 and 16,384 rows of 768-3072; how many tiles each wants at least (`tiles`) is an estimate that nobody has timed.
 */
const TILES: readonly TileChoice[] = [
  {
    from: 8,
    columns: 8,
    tiles: 48,
    tile: { rows: 32, columns: 32, depth: 16, laneRows: 4, laneColumns: 4, subgroups: 2, lanes: WARP },
  },
  {
    from: 64,
    columns: 64,
    tiles: 90,
    tile: { rows: 64, columns: 64, depth: 16, laneRows: 4, laneColumns: 4, subgroups: 8, lanes: WARP, stages: 2 },
  },
  {
    from: 512,
    columns: 256,
    tiles: 192,
    mostSums: 1,
    // So many registers a lane that few warps are there to hide each other's reads: the next stretch is read ahead.
    tile: { rows: 128, columns: 64, depth: 16, laneRows: 8, laneColumns: 8, subgroups: 4, lanes: WARP, stages: 2 },
  },
  {
    from: 4096,
    columns: 256,
    tiles: 400,
    mostSums: 1,
    tile: { rows: 128, columns: 128, depth: 16, laneRows: 8, laneColumns: 8, subgroups: 8, lanes: WARP, stages: 2 },
  },
];

/** Which elements of an accumulator a lane holds: PTX manual, "Matrix fragments for mma.m16n8k16". */
export const HELD: HeldTile = { rows: 16, columns: 8, run: 2 };

/** Products by tensor cores, once there are rows enough to fill their tiles. One instruction takes 32 bytes of each row. */
function matrixTiles(precision: MmaPrecision): readonly TileChoice[] {
  const isTf32 = precision === 'tf32';
  const tile = (rows: number, columns: number, depth: number, subgroups: number, subgroupsAcross: number): Tile => ({
    ...{ rows, columns, depth, laneRows: 4, laneColumns: 4, subgroups, lanes: WARP, stages: 2 },
    matrix: { precision, depth: isTf32 ? 8 : 16, held: HELD, subgroupsAcross },
  });
  return [
    { from: 8, columns: 8, tile: tile(32, 32, 16, 2, 1) },
    { from: 8, columns: 64, tiles: 24, tile: tile(32, 64, 32, 4, 2) },
    { from: 64, columns: 64, tiles: 40, mostSums: 1, tile: tile(64, 64, isTf32 ? 32 : 64, 4, 2) },
    { from: 64, columns: 64, tiles: 40, tile: tile(64, 64, isTf32 ? 16 : 32, 4, 2) },
    // Four warps of 64 x 64 each: as much from a byte of workgroup memory as registers allow, and still two of them at a time.
    {
      from: 2048,
      columns: 256,
      tiles: 256,
      mostSums: 1,
      tile: isTf32 ? tile(128, 128, 16, 8, 4) : tile(128, 128, 32, 4, 2),
    },
  ];
}

/**
 * Queries of an attention that a warp takes at once: each key then serves all of them. With few, more warps are wanted. On an H100 two were
 * best at 1,536 queries and six at 12,288; where one gives way to the other is a guess.
 */
export const SHARING: readonly SharingChoice[] = [
  { from: 0, together: 2 },
  { from: 8192, together: 6 },
];

/** Walks row by row: what they yield is summed after them, when no read waits for another. */
export const WALKS: Form = { form: 'rows', together: 1, deferred: true };

/**
 * Walks of few rows: three levels a round, a warp for each of the seven nodes; the others help with what is yielded. On an H100 faster
 * than row by row at 256 rows, the most that was tried; where that ends, before 1,024, is a guess. Four levels a round were no faster than three.
 */
export const SUBTREES: SubtreeChoice = {
  ...{ below: 512, subgroups: 16, lanes: WARP, team: WARP, memory: SHARED_BYTES / 2 },
  mostLevels: 3,
};

/**
 * Walks through trees that no second cache holds (an H100's has 50 MB; a tree of 24 MB was walked no faster sorted there). From how many rows on
 * and to how many nodes is an estimate that nobody has timed: there should be rows enough for several to meet at most nodes.
 */
export const SORTING: SortingChoice = {
  ...{ from: 8192, treeBytes: 48 * 2 ** 20, nodes: 256 },
  ...{ stretches: 64, subgroups: 8, lanes: WARP },
};
