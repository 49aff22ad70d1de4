/** What a search tries for a unit: forms as data, those left out that an estimate says can't win. */
import type { Form, Unit } from '@espalier/codegen';

/** What the estimate knows of an engine. */
export interface EngineFacts {
  /** Vector registers, and f32 values in one as the engine uses them. */
  readonly registers: number;
  readonly lanes: number;
  /** Bytes of the second cache of a core. */
  readonly cache: number;
}

const TILES = [
  [1, 32],
  [2, 16],
  [2, 32],
  [4, 8],
  [4, 16],
  [6, 8],
  [6, 16],
  [8, 8],
] as const;
const BLOCKS = [
  [60, 64],
  [96, 64],
  [60, 128],
] as const;
const DEPTHS = [128, 256] as const;

/** Rows from which weights are read before they are used: fewer use them about as fast as they come. */
const TOUCHED_FROM = 12;

/** f32 values in a line of a cache. */
const LINE = 16;

/** Rows from which walks are also sorted, after how many levels, and how many at once. */
const MANY = 512;
const SORTED_AFTER = [4, 5, 6, 7] as const;
const CHUNKS = [1024, 8192] as const;

/** Accumulators, a row's vectors of weights and one input must fit the registers; more would be spilled in every step. */
function fitsRegisters(rows: number, columns: number, { registers, lanes }: EngineFacts): boolean {
  const across = columns / lanes;
  return Number.isInteger(across) && rows * across + across + 1 <= registers + 1;
}

/** A block's weights and inputs must fit the second cache, or they come from beyond for every tile. */
const fitsCache = (rows: number, columns: number, depth: number, { cache }: EngineFacts): boolean =>
  4 * depth * (rows + columns) + 4 * rows * columns <= cache;

/** Rows of a group that go down a tree level by level together: their stretches of x fit the second cache. */
const ROWS_OF_A_BLOCK = 128;

/** The forms worth measuring for a unit and a number of rows; none where there is nothing to choose. Some may be none that the compiler accepts. */
export function candidatesFor(unit: Unit, hasWalk: boolean, rows: number, engine: EngineFacts): readonly Form[] {
  if (unit.kind === 'contract') {
    // Weights lie in panels of two vectors.
    const panel = 2 * engine.lanes;
    const touch = rows < TOUCHED_FROM ? {} : { touch: { columns: panel, depth: LINE / panel } };
    return TILES.filter(([rows, columns]) => fitsRegisters(rows, columns, engine)).flatMap(([rows, columns]) =>
      BLOCKS.flatMap(([blockRows, blockColumns]) =>
        DEPTHS.filter((depth) => fitsCache(blockRows, blockColumns, depth, engine)).map(
          (depth): Form => ({
            form: 'blocks',
            rows: blockRows,
            columns: blockColumns,
            depth,
            registers: { rows, columns },
            ...touch,
          }),
        ),
      ),
    );
  }
  if (unit.kind !== 'rows' || !hasWalk) return [];
  const sideBySide = [1, 2, 3, 4, 6].flatMap((together): Form[] => [
    { form: 'rows', together, deferred: true },
    { form: 'rows', together },
  ]);
  // Sorting a few hundred rows by the node they have reached costs more than it saves.
  if (rows < MANY) return sideBySide;
  const sorted = SORTED_AFTER.flatMap((first) =>
    [3, 4].flatMap((together) =>
      CHUNKS.map((chunk): Form => ({ form: 'grouped', chunk, first, block: ROWS_OF_A_BLOCK, together })),
    ),
  );
  return [...sideBySide, ...sorted];
}
