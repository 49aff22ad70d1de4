/** Programs in C: see `native/`. */
import type { Absence } from '../contract.ts';
import { isMissing, nativeLibrary } from './native/library.ts';

export { openBlas } from './native/dense.ts';
export { publishedBmm, publishedNaive, publishedTree } from './native/published.ts';
export { cTree } from './native/tree.ts';

/** What one core does at most. */
export interface Ceilings {
  /** Multiply-adds of 256-bit vectors held in registers, GFLOP/s. */
  readonly gflops: number;
  /** Reading 64 MB in order, GB/s. */
  readonly gigabytes: number;
}

/** Measured in about half a second; the best of several tries, since a ceiling is what is possible. */
export function ceilings(): Ceilings | Absence {
  const library = nativeLibrary('ceilings');
  if (isMissing(library)) return library;
  const peak = library.func('float fma_peak(int64_t rounds)');
  const read = library.func('float read_all(const float *data, int64_t count)');
  const data = new Float32Array(2 ** 24).fill(1);
  const best = (work: number, run: () => void): number => {
    let rate = 0;
    for (let i = 0; i < 12; i++) {
      const start = performance.now();
      run();
      rate = Math.max(rate, work / (performance.now() - start) / 1e6);
    }
    return rate;
  };
  const rounds = 1_000_000;
  return {
    gflops: best(rounds * 12 * 16, () => peak(rounds)),
    gigabytes: best(data.byteLength, () => read(data, data.length)),
  };
}
