/** Dense layers on OpenBLAS. */
import type { Baseline, Contender, Work } from '../../contract.ts';
import { weight } from '../weights.ts';
import { blasLibrary, hasWideVectors, isMissing, type Library, nativeLibrary, withKernels } from './library.ts';

function contenderOn(library: Library, work: Work, threads: number): Contender {
  library.func('void set_threads(int32_t threads)')(threads);
  const call = library.func(
    'void dense(const void *x, const void *w1, const void *b1, const void *w2, const void *b2, void *h, void *y, int32_t tokens, int32_t width, int32_t hidden)',
  );
  const [hidden = 0, width = 0] = work.graph.weights.get('w1')?.shape ?? [];
  const [h, y] = [new Float32Array(work.tokens * hidden), new Float32Array(work.tokens * width)];
  const [w1, b1, w2, b2] = ['w1', 'b1', 'w2', 'b2'].map((name) => weight(work, name));
  return {
    run: () => void call(work.inputs['x'], w1, b1, w2, b2, h, y, work.tokens, width, hidden),
    output: () => y,
    dispose: () => undefined,
  };
}

export const openBlas: Baseline = {
  name: 'openblas',
  title: 'OpenBLAS, two matrix products (for one token matrix-vector) and a vectorised erf GELU in C',
  kinds: ['dense'],
  prepare: async (work, threads) => {
    const library = blasLibrary('dense');
    return isMissing(library) ? library : contenderOn(library, work, threads);
  },
};

/**
 * What a processor with wider vectors does when it is held to the 256 bits that WebAssembly engines use at most: how much of a distance to a
 * native peer is the width. A second OpenBLAS, linked statically, since its kernels are chosen once, when it is loaded.
 */
export const openBlas256: Baseline = {
  name: 'openblas-256',
  title: 'OpenBLAS held to 256-bit vectors, where the processor has wider ones',
  kinds: ['dense'],
  prepare: async (work, threads) => {
    if (!hasWideVectors())
      return { reason: 'this processor has no wider vectors, so it would be the same OpenBLAS again' };
    const library = withKernels('Haswell', () =>
      nativeLibrary('dense', ['-l:libopenblas.a', '-lpthread', '-Wl,-Bsymbolic']),
    );
    if (isMissing(library)) return library;
    const config = configOf(library);
    if (!config.includes('Haswell')) return { reason: `OpenBLAS does not let itself be held to 256 bits (${config})` };
    return contenderOn(library, work, threads);
  },
};

const configOf = (library: Library): string => String(library.func('const char *config()')());

/** "OpenBLAS 0.3.21, Haswell kernels": which one it is, and which kernels it runs. Null without it. */
export function blasInUse(): string | null {
  const library = blasLibrary('dense');
  if (isMissing(library)) return null;
  const text = configOf(library);
  const [, version, core] = /^(OpenBLAS \S+).* (\S+) MAX_THREADS/.exec(text) ?? [];
  return version === undefined ? text.trim() : `${version}, ${core} kernels`;
}
