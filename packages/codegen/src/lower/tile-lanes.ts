/** The inner product of a tile by lanes: each keeps its part in registers, four columns a vector. */
import * as k from '../kernel-ir/build.ts';
import type { Stmt } from '../kernel-ir/types.ts';
import type { Tile } from '../target.ts';
import type { Scope } from './scope.ts';
import { columnOfLane, rowOfLane, type TiledSum } from './tile.ts';

const four = k.vector('f32', 4);

/** Emits one stretch's products into `round`; gives what comes before and after all stretches. */
export function multiplyLanes(
  sums: readonly TiledSum[],
  tile: Tile,
  round: Scope,
): { readonly before: readonly Stmt[]; readonly after: readonly Stmt[] } {
  const { names } = round.kernel;
  const before: Stmt[] = [];
  const after: Stmt[] = [];
  const at = names.fresh('i');
  const body: Stmt[] = [];
  const loaded = new Map<string, readonly string[]>();
  const load = (sum: TiledSum, side: 'x' | 'w'): readonly string[] => {
    const buffer = sum[side];
    const known = loaded.get(buffer);
    if (known !== undefined) return known;
    const count = (side === 'x' ? tile.laneRows : tile.laneColumns) / 4;
    const fresh = Array.from({ length: count }, (_, c) => {
      const name = names.fresh(side);
      const place = side === 'x' ? rowOfLane(tile, k.i32(4 * c)) : columnOfLane(tile, k.i32(4 * c));
      body.push(k.letStmt(name, k.load(buffer, [k.add(k.index(at), sum.first[side]), place], four)));
      return name;
    });
    loaded.set(buffer, fresh);
    return fresh;
  };
  for (const sum of sums) {
    const [x, w] = [load(sum, 'x'), load(sum, 'w')];
    for (let m = 0; m < tile.laneRows; m++) {
      for (let c = 0; c < tile.laneColumns / 4; c++) {
        const name = names.fresh('sum');
        const value = k.ref(name, four);
        const element = k.extract(k.ref(x[Math.floor(m / 4)] as string, four), m % 4);
        before.push(k.varStmt(name, k.splat(k.f32(0), 4)));
        body.push(k.assign(name, k.add(value, k.mul(k.splat(element, 4), k.ref(w[c] as string, four)))));
        for (let n = 0; n < 4; n++) after.push(k.store(sum.result, [k.i32(m), k.i32(4 * c + n)], k.extract(value, n)));
      }
    }
  }
  round.emit(k.loop(at, k.i32(0), k.i32(tile.depth), body, { label: 'product' }));
  return { before, after };
}
