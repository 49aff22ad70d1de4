/** Dense layers on OpenBLAS. */
import type { Baseline } from '../../contract.ts';
import { weight } from '../weights.ts';
import { isMissing, nativeLibrary } from './library.ts';

export const openBlas: Baseline = {
  name: 'openblas',
  title: 'OpenBLAS, two matrix products (for one token matrix-vector) and a vectorised erf GELU in C',
  kinds: ['dense'],
  prepare: async (work, threads) => {
    const library = nativeLibrary('dense', ['-lopenblas']);
    if (isMissing(library)) return library;
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
  },
};
