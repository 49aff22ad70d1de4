/** Reading what the interpreter gives back. */
import type { Computed } from '../../src/interpret/index.ts';

/** One of the results; fails when it isn't there. */
export function only(results: Readonly<Record<string, Computed>>, name: string): Computed {
  const values = results[name];
  if (values === undefined) throw new Error(`no ${name} among ${Object.keys(results).join(', ') || 'no results'}`);
  return values;
}

/** The largest |a − b|, each difference divided by max(1, |b|). NaN when they differ in length or in where NaN is. */
export function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let worst = 0;
  for (let i = 0; i < b.length; i++) {
    const [x = Number.NaN, y = Number.NaN] = [a[i], b[i]];
    if (Object.is(x, y)) continue;
    const distance = Math.abs(x - y) / Math.max(1, Math.abs(y));
    if (!(distance <= worst)) worst = distance;
  }
  return worst;
}
