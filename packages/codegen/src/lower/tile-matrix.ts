/**
 * The inner product of a tile by matrix units: the subgroups of a workgroup share the tile as blocks of fragments. Results
 * pass through workgroup memory on their way to the lanes' parts, since only the machine knows which lane holds what.
 */
import { Sizes } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import type { MatrixUnits, Tile } from '../target.ts';
import type { Scope } from './scope.ts';
import { columnOfLane, rowOfLane, type TiledSum } from './tile.ts';

const subgroup: Expr = { kind: 'builtin', which: 'subgroup', type: k.scalar('i32') };

/** Emits one stretch's products into `round`; gives what comes before and after all stretches. */
export function multiplyMatrixUnits(
  sums: readonly TiledSum[],
  tile: Tile,
  units: MatrixUnits,
  round: Scope,
): { readonly before: readonly Stmt[]; readonly after: readonly Stmt[] } {
  const { kernel } = round;
  const { names } = kernel;
  const before: Stmt[] = [];
  const after: Stmt[] = [];
  const fragment = (base: string, rows: number, columns: number): string =>
    kernel.scratch(base, [Sizes.constant(rows), Sizes.constant(columns)], 'f32', 'subgroup');
  // A subgroup's share: `down` × `across` fragments; the subgroups stand in a grid over the tile.
  const across = tile.columns / units.columns / units.subgroupsAcross;
  const subgroupsDown = tile.subgroups / units.subgroupsAcross;
  const down = tile.rows / units.rows / subgroupsDown;
  const firstRow = k.mul(k.op('floordiv', subgroup, k.i32(units.subgroupsAcross)), k.i32(down * units.rows));
  const firstColumn = k.mul(k.op('mod', subgroup, k.i32(units.subgroupsAcross)), k.i32(across * units.columns));
  const barrier: Stmt = { kind: 'barrier', scope: 'workgroup' };
  const staging = kernel.scratch(
    'results',
    [Sizes.constant(tile.rows), Sizes.constant(tile.columns)],
    'f32',
    'workgroup',
  );
  for (const sum of sums) {
    const accumulators = grid(down, across, () => fragment('c', units.rows, units.columns));
    const a = Array.from({ length: down }, () => fragment('a', units.rows, units.depth));
    const b = fragment('b', units.depth, units.columns);
    for (const c of accumulators.flat())
      before.push({ kind: 'fragment', move: 'zero', fragment: c, buffer: null, indices: [] });
    const at = names.fresh('i');
    const body: Stmt[] = [];
    a.forEach((name, i) => {
      body.push({
        kind: 'fragment',
        move: 'load',
        fragment: name,
        buffer: sum.x,
        indices: [k.add(k.add(firstRow, k.i32(i * units.rows)), sum.first.x), k.index(at)],
      });
    });
    for (let j = 0; j < across; j++) {
      const column = k.add(firstColumn, k.i32(j * units.columns));
      body.push({
        kind: 'fragment',
        move: 'load',
        fragment: b,
        buffer: sum.w,
        indices: [k.add(k.index(at), sum.first.w), column],
      });
      accumulators.forEach((row, i) => {
        body.push({
          kind: 'mma',
          accumulator: row[j] as string,
          a: a[i] as string,
          b,
          rows: units.rows,
          columns: units.columns,
          depth: units.depth,
          precision: units.precision,
        });
      });
    }
    round.emit(k.loop(at, k.i32(0), k.i32(tile.depth), body, { step: units.depth, label: 'product' }));
    after.push(barrier);
    accumulators.forEach((row, i) => {
      row.forEach((c, j) => {
        after.push({
          kind: 'fragment',
          move: 'store',
          fragment: c,
          buffer: staging,
          indices: [k.add(firstRow, k.i32(i * units.rows)), k.add(firstColumn, k.i32(j * units.columns))],
        });
      });
    });
    after.push(barrier);
    const [m, n] = [names.fresh('m'), names.fresh('n')];
    const mine = k.load(staging, [rowOfLane(tile, k.index(m)), columnOfLane(tile, k.index(n))], k.scalar('f32'));
    const take = k.store(sum.result, [k.index(m), k.index(n)], mine);
    after.push(k.loop(m, k.i32(0), k.i32(tile.laneRows), [k.loop(n, k.i32(0), k.i32(tile.laneColumns), [take])]));
  }
  return { before, after };
}

const grid = <T>(rows: number, columns: number, make: () => T): readonly (readonly T[])[] =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, make));
