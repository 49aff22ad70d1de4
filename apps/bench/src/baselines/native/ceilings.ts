/** What one core of this machine does at most, by C programs: the best of many short tries, since a ceiling is what is possible. */
import type { Absence } from '../../contract.ts';
import { isMissing, nativeLibrary } from './library.ts';

/** Of one thread. */
export interface NativeCeilings {
  /** Multiply-adds of 256-bit vectors held in registers, GFLOP/s. */
  readonly fma256: number;
  /** The same of 128-bit vectors, what plain WebAssembly has. */
  readonly fma128: number;
  /** Reading 128 MB in order, GB/s. */
  readonly readSequential: number;
  /** Reading rows of 3 KB, as wide as 768 weights, at random places of these 128 MB, GB/s. */
  readonly readRandomRows: number;
}

const WIDTH = 768;

/** The best rate of runs in `seconds`: `work` a run, in units of 1e-9. At least three runs, whatever they take. */
function best(seconds: number, work: number, run: () => void): number {
  let rate = 0;
  const begin = performance.now();
  for (let i = 0; i < 3 || performance.now() - begin < seconds * 1000; i++) {
    const start = performance.now();
    run();
    rate = Math.max(rate, work / (performance.now() - start) / 1e6);
  }
  return rate;
}

/** Measures for about `seconds` each; an Absence without a C compiler. */
export function measureCeilings(seconds = 0.3): NativeCeilings | Absence {
  const library = nativeLibrary('ceilings');
  if (isMissing(library)) return library;
  const fma256 = library.func('float fma_256(int64_t rounds)');
  const fma128 = library.func('float fma_128(int64_t rounds)');
  const readAll = library.func('float read_all(const void *data, int64_t count)');
  const readRows = library.func('float read_rows(const void *data, const void *rows, int64_t count, int64_t width)');
  // Filled, since pages never written to are all the same one.
  const data = new Float32Array(WIDTH * Math.ceil(2 ** 25 / WIDTH)).fill(1);
  const rows = Int32Array.from({ length: data.length / WIDTH }, (_, i) => i);
  for (let i = rows.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [rows[i], rows[j]] = [rows[j] as number, rows[i] as number];
  }
  const rounds = 500_000;
  return {
    fma256: best(seconds, rounds * 12 * 8 * 2, () => fma256(rounds)),
    fma128: best(seconds, rounds * 12 * 4 * 2, () => fma128(rounds)),
    readSequential: best(seconds, data.byteLength, () => readAll(data, data.length)),
    readRandomRows: best(seconds, data.byteLength, () => readRows(data, rows, rows.length, WIDTH)),
  };
}

/** The same, as a promise. */
export const nativeCeilings = async (): Promise<NativeCeilings | Absence> => measureCeilings();
