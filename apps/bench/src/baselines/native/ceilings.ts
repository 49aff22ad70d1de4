/** What one core of this machine does at most, by C programs: the best of many short tries, since a ceiling is what is possible. */
import type { Absence } from '../../contract.ts';
import { isMissing, nativeLibrary } from './library.ts';

/** Of one thread. */
export interface NativeCeilings {
  /** Multiply-adds of 512-bit vectors held in registers, GFLOP/s; absent where the processor has none. Native peers may use them, WebAssembly can't. */
  readonly fma512?: number;
  /** The same of 256-bit vectors. */
  readonly fma256: number;
  /** The same of 128-bit vectors, what plain WebAssembly has. */
  readonly fma128: number;
  /** Reading memory, GB/s: of 24 MB, as many as a layer of 4095 neurons has, which a large cache may hold; and of 128 MB. */
  readonly read24: Reading;
  readonly read128: Reading;
}

/** Gigabytes a second. */
export interface Reading {
  readonly inOrder: number;
  /** Rows of 3 KB, as wide as 768 weights, at random places. */
  readonly randomRows: number;
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
  const reading = (bytes: number): Reading => {
    // Filled, since pages never written to are all the same one.
    const data = new Float32Array(WIDTH * Math.ceil(bytes / 4 / WIDTH)).fill(1);
    const rows = Int32Array.from({ length: data.length / WIDTH }, (_, i) => i);
    for (let i = rows.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [rows[i], rows[j]] = [rows[j] as number, rows[i] as number];
    }
    return {
      inOrder: best(seconds, data.byteLength, () => readAll(data, data.length)),
      randomRows: best(seconds, data.byteLength, () => readRows(data, rows, rows.length, WIDTH)),
    };
  };
  const rounds = 500_000;
  const fma512 = library.func('float fma_512(int64_t rounds)');
  const has512 = library.func('int32_t has_512()')() === 1;
  return {
    ...(has512 ? { fma512: best(seconds, rounds * 12 * 16 * 2, () => fma512(rounds)) } : {}),
    fma256: best(seconds, rounds * 12 * 8 * 2, () => fma256(rounds)),
    fma128: best(seconds, rounds * 12 * 4 * 2, () => fma128(rounds)),
    read24: reading(24 * 2 ** 20),
    read128: reading(128 * 2 ** 20),
  };
}

/** The same, as a promise. */
export const nativeCeilings = async (): Promise<NativeCeilings | Absence> => measureCeilings();
