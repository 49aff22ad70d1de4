/** The sizes in which a GPU is given work: tiles of dense products, by lanes or tensor cores, and walks of few rows. */
import type { HeldTile, MmaPrecision } from '../../kernel-ir/types.ts';
import type { SubtreeChoice, TileChoice } from '../../schedule/auto-lanes.ts';
import type { Form, MatrixUnits } from '../../target.ts';
import { SHARED_BYTES, WARP } from './capabilities.ts';

/** Tiles of dense products whose operands are of this precision. */
export const tilesFor = (precision: MmaPrecision): readonly TileChoice[] =>
  precision === 'f32' ? TILES : matrixTiles(precision);

/** Products by lanes. */
const TILES: readonly TileChoice[] = [
  {
    from: 8,
    columns: 8,
    tile: { rows: 32, columns: 32, depth: 16, laneRows: 4, laneColumns: 4, subgroups: 2, lanes: WARP },
  },
  {
    from: 64,
    columns: 64,
    tile: { rows: 64, columns: 64, depth: 16, laneRows: 8, laneColumns: 4, subgroups: 4, lanes: WARP },
  },
  {
    from: 1024,
    columns: 256,
    // So many registers a lane that few warps are there to hide each other's reads: the next stretch is read ahead.
    tile: { rows: 128, columns: 128, depth: 8, laneRows: 8, laneColumns: 8, subgroups: 8, lanes: WARP, stages: 2 },
  },
];

/** Which elements of an accumulator a lane holds: PTX manual, "Matrix fragments for mma.m16n8k16". */
export const HELD: HeldTile = { rows: 16, columns: 8, run: 2 };

/** Products by tensor cores, once there are rows enough to fill their tiles. One instruction takes 32 bytes of each row. */
function matrixTiles(precision: MmaPrecision): readonly TileChoice[] {
  const units: Omit<MatrixUnits, 'subgroupsAcross'> = { precision, depth: precision === 'tf32' ? 8 : 16, held: HELD };
  return [
    {
      from: 8,
      columns: 8,
      tile: {
        ...{ rows: 32, columns: 32, depth: 16, laneRows: 4, laneColumns: 4, subgroups: 2, lanes: WARP },
        matrix: { ...units, subgroupsAcross: 1 },
      },
    },
    {
      from: 64,
      columns: 64,
      tile: {
        ...{ rows: 64, columns: 64, depth: 32, laneRows: 8, laneColumns: 4, subgroups: 4, lanes: WARP },
        matrix: { ...units, subgroupsAcross: 2 },
      },
    },
  ];
}

/** Walks row by row: what they yield is summed after them, when no read waits for another. */
export const WALKS: Form = { form: 'rows', together: 1, deferred: true };

/**
 * Walks of few rows: a warp for each of seven nodes, three levels a round. From about two workgroups on each of a large GPU's
 * 132 multiprocessors on, the rows themselves fill the machine. An estimate from latencies and bandwidths, not yet a measurement.
 */
export const SUBTREES: SubtreeChoice = { below: 256, subgroups: 8, lanes: WARP, team: WARP, memory: SHARED_BYTES / 2 };
