/** Programs in C, compiled for this very machine when they are first needed, and called in this process. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import type { Absence, Baseline, Contender, Work } from '../contract.ts';

type Library = ReturnType<typeof koffi.load>;

const FLAGS = ['-O3', '-march=native', '-ffp-contract=fast', '-fno-math-errno', '-shared', '-fPIC'];

/** Compiles `native/<name>.c`, once for each text of it, or says what is missing. */
export function nativeLibrary(name: string, link: readonly string[] = []): Library | Absence {
  const source = new URL(`../../native/${name}.c`, import.meta.url).pathname;
  const key = createHash('sha256')
    .update(readFileSync(source))
    .update([...FLAGS, ...link].join(' '))
    .digest('hex');
  const folder = join(tmpdir(), 'espalier-bench');
  const file = join(folder, `${name}-${key.slice(0, 16)}.so`);
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    const mine = `${file}.${process.pid}`;
    try {
      execFileSync('cc', [...FLAGS, source, '-o', mine, ...link, '-lm'], { stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (error) {
      const { code, stderr } = error as { readonly code?: string; readonly stderr?: Buffer };
      if (code === 'ENOENT') return { reason: 'there is no C compiler', command: 'apt-get install gcc libc6-dev' };
      const first = stderr?.toString().trim().split('\n')[0] ?? String(error);
      return {
        reason: `it does not compile here (${first})`,
        ...(link.length > 0 ? { command: 'apt-get install libopenblas-dev' } : {}),
      };
    }
    renameSync(mine, file);
  }
  return koffi.load(file);
}

const isMissing = (x: Library | Absence): x is Absence => 'reason' in x;
const weight = (work: Work, name: string): Float32Array => work.graph.weights.get(name)?.data as Float32Array;

/** A function over one tree, run on one thread. */
function treeContender(library: Library, name: string, work: Work): Contender {
  const call = library.func(
    `void ${name}(const float *x, const float *w1, const float *b1, const float *w2, _Out_ float *y, int32_t tokens, int32_t width, int32_t levels)`,
  );
  const shape = work.graph.weights.get('w1')?.shape as [number, number, number];
  const levels = Math.log2(shape[1] + 1);
  const y = new Float32Array(work.tokens * shape[2]);
  const [x, w1, b1, w2] = [work.inputs['x'], weight(work, 'w1'), weight(work, 'b1'), weight(work, 'w2')];
  return {
    run: () => void call(x, w1, b1, w2, y, work.tokens, shape[2], levels),
    output: () => y,
    dispose: () => undefined,
  };
}

const oneThread: Absence = { reason: 'it runs on one thread only' };

export const cTree: Baseline = {
  name: 'c-tree',
  title: 'the same algorithm in C for AVX2, one token at a time',
  kinds: ['tree'],
  prepare: async (work, threads) => {
    if (threads !== 1) return oneThread;
    const library = nativeLibrary('tree');
    return isMissing(library) ? library : treeContender(library, 'tree', work);
  },
};

export const publishedTree: Baseline = {
  name: 'published-cpu',
  title: "UltraFastBERT's CPU algorithm on OpenBLAS: one sdot and one saxpy a node",
  kinds: ['tree'],
  prepare: async (work, threads) => {
    if (threads !== 1) return oneThread;
    const library = nativeLibrary('dense', ['-lopenblas']);
    return isMissing(library) ? library : treeContender(library, 'tree_blas', work);
  },
};

export const openBlas: Baseline = {
  name: 'openblas',
  title: 'OpenBLAS, two matrix products and the activation in C',
  kinds: ['dense'],
  prepare: async (work, threads) => {
    const library = nativeLibrary('dense', ['-lopenblas']);
    if (isMissing(library)) return library;
    library.func('void set_threads(int32_t threads)')(threads);
    const call = library.func(
      'void dense(const float *x, const float *w1, const float *b1, const float *w2, const float *b2, float *h, _Out_ float *y, int32_t tokens, int32_t width, int32_t hidden)',
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
